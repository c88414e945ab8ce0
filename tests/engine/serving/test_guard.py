"""The door, without what is behind it: an application that answers everything."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest

from gan_edit_engine.serving.guard import VISITOR, Guard
from gan_edit_engine.serving.keys import Keys
from gan_edit_engine.serving.limits import Limits
from gan_edit_engine.serving.proxy import network_of
from gan_edit_engine.serving.room import Room
from gan_edit_protocol.errors import GanEditError

KEY = "k" * 43
KEYS = Keys({"ben": "b" * 43, "anna": KEY})
MOST = 1000


class Behind:
    """Notes what came through, and reads all of it."""

    def __init__(self, status: int = 200) -> None:
        self.scope: dict[str, Any] | None = None
        self.body = b""
        self.status = status

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self.scope = scope
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            self.body += message["body"]
            if not message.get("more_body"):
                break
        headers = [(b"access-control-allow-origin", b"*")]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"secret"})


def asked(
    path: str = "/", method: str = "GET", keys: Keys | None = KEYS, body: tuple[bytes, ...] = (),
    proxy: str | None = None, client: str = "10.0.0.7", room: Room | None = None, status: int = 200, **headers: str,
) -> tuple[int, dict[str, str], bytes, Behind]:  # fmt: skip
    """Status, headers and body of the answer, and what came through."""
    shown = {"host": "127.0.0.1:7860", **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "scheme": "http",
        "client": (client, 1234),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in shown.items()],
    }
    parts = [{"type": "http.request", "body": part, "more_body": True} for part in body]
    parts.append({"type": "http.request", "body": b"", "more_body": False})
    told: list[dict[str, Any]] = []
    behind = Behind(status)

    async def receive() -> dict[str, Any]:
        return parts.pop(0)

    async def send(message: dict[str, Any]) -> None:
        told.append(message)

    guard = Guard(behind, keys, MOST, None if proxy is None else network_of(proxy), room)
    asyncio.run(guard(scope, receive, send))
    start, *rest = told
    answered = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], answered, b"".join(each["body"] for each in rest), behind


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize("shown", [f"Bearer {KEY}", f"bearer  {KEY}", basic("anna", KEY)])
def test_a_key_opens_the_door_and_says_who_came(shown: str) -> None:
    status, headers, body, behind = asked(authorization=shown, x_gan_edit_visitor="ben@1.2.3.4")
    assert (status, body) == (200, b"secret")
    assert "access-control-allow-origin" not in headers
    assert behind.scope is not None
    came = dict(behind.scope["headers"])
    assert came[VISITOR] == b"anna@10.0.0.7"
    assert [name for name, _ in behind.scope["headers"]].count(VISITOR) == 1
    assert b"authorization" not in came  # no page or log behind the door needs it


def test_what_never_changes_is_fetched_once() -> None:
    shown = {"authorization": f"Bearer {KEY}"}
    assert "immutable" in asked("/assets/index-DphvyggB.js", **shown)[1]["cache-control"]
    assert asked("/assets/../config", **shown)[1].get("cache-control") is None
    assert asked("/config", **shown)[1].get("cache-control") is None


@pytest.mark.parametrize(
    "shown",
    ["", "Bearer", "Bearer ", f"Bearer {KEY}x", f"Bearer {KEY[1:]}", KEY, basic(KEY, ""), basic("anna", "anna")]
    + [basic("", KEY), basic("ben", KEY), basic("Anna", KEY), basic("anna\0", KEY), basic(KEY, KEY)]
    + ["Basic !", "Basic " + base64.b64encode(b"\xff\xfe").decode(), f"Digest {KEY}", "Bearer \xff"],
)
@pytest.mark.parametrize("path", ["/", "/assets/index.js", "/static/img/logo.svg", "/config", "/no/such/place"])
def test_nothing_at_all_is_answered_without_one(shown: str, path: str) -> None:
    status, headers, body, behind = asked(path, authorization=shown)
    assert status == 401
    assert headers["www-authenticate"].startswith("Basic realm=")
    assert b"key" in body
    assert behind.scope is None


def test_two_keys_at_once_are_none() -> None:
    behind = Behind()
    told: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        told.append(message)

    shown = [(b"host", b"localhost"), *([(b"authorization", f"Bearer {KEY}".encode())] * 2)]
    scope = {"type": "http", "scheme": "http", "method": "GET", "path": "/", "headers": shown}
    asyncio.run(Guard(behind, KEYS, MOST)(scope, None, send))  # type: ignore[arg-type]
    assert told[0]["status"] == 401
    assert behind.scope is None


FORWARDED = {
    "x_forwarded_for": "6.6.6.6, 203.0.113.9",
    "x_forwarded_proto": "https",
    "x_forwarded_host": "evil.example",
    "x_real_ip": "6.6.6.6",
    "forwarded": "for=6.6.6.6",
}


@pytest.mark.parametrize(
    ("proxy", "client", "visitor", "scheme"),
    [
        ("10.0.0.7", "10.0.0.7", b"anna@203.0.113.9", "https"),
        ("10.0.0.0/24", "::ffff:10.0.0.7", b"anna@203.0.113.9", "https"),
        ("10.0.0.8", "10.0.0.7", b"anna@10.0.0.7", "http"),
        (None, "127.0.0.1", b"anna@127.0.0.1", "http"),
    ],
)
def test_a_proxy_is_believed_where_a_visitor_comes_from_and_nobody_else(
    proxy: str | None, client: str, visitor: bytes, scheme: str
) -> None:
    status, _, _, behind = asked(authorization=f"Bearer {KEY}", proxy=proxy, client=client, **FORWARDED)
    assert status == 200
    assert behind.scope is not None
    assert dict(behind.scope["headers"])[VISITOR] == visitor
    assert behind.scope["scheme"] == scheme
    assert sorted(name for name, _ in behind.scope["headers"]) == [b"host", VISITOR]  # Gradio would believe them all


@pytest.mark.parametrize(
    ("told", "address"),
    [("", "10.0.0.7"), ("x", "10.0.0.7"), ("1.2.3.4,", "10.0.0.7"),
     ("1.2.3.999", "10.0.0.7"), ("1.2.3.4:99", "1.2.3.4"),
     ("[2001:db8::1]:99", "2001:db8::1"), ("2001:DB8::1", "2001:db8::1"), ("5.5.5.5 , 1.2.3.4", "1.2.3.4")],
)  # fmt: skip
def test_what_a_proxy_says_is_an_address_or_counts_for_nothing(told: str, address: str) -> None:
    said = {"x_forwarded_for": told, "x_forwarded_proto": "javascript"}
    behind = asked(authorization=f"Bearer {KEY}", proxy="10.0.0.7", **said)[3]
    assert behind.scope is not None
    assert dict(behind.scope["headers"])[VISITOR] == f"anna@{address}".encode()
    assert behind.scope["scheme"] == "http"


@pytest.mark.parametrize("text", ["", "proxy.example", "10.0.0.7/99", "10.0.0.7:80"])
def test_what_is_no_proxys_address_is_refused(text: str) -> None:
    with pytest.raises(GanEditError, match="no proxy's address") as caught:
        network_of(text)
    assert caught.value.code == "bad_address"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:7860", "127.0.0.1", "127.3.2.1:80", "[::1]:7860"])
def test_without_keys_this_machine_comes_in(host: str) -> None:
    assert asked(keys=None, host=host)[0] == 200


@pytest.mark.parametrize("host", ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example:7860", "::1"])
def test_without_keys_a_name_that_somebody_pointed_here_does_not(host: str) -> None:
    status, _, _, behind = asked(keys=None, host=host)
    assert status == 403
    assert behind.scope is None


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1", "http://127.0.0.1:7861", "http://["]
)
def test_another_sites_page_may_not_use_the_key_of_a_visitor(origin: str) -> None:
    answer = asked("/gradio_api/queue/join", "POST", authorization=basic("anna", KEY), origin=origin)
    assert answer[0] == 403
    assert answer[3].scope is None


def test_the_sites_own_page_may() -> None:
    own = {"authorization": basic("anna", KEY), "origin": "http://127.0.0.1:7860"}
    assert asked("/gradio_api/queue/join", "POST", **own)[0] == 200


ELSEWHERE = """
    /monitoring /gradio_api/monitoring /login_check /docs /gradio_api/deep_link /gradio_api/openapi.json
    /gradio_api/proxy=http://10.0.0.1 /proxy=http://a /gradio_api/dev/reload /gradio_api/vibe-code /gradio_api/runs
    /file=/etc/passwd /gradio_api/file/etc/passwd /gradio_api/file=etc/passwd /gradio_api/file=http://10.0.0.1/
    /gradio_api/file=//10.0.0.1/share /gradio_api/file=/tmp/../etc/passwd /gradio_api/file=/tmp/%2e%2e/etc/passwd
    /static/../routes.py /static/..\\routes.py /assets/a\0b /custom_component/a/b/c/d
"""
NOT_WRITTEN = """
    / /config /login /gradio_api/run/edit /gradio_api/api/edit /gradio_api/vibe-edit /gradio_api/process_recording
    /gradio_api/run-history/connect
"""


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", path) for path in ELSEWHERE.split()),
        *(("POST", path) for path in NOT_WRITTEN.split()),
        *((method, "/") for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE")),
    ],
)
def test_only_what_the_page_and_programs_need_is_there(method: str, path: str) -> None:
    status, _, _, behind = asked(path, method, authorization=f"Bearer {KEY}")
    assert status == 404
    assert behind.scope is None


def test_a_body_is_handed_on_up_to_the_limit() -> None:
    most = (b"x" * 600, b"x" * 400)
    status, _, _, behind = asked("/gradio_api/upload", "POST", body=most, authorization=f"Bearer {KEY}")
    assert status == 200
    assert len(behind.body) == MOST


@pytest.mark.parametrize("length", ["1001", "99999999999999999999", "-1", "x"])
def test_a_body_that_says_it_is_longer_is_not_read(length: str) -> None:
    shown = {"authorization": f"Bearer {KEY}", "content_length": length}
    status, _, _, behind = asked("/gradio_api/upload", "POST", body=(b"x",), **shown)
    assert status == 413
    assert behind.scope is None


def test_a_body_that_does_not_say_so_is_cut_off_and_its_sender_told() -> None:
    more = (b"x" * 600, b"x" * 401)
    status, _, body, behind = asked("/gradio_api/upload", "POST", body=more, authorization=f"Bearer {KEY}")
    assert status == 413
    assert b"too large" in body
    assert len(behind.body) == 600


def test_a_picture_for_which_there_is_no_room_is_refused_in_a_sentence(tmp_path: Path) -> None:
    room = Room(tmp_path, tmp_path / "jobs", Limits(kept=100_000))
    shown = {"authorization": f"Bearer {KEY}", "content_length": "1000"}
    upload = ("/gradio_api/upload", "POST")
    assert asked(*upload, body=(b"x" * 1000,), room=room, **shown)[0] == 200
    status, _, body, behind = asked(*upload, body=(b"x" * 1000,), room=room, **shown)
    assert (status, behind.scope) == (507, None)
    assert body.startswith(b"This server keeps 0 MB of each")
    assert body.endswith(b"gone.\n")
    assert asked("/gradio_api/queue/join", "POST", body=(b"x",), room=room, **shown)[0] == 200


def test_what_breaks_behind_the_door_is_one_sentence() -> None:
    status, _, body, _ = asked(authorization=f"Bearer {KEY}", status=503)
    assert (status, body) == (500, b"The server could not do that; nothing was changed.\n")


def test_a_websocket_is_closed() -> None:
    told: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        told.append(message)

    behind = Behind()
    asyncio.run(Guard(behind, None, MOST)({"type": "websocket", "headers": []}, None, send))  # type: ignore[arg-type]
    assert told == [{"type": "websocket.close", "code": 1008}]
    assert behind.scope is None
