"""A full memory, wherever it is noticed, is told as that, and the next job runs."""

from __future__ import annotations

import errno
import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
import torch
from engine_process import EngineProcess, wait_for

from gan_edit_engine.checkpoints import CheckpointError
from gan_edit_engine.cli import app as cli
from gan_edit_engine.service.worker_process import Exit, explain_exit
from gan_edit_engine.system import out_of_memory
from gan_edit_engine.worker import pipes as worker
from gan_edit_protocol.arrays import Array
from gan_edit_protocol.client import Client
from gan_edit_protocol.errors import GanEditError, JobFailedError
from gan_edit_protocol.events import ResultReady
from gan_edit_protocol.requests import ProjectRequest, RandomRequest
from gan_edit_protocol.settings import ProjectSettings

FAR_TOO_MANY = 1 << 46  # bytes: more than any machine's memory, and less than what a size may be


def _damaged_for_want_of_memory() -> None:
    try:
        torch.empty(FAR_TOO_MANY, dtype=torch.uint8)
    except RuntimeError:
        raise CheckpointError(Path("cats.pkl"), "it is damaged") from None


def _system() -> None:
    raise OSError(errno.ENOMEM, "Cannot allocate memory")


@pytest.mark.parametrize(
    "use_up",
    [
        lambda: bytes(FAR_TOO_MANY),
        lambda: np.empty(FAR_TOO_MANY, np.uint8),
        lambda: torch.empty(FAR_TOO_MANY, dtype=torch.uint8),
        lambda: cv2.copyMakeBorder(np.zeros((1, 1, 4)), 0, 1 << 20, 0, 1 << 20, cv2.BORDER_CONSTANT),
        _damaged_for_want_of_memory,
        _system,
    ],
    ids=["Python", "numpy", "torch", "OpenCV", "a reader of model files", "the system"],
)
def test_the_error_of_every_library_is_understood(use_up: Callable[[], object]) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - each library has a class of its own
        use_up()
    assert out_of_memory.is_out_of_memory(caught.value)


@pytest.mark.parametrize("error", [ValueError("odd"), GanEditError("bad_image", "out of memory.png is damaged.")])
def test_other_errors_are_none_of_memory(error: Exception) -> None:
    assert not out_of_memory.is_out_of_memory(error)


@pytest.mark.parametrize(
    "words", ["RuntimeError: can't start new thread", "terminate called after throwing an instance of 'std::bad_alloc'"]
)
def test_a_worker_that_dies_of_it_is_told_as_that(words: str) -> None:
    for ended in (Exit(out_of_memory.EXIT_CODE, ""), Exit(1, words), Exit(-6, words)):
        assert explain_exit(ended, was_ready=True).code == "out_of_memory"


@pytest.mark.parametrize(("error", "code"), [(MemoryError(), out_of_memory.EXIT_CODE), (SystemError("odd"), 1)])
def test_a_worker_that_cannot_read_its_jobs_ends_whatever_the_reason(
    monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    """The process lived on and heard of no job any more, nor of its engine's end."""
    codes: list[int] = []
    ended = threading.Event()

    def read(stream: object) -> None:
        raise error

    def end(code: int) -> None:
        codes.append(code)
        ended.set()

    monkeypatch.setattr(worker, "read_message", read)
    monkeypatch.setattr(worker.os, "_exit", end)
    monkeypatch.setattr(threading, "excepthook", lambda arguments: None)
    worker.Inbox(io.BytesIO())
    assert ended.wait(10)
    assert codes == [code]


@pytest.mark.parametrize("error", [MemoryError(), np.exceptions.AxisError("odd")])
def test_a_command_tells_of_full_memory_and_of_nothing_else_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    def fail(args: object) -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit if isinstance(error, MemoryError) else type(error)):
        cli.main([])
    assert ("memory is full" in capsys.readouterr().err) == isinstance(error, MemoryError)


# --- a real worker ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EngineProcess, Client]]:
    engine = EngineProcess(tmp_path_factory.mktemp("engine"), "--idle-timeout", "0").wait_until_ready()
    with engine.client() as client:
        client.status()  # the connection is there before any test: none of them leaves it behind
        yield engine, client
    engine.end()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(psutil.Process, "rlimit"), reason="the limit of another process is Linux's to set")
@pytest.mark.parametrize("spare", [40, 250], ids=["while it receives the photo", "while it computes"])
def test_a_job_that_does_not_fit_fails_by_name_and_the_next_one_runs(
    client: tuple[EngineProcess, Client], spare: int
) -> None:
    engine, talk = client
    side = 5000
    settings = ProjectSettings(steps=1, init_samples=1, cache=False)
    request = ProjectRequest(Array("uint8", (side, side, 3), bytes(side * side * 3)), settings=settings)
    assert isinstance(talk.run(RandomRequest()), ResultReady)  # the worker has started, and has the model
    process = engine.worker()
    room = process.memory_info().vms + (spare << 20)
    process.rlimit(psutil.RLIMIT_AS, (room, room))
    with pytest.raises(JobFailedError) as caught:
        talk.run(request)
    assert caught.value.code == "out_of_memory"
    assert "Select a smaller part" in caught.value.hint
    assert isinstance(talk.run(RandomRequest()), ResultReady)


@pytest.mark.slow
def test_an_idle_engine_keeps_nothing_of_the_last_photo(client: tuple[EngineProcess, Client]) -> None:
    """Engine and worker kept 1.5 and 2.4 GB of a large one."""
    engine, talk = client
    side = 5000
    settings = ProjectSettings(steps=1, init_samples=1, cache=False)

    def project(side: int) -> None:
        talk.run(ProjectRequest(Array("uint8", (side, side, 3), bytes(side * side * 3)), settings=settings))

    project(64)
    processes = [psutil.Process(engine.process.pid), engine.worker()]
    before = [process.memory_info().rss for process in processes]
    project(side)

    def kept() -> int:
        return max(process.memory_info().rss - size for process, size in zip(processes, before, strict=True))

    wait_for(lambda: kept() < side * side * 2, seconds=20.0)
