"""Texts of any length, from a client or the worker: they are refused or cut, and engine and worker go on."""

from __future__ import annotations

import json
import os
import struct
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import zmq
from engine_process import EngineProcess, MakeEngine, wait_for

from gan_edit_engine.library.models_folder import MODELS_DIR_VARIABLE
from gan_edit_engine.service.worker_process import Exit, WorkerProcess, explain_exit
from gan_edit_protocol import PROTOCOL_VERSION, connection, wire
from gan_edit_protocol.errors import JobFailedError
from gan_edit_protocol.events import EngineStatus, Failed, ResultReady, WorkerStatus
from gan_edit_protocol.requests import RandomRequest
from gan_edit_protocol.transport import SocketTransport
from gan_edit_protocol.wire import MAX_NAME

JOB = "a" * 32
DEFAULT = RandomRequest()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    running = EngineProcess(tmp_path_factory.mktemp("engine"), "--idle-timeout", "0").wait_until_ready()
    with running.client() as client:
        client.run(DEFAULT)  # the worker is ready
    yield running
    running.end()


def answer_to(engine: EngineProcess, body: dict[str, Any]) -> Any:
    """The last event of a RandomRequest with this body, written as short as JSON allows."""
    header = {"version": PROTOCOL_VERSION, "job": JOB, "type": "RandomRequest", "body": body, "arrays": []}
    transport = SocketTransport(connection.read(engine.file))
    try:
        transport.send([json.dumps(header, ensure_ascii=False).encode()])
        while True:
            frames = transport.receive(30.0)
            assert frames is not None
            event = wire.decode_event(frames)[1]
            if isinstance(event, Failed | ResultReady):
                return event
    finally:
        transport.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    ["\0" + "\\" * 31_000, "m" * 65_000, "é" * 30_000, '"' * 31_000, "\x7f" * 64_000, "\U0001f408" * 16_000],
    ids=["backslashes", "letters", "accents", "quotes", "control", "cats"],
)
def test_a_name_that_no_model_can_have_is_refused_and_the_worker_goes_on(engine: EngineProcess, model: str) -> None:
    worker = engine.worker()
    assert answer_to(engine, {"model": model}).code == "bad_message"
    with engine.client() as client:
        assert isinstance(client.run(DEFAULT), ResultReady)
    assert engine.worker() == worker


@pytest.mark.slow
@pytest.mark.parametrize(
    "model", ["m" * MAX_NAME, "\0" * MAX_NAME, "\\" * MAX_NAME, "\U0001f408" * MAX_NAME, "m/" * 999]
)
def test_a_name_of_any_allowed_length_is_merely_unknown(engine: EngineProcess, model: str) -> None:
    worker = engine.worker()
    failure = answer_to(engine, {"model": model})
    assert failure.code == "unknown_model"
    assert "There is no model or file named" in failure.message
    assert engine.worker() == worker


@pytest.mark.slow
def test_more_models_than_a_message_holds_are_counted(make_engine: MakeEngine, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    names = [f"{'zebra' * 9}-{number:04}" for number in range(1500)]
    for name in names:
        (folder / f"{name}.safetensors").touch()
    engine = make_engine(**{MODELS_DIR_VARIABLE: str(folder)}).wait_until_ready()
    with engine.client() as client:
        status = client.status()
        with pytest.raises(JobFailedError, match="'zebras'"):
            client.run(RandomRequest(model="zebras"))
    assert status.models == ("default", *names)[: len(status.models)]
    assert len(status.models) > 300
    assert len(status.models) + status.more_models == 1501


def test_names_that_take_long_to_write_are_counted_too() -> None:
    models = ("default", *("\udce9" * 255 for _ in range(100)))
    status = EngineStatus.listing(models, (), version="", pid=1, jobs=0)
    assert wire.decode_event(wire.encode(JOB, status)) == (JOB, status)
    assert len(status.models) + status.more_models == 101


def test_workers_that_do_not_fit_a_message_are_counted_too() -> None:
    workers = (WorkerStatus("idle", "cuda:0 (NVIDIA H100)"), *[WorkerStatus("starting", "\udce9" * 100)] * 1000)
    status = EngineStatus.listing(("\udce9" * 255,) * 100, workers, version="", pid=1, jobs=0)
    assert wire.decode_event(wire.encode(JOB, status)) == (JOB, status)
    assert status.workers == workers[: len(status.workers)]
    assert len(status.workers) > 20
    assert len(status.workers) + status.more_workers == 1001


@pytest.mark.slow
@pytest.mark.parametrize(
    "header",
    [
        b"no JSON",
        json.dumps(
            {
                "version": PROTOCOL_VERSION,
                "job": JOB,
                "type": "Failed",
                "body": {"code": "c", "message": "m" * 64_000},
                "arrays": [],
            }
        ).encode(),
    ],
    ids=["garbage", "too long"],
)
def test_a_worker_that_cannot_be_understood_fails_the_job_and_the_engine_lives(
    make_engine: MakeEngine, tmp_path: Path, header: bytes
) -> None:
    """A module that the worker imports speaks in its place."""
    (tmp_path / "odd").mkdir()
    said = struct.pack("<IQ", 1, len(header)) + header
    (tmp_path / "odd" / "torch.py").write_text(f"import os, time\nos.write(1, {said!r})\ntime.sleep(600)\n")
    engine = make_engine(PYTHONPATH=str(tmp_path / "odd")).wait_until_ready()
    with engine.client() as client:
        with pytest.raises(JobFailedError, match="does not understand its computing process") as caught:
            client.run(DEFAULT)
        assert caught.value.code == "worker_died"
        assert client.status().workers == (WorkerStatus("failed"),)
    wait_for(lambda: not psutil.Process(engine.process.pid).children())


@pytest.mark.parametrize("code", [-11, -34, -64, 1, 120])
def test_every_end_of_a_worker_can_be_told(code: int) -> None:
    """Signal 34 has no name."""
    failure = explain_exit(Exit(code, "m" * 1_000_000), was_ready=True)
    assert (failure.code, str(abs(code)) in failure.message or "SIG" in failure.message) == ("worker_died", True)
    assert wire.encode(JOB, explain_exit(Exit(code, "\0" * 1_000_000), was_ready=False))


@pytest.mark.skipif(sys.platform != "linux", reason="the threads are counted in /proc")
@pytest.mark.parametrize("started", [0, 1, 2])
def test_a_worker_for_which_there_are_no_threads_is_not_started(monkeypatch: pytest.MonkeyPatch, started: int) -> None:
    start, left = threading.Thread.start, iter(range(started))

    def start_or_fail(thread: threading.Thread) -> None:
        if next(left, None) is None:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_or_fail)
    before = threading.active_count(), len(os.listdir("/proc/self/fd"))
    with zmq.Context() as context:
        with pytest.raises(OSError, match="can't start new thread"):
            WorkerProcess(context, 1, None)
        context.term()
    assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == before
    assert not [child for child in psutil.Process().children() if "gan_edit_engine.worker.main" in child.cmdline()]
