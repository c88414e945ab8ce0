"""The door: nothing is answered before it is known who asks, for what, and how much comes with it."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any

from gan_edit_engine.serving.keys import Keys
from gan_edit_engine.serving.proxy import Network, Scope, seen_through
from gan_edit_engine.serving.room import Room
from gan_edit_protocol.errors import GanEditError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

VISITOR = b"x-gan-edit-visitor"
"""The header by which the rooms behind the door know who came in; what a visitor says there itself is taken away."""
_GOOD, _TOO_LARGE, _FULL = 200, 413, 507
_LOOPBACK = re.compile(r"(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?", re.IGNORECASE)
_ASK = (b"www-authenticate", b'Basic realm="GAN Edit: your name, and your key as the password", charset="UTF-8"')
# What the page and gradio_client ask for. Gradio has more: a proxy, monitoring, an editor of its own code.
_API = "/gradio_api"
_READ = re.compile(
    r"/|/progress/\w+|/(?:config|theme\.css|favicon\.ico|manifest\.json|robots\.txt)/?|/(?:assets|static)/[\w./-]+"
    rf"|{_API}/(?:info|startup-events|theme\.css|upload_progress|queue/data|app_id)/?"
    rf"|{_API}/heartbeat/\w+|{_API}/call/\w+/\w+|{_API}/file=/(?!/).*",
    re.DOTALL,
)
_WRITE = re.compile(rf"{_API}/(?:queue/join|upload|cancel|reset|component_server)/?|{_API}/call/\w+/?")
_UPLOAD = re.compile(rf"{_API}/upload/?")
# The page is whole: it fetches nothing from anywhere else, whatever a picture's or a model's text says.
_HEADERS = [
    (
        b"content-security-policy",
        b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
        b"img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
        b"frame-ancestors 'self'; form-action 'self'; base-uri 'self'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]


# Their names change with what is in them.
_LASTING = ((b"cache-control", b"private, max-age=31536000, immutable"),)


@dataclass(frozen=True)
class _Refusal:
    status: int
    sentence: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Guard:
    """Lets those in who show one of the ``keys``; without keys those of this machine, by a loopback address.

    ``most_bytes``: of a request. ``proxy``: where one is that passes visitors on. ``room``: for what they bring.
    """

    def __init__(
        self, app: App, keys: Keys | None, most_bytes: int, proxy: Network | None = None, room: Room | None = None
    ) -> None:
        self._app = app
        self._keys = keys
        self._most_bytes = most_bytes
        self._proxy = proxy
        self._room = room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(seen_through(self._proxy, scope), receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        visitor = self._visitor(headers, scope)
        refusal = _UNKNOWN if visitor is None else self._refusal(scope, headers)
        if visitor is None or refusal is not None:
            assert refusal is not None
            if refusal.status == _TOO_LARGE:
                await _passed_over(receive, self._most_bytes)
            await _refuse(send, refusal)
            return
        known = [(name, value) for name, value in headers if name not in (VISITOR, b"authorization")]
        scope = {**scope, "headers": [*known, (VISITOR, visitor.encode())]}
        lasting = _LASTING if scope["path"].startswith("/assets/") else ()
        counted = _Counted(receive, send, self._most_bytes, lasting)
        if self._room is None or not _UPLOAD.fullmatch(scope["path"]):
            await self._app(scope, counted.receive, counted.send)
            return
        size = next(map(int, _all(headers, b"content-length")), self._most_bytes)
        try:
            with self._room.bringing(visitor, size) as entry:
                await self._app(scope, counted.receive, counted.send)
                entry[1] = counted.count
        except GanEditError as error:
            await _passed_over(receive, self._most_bytes)
            await _refuse(send, _Refusal(_FULL, f"{error.message} {error.hint}"))

    def _visitor(self, headers: list[tuple[bytes, bytes]], scope: Scope) -> str | None:
        """The name under which somebody came in and from where; None when it is none of those who may."""
        address = (scope.get("client") or ("unknown", 0))[0]
        if self._keys is None:
            return str(address)
        name = self._keys.name_of(*_shown(_all(headers, b"authorization")))
        return None if name is None else f"{name}@{address}"

    def _refusal(self, scope: Scope, headers: list[tuple[bytes, bytes]]) -> _Refusal | None:
        hosts, origins = _all(headers, b"host"), _all(headers, b"origin")
        if self._keys is None and not (len(hosts) == 1 and _LOOPBACK.fullmatch(hosts[0])):
            return _Refusal(403, "Without keys this server answers to localhost only.")
        if any(origin.partition("://")[2] not in hosts for origin in origins):
            return _Refusal(403, "Another site's page asked for this.")
        reads = scope["method"] in ("GET", "HEAD")
        allowed = _READ if reads else _WRITE
        path = scope["path"]
        if scope["method"] not in ("GET", "HEAD", "POST") or not allowed.fullmatch(path) or _climbs(path):
            return _Refusal(404, "There is nothing here.")
        if any(not size.isdigit() or int(size) > self._most_bytes for size in _all(headers, b"content-length")):
            return _too_large(self._most_bytes)
        return None


class _Counted:
    """A request's body, of which no more is handed on than allowed: then the visitor is told so.

    ``more``: headers of a good answer.
    """

    def __init__(self, receive: Receive, send: Send, most: int, more: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self._receive, self._send = receive, send
        self._more = more
        self._most = self._left = most
        self._answered = self._over = False

    @property
    def count(self) -> int:
        """The bytes that came."""
        return self._most - self._left

    async def receive(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left >= 0:
            return message
        if not self._over and not self._answered:
            self._over = True
            await _passed_over(self._receive, self._most)
            await _refuse(self._send, _too_large(self._most))
        self._over = True
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self._over:
            return
        if message["type"] == "http.response.start":
            self._answered = True
            if message["status"] >= _BROKEN.status:
                self._over = True
                await _refuse(self._send, _BROKEN)
                return
            # Gradio lets any site's pages read what it answers on this machine; here none may.
            kept = [(name, value) for name, value in message["headers"] if not name.startswith(b"access-control-")]
            more = self._more if message["status"] == _GOOD else ()
            message = {**message, "headers": [*kept, *_HEADERS, *more]}
        await self._send(message)


_UNKNOWN = _Refusal(401, "A key is needed: the name it was made for as the user, and the key as the password.", (_ASK,))


_BROKEN = _Refusal(500, "The server could not do that; nothing was changed.")


def _too_large(most: int) -> _Refusal:
    return _Refusal(
        _TOO_LARGE, f"That is too large: a request may have {most / 1e6:.0f} MB.", ((b"connection", b"close"),)
    )


async def _passed_over(receive: Receive, most: int) -> None:
    """Read what still comes, up to ``most``: who is cut off while sending does not read the answer."""
    left = most
    while left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        if not message.get("more_body"):
            return


async def _refuse(send: Send, refusal: _Refusal) -> None:
    body = f"{refusal.sentence}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send(
        {"type": "http.response.start", "status": refusal.status, "headers": [*headers, *refusal.headers, *_HEADERS]}
    )
    await send({"type": "http.response.body", "body": body})


def _all(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in headers if key.lower() == name]


def _climbs(path: str) -> bool:
    """Whether a path, decoded as often as it was encoded or not, leaves a folder or is none."""
    return any(part in ("..", ".") for part in re.split(r"[/\\]", path)) or bool(re.search(r"[\0\\%]|://", path))


def _shown(shown: list[str]) -> tuple[str, str | None]:
    """The key of one ``Authorization: Bearer KEY``; or, of ``Basic``, the password and the user; else no key at all."""
    scheme, _, value = (shown[0] if len(shown) == 1 else "").partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer":
        return value, None
    if scheme.lower() != "basic":
        return "", None
    try:
        decoded = base64.b64decode(value, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return "", None
    user, _, password = decoded.partition(":")
    return password, user
