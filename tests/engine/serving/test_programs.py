"""Programs at a real server, with a real engine: whole messages of the protocol, by ``gradio_client`` and by hand."""

from __future__ import annotations

import asyncio
import json
import os
import urllib.parse
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_process import PHOTO, projection
from serving.served import MOST, Served, events, fetched, sent

from gan_edit_engine.serving import keys
from gan_edit_protocol import wire
from gan_edit_protocol.arrays import Array
from gan_edit_protocol.events import (
    FINAL_EVENTS,
    Accepted,
    Cancelled,
    EngineStatus,
    Failed,
    FramesReady,
    Look,
    Progress,
    ResultReady,
)
from gan_edit_protocol.geometry import Box
from gan_edit_protocol.packing import unpacked
from gan_edit_protocol.requests import (
    CancelRequest,
    ImagineRequest,
    LookRequest,
    ProjectRequest,
    RandomRequest,
    ShutdownRequest,
    StatusRequest,
)
from gan_edit_protocol.settings import ImagineSettings

pytestmark = pytest.mark.slow

gradio_client = pytest.importorskip("gradio_client")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("serve")


@pytest.fixture(scope="module")
def key(folder: Path) -> str:
    keys.add(folder / "keys", "ben")
    return keys.add(folder / "keys", "anna")


@pytest.fixture(scope="module")
def served(folder: Path, key: str) -> Iterator[Served]:
    limits = ("--megapixels", "0.02", "--jobs", "2", "--megabytes", "4")
    running = Served(folder, "--token-file", str(folder / "keys"), *limits).wait_until_ready()
    yield running
    running.end()


@pytest.fixture
def program(served: Served, key: str) -> Iterator[Any]:
    yield from client_with(served, key)


@pytest.fixture
def other(served: Served, folder: Path, key: str) -> Iterator[Any]:
    yield from client_with(served, keys.read(folder / "keys").of["ben"])


def client_with(served: Served, key: str) -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of httpx and asyncio, about how gradio_client uses them
        shown = {"Authorization": f"Bearer {key}"}
        options = {"verbose": False, "download_files": False}
        client = gradio_client.Client(served.url, headers=shown, **options)
        yield client
        client.close()
        for executor in (client.executor, client.helper_executor, client.stream_executor):
            executor.shutdown(wait=True)


def test_a_job_is_done_as_by_a_local_engine(program: Any) -> None:
    told = [event for _, event in events(sent(program, projection(steps=3)))]
    assert isinstance(told[0], Accepted | Progress)
    assert any(isinstance(event, Progress) for event in told)
    assert isinstance(told[-1], ResultReady)
    assert told[-1].image.shape == PHOTO.shape
    assert told[-1].model == "cats256"


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        (StatusRequest(), EngineStatus),
        (LookRequest(100, 80, selection=Box(10, 10, 20, 20)), Look),
        (RandomRequest(), ResultReady),
        (ImagineRequest(Array("uint8", (16, 16, 4), bytes(16 * 16 * 4)[:-1] + b"\xff"),
                        settings=ImagineSettings(candidates=1, steps=1, samples=1)), FramesReady),
    ],
    ids=lambda each: getattr(each, "__name__", None),
)  # fmt: skip
def test_every_kind_of_request_has_its_answer(program: Any, request_: Any, kind: type, request: Any) -> None:
    told = events(sent(program, request_, job=f"{abs(hash(request.node.name)):032x}"[:32]))
    assert [isinstance(event, FINAL_EVENTS) for _, event in told].count(True) == 1
    assert isinstance(told[-1][1], kind), told[-1]


def test_a_job_is_asked_for_again_and_not_done_again(program: Any, other: Any) -> None:
    first = events(sent(program, projection(steps=2), "1" * 32))
    again = events(sent(program, projection(steps=2), "1" * 32))
    assert again[-1] == first[-1]  # its seconds, too
    rest = events(program.submit("", "1" * 32, first[-1][0] - 1, api_name="/frames"))
    assert rest == [first[-1]]
    stranger = events(other.submit("", "1" * 32, 0, api_name="/frames"))
    assert stranger[0][1].code == "unknown_job"


def test_a_job_is_cancelled_by_its_visitor_only(program: Any, other: Any) -> None:
    long = sent(program, projection(steps=20000), "2" * 32)
    answers = iter(long)
    while not any(isinstance(event, Progress) for _, event in events([next(answers)])):
        pass
    assert events(sent(other, CancelRequest("2" * 32), "2" * 32))[0][1].code == "unknown_job"
    assert events(sent(program, CancelRequest("2" * 32), "2" * 32)) == []
    assert isinstance(events(answers)[-1][1], Cancelled)


def test_a_visitor_has_so_many_jobs_at_once_and_the_others_theirs(program: Any, other: Any) -> None:
    running = [sent(program, projection(steps=20000), digit * 32) for digit in "34"]
    for job in running:
        next(iter(job))
    refused = events(sent(program, RandomRequest(), "5" * 32))
    assert refused[0][1].code == "too_many_jobs"
    waiting = sent(other, RandomRequest(), "6" * 32)
    for digit in "34":
        sent(program, CancelRequest(digit * 32), digit * 32).result()
    assert isinstance(events(waiting)[-1][1], ResultReady)
    assert [type(events(job)[-1][1]) for job in running] == [Cancelled, Cancelled]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (ShutdownRequest(), "not_allowed"),
        (RandomRequest("/etc/passwd"), "unknown_model"),
        (RandomRequest("../cats256"), "unknown_model"),
        (LookRequest(100, 100, "/etc/passwd"), "unknown_model"),
        (ProjectRequest(Array("uint8", (200, 101, 3), bytes(200 * 101 * 3))), "too_large"),
        (CancelRequest("f" * 32), "unknown_job"),
    ],
    ids=lambda each: getattr(each, "model", None),
)
def test_what_is_not_allowed_is_refused_in_one_sentence(program: Any, request_: Any, code: str) -> None:
    answer = next(iter(sent(program, request_, "7" * 32)))
    job, failed = wire.decode_event(unpacked(answer["message"], MOST))
    assert job == "7" * 32
    assert isinstance(failed, Failed)
    assert failed.code == code
    assert failed.message.endswith(".")


def test_a_model_is_not_named_by_its_file(program: Any, served: Served) -> None:
    models = program.predict(api_name="/models")
    assert [model["name"] for model in models] == ["cats256"]
    assert models[0]["licence"] == "MIT"
    assert "/" not in json.dumps(models[0]["name"])
    path = Path(__file__).parents[3] / "engine" / "gan_edit_engine" / "data" / "cats256.safetensors"
    assert path.is_file()
    assert events(sent(program, RandomRequest(str(path)), "8" * 32))[0][1].code == "unknown_model"


@pytest.mark.parametrize("garbage", ["", "x", "eJw=", "eJwDAAAAAAE=", "eJxjYGBgAAAABAAB", "💥" * 100, "A" * 100_000])
def test_garbage_is_refused_and_the_next_request_works(program: Any, garbage: str) -> None:
    told = events(program.submit(garbage, "", 0, api_name="/frames"))
    assert told[0][1].code in ("bad_message", "unknown_job")
    assert isinstance(events(sent(program, StatusRequest()))[0][1], EngineStatus)


def test_nothing_is_answered_without_a_key(served: Served) -> None:
    script = (
        "assets/" + sorted(os.listdir(Path(gradio_client.__file__).parents[1] / "gradio/templates/frontend/assets"))[0]
    )
    for path in (
        "",
        "config",
        script,
        "static/img/logo.svg",
        "gradio_api/info",
        "gradio_api/queue/data?session_hash=a",
    ):
        for shown in ({}, {"Authorization": "Bearer wrong"}, {"X_Gan_Edit_Visitor": "anna@127.0.0.1"}):
            assert fetched(f"{served.url}/{path}", **shown)[0] == 401, path
    assert fetched(f"{served.url}/gradio_api/queue/join", b"{}", Content_Type="application/json")[0] == 401


def test_no_file_of_the_server_is_read_through_any_route(served: Served, folder: Path, key: str) -> None:
    secrets = [folder / "keys", served.connection_file, Path("/etc/passwd"), Path("/proc/self/environ"), Path(__file__)]
    mine = {"Authorization": f"Bearer {key}"}
    for secret in secrets:
        assert secret.exists()
        for route in routes_to(secret):
            status, body = fetched(f"{served.url}{route}", **mine)
            assert status in (403, 404), route
            assert secret.read_bytes()[:20] not in body or not secret.read_bytes()
        uploaded = {"path": str(secret), "meta": {"_type": "gradio.FileData"}}
        body = json.dumps({"data": [uploaded, "", 0], "fn_index": 0, "session_hash": "abc"}).encode()
        for write in ("queue/join", "call/frames", "component_server"):
            status, answer = fetched(f"{served.url}/gradio_api/{write}", body, Content_Type="application/json", **mine)
            assert secret.read_bytes()[:20] not in answer or not secret.read_bytes()


def routes_to(secret: Path) -> list[str]:
    """The places where servers of files, and Gradio's earlier versions, gave away what they should not."""
    path, up = str(secret), "../" * 12
    ways = [path, f"/tmp/..{path}", f"//{path}", f"file://{path}", f"{path}\\", path.upper(), f"/proc/self/root{path}"]
    encoded = [urllib.parse.quote(way, safe="") for way in ways] + [
        urllib.parse.quote(urllib.parse.quote(way, safe=""), safe="") for way in ways
    ]
    climbing = [f"{up}{path[1:]}", urllib.parse.quote(f"{up}{path[1:]}", safe=""), f"..%2f..%2f{path}", f"%2e%2e{path}"]
    return [f"{start}{way}".replace("\\", "%5c") for start in STARTS for way in (*ways, *encoded, *climbing)]


STARTS = (
    *("/file=", "/gradio_api/file=", "/gradio_api/file/", "/static/", "/assets/", "/svelte/", "/theme.css/"),
    *("/gradio_api/proxy=", "/gradio_api/stream/a/b/", "/gradio_api/component_server/"),
    *("/custom_component/1/client/component/", "/gradio_api/custom_component/1/client/component/"),
    "/gradio_api/deep_link?session_hash=",
)


def test_a_request_larger_than_allowed_is_not_read(served: Served, key: str) -> None:
    large = {"Authorization": f"Bearer {key}", "Content_Type": "application/json"}
    assert fetched(f"{served.url}/gradio_api/queue/join", b" " * (5 << 20), **large)[0] == 413


def test_garbage_on_every_route_harms_nobody(served: Served, program: Any, key: str) -> None:
    routes = (
        "gradio_api/queue/join",
        "gradio_api/upload",
        "gradio_api/cancel",
        "gradio_api/component_server",
        "gradio_api/reset",
    )

    async def pour() -> None:
        address = urllib.parse.urlsplit(served.url)
        for number in range(300):
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
            head = f"POST /gradio_api/{routes[number % len(routes)]} HTTP/1.1\r\nHost: {address.netloc}\r\n"
            head += "Connection: close\r\n"
            shown = f"Authorization: Bearer {key}\r\n" if number % 2 else ""
            junk = bytes((number * 7 + each * 31) % 256 for each in range(number))
            writer.write(f"{head}{shown}Content-Length: {len(junk)}\r\n\r\n".encode() + junk)
            await writer.drain()
            answer = await reader.read()
            assert b" 500 " not in answer.split(b"\r\n")[0] or number % 2
            writer.close()
            await writer.wait_closed()

    asyncio.run(pour())
    assert isinstance(events(sent(program, RandomRequest(), "9" * 32))[-1][1], ResultReady)
