"""What the service makes of its workers' processes, here of a module that speaks as it is told to, without torch."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import zmq

from gan_edit_engine.service import worker_process
from gan_edit_engine.service.crew import Crew
from gan_edit_engine.service.events import Stimulus, WorkerDied, WorkerReady, WorkerSaid
from gan_edit_engine.service.worker_process import StartWorker, WorkerProcess, sharing_cores
from gan_edit_protocol import wire
from gan_edit_protocol.events import Cancelled
from gan_edit_protocol.requests import CancelRequest

JOB = "0123456789abcdef0123456789abcdef"
HEAD = """
import os, sys
from gan_edit_protocol import wire
from gan_edit_protocol.events import *
from gan_edit_protocol.transport import read_message, write_message
def say(event, job="0" * 32):
    write_message(sys.stdout.buffer, wire.encode(job, event))
"""

Speaking = Callable[[str], StartWorker]


@pytest.fixture
def speaking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Speaking:
    """Makes a worker of a few lines of Python."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))

    def start(lines: str) -> StartWorker:
        (tmp_path / "simulated.py").write_text(HEAD + lines)
        return partial(WorkerProcess, module="simulated")

    return start


@contextmanager
def crew_of(start_worker: StartWorker) -> Iterator[Crew]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    crew = Crew(context, start_worker)
    try:
        yield crew
    finally:
        assert crew.close()
        context.term()


def heard(crew: Crew) -> list[Stimulus]:
    """What the next message tells."""
    assert crew.socket.poll(30_000)
    return crew.hear()


def test_a_worker_greets_with_its_device_and_those_for_others(speaking: Speaking) -> None:
    lines = "say(EngineStatus(workers=tuple(WorkerStatus('', f'cuda:{n} (H100)') for n in range(2)))); sys.stdin.read()"
    with crew_of(speaking(lines)) as crew:
        assert crew.start(3, None) == []
        assert heard(crew) == [WorkerReady(3, "cuda:0 (H100)", ("cuda:0", "cuda:1"))]


def test_each_worker_is_told_and_heard_by_its_own_number(speaking: Speaking) -> None:
    lines = """
say(EngineStatus(workers=(WorkerStatus("idle", sys.argv[-1]),)))
while frames := read_message(sys.stdin.buffer):
    job, request = wire.decode_request(frames)
    say(Cancelled(), job)
"""
    with crew_of(speaking(lines)) as crew:
        for worker, device in ((1, "a"), (2, "b")):
            crew.start(worker, device)
            assert heard(crew) == [WorkerReady(worker, device, (device,))]
        for worker in (2, 1):
            crew.tell(worker, wire.encode(JOB, CancelRequest(JOB)))
            assert heard(crew) == [WorkerSaid(worker, JOB, Cancelled())]
        crew.kill(1)
        crew.tell(1, wire.encode(JOB, CancelRequest(JOB)))
        assert heard(crew) == []  # its end, which is no news
        crew.tell(2, wire.encode(JOB, CancelRequest(JOB)))
        assert heard(crew) == [WorkerSaid(2, JOB, Cancelled())]


@pytest.mark.parametrize("lines", ["say(EngineStatus())", "say(WorkerStatus())"], ids=["no device", "no event"])
def test_a_worker_that_greets_with_nonsense_is_killed(speaking: Speaking, lines: str) -> None:
    with crew_of(speaking(lines + "; sys.stdin.read()")) as crew:
        crew.start(1, None)
        ((died),) = heard(crew)
        assert isinstance(died, WorkerDied)
        assert "does not understand its computing process" in died.failure.message
        assert heard(crew) == []


def test_a_worker_that_cannot_be_started_is_a_death() -> None:
    def start(context: zmq.Context[zmq.Socket[bytes]], number: int, device: str | None) -> WorkerProcess:
        raise OSError(errno.EMFILE, "Too many open files")

    with crew_of(start) as crew:
        (died,) = crew.start(4, None)
    assert isinstance(died, WorkerDied)
    assert (died.worker, died.hopeless, died.failure.code) == (4, False, "worker_start")


@pytest.mark.parametrize(
    ("count", "own", "threads"),
    [(None, None, "none"), (1, None, "none"), (2, None, "4"), (16, None, "1"), (2, "7", "7")],
)
def test_workers_share_the_cores_unless_the_user_says_how_many_threads(
    speaking: Speaking, monkeypatch: pytest.MonkeyPatch, count: int | None, own: str | None, threads: str
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if own is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", own)
    monkeypatch.setattr(worker_process, "_cores", lambda: 8)
    module = speaking("say(EngineStatus(workers=(WorkerStatus('', os.environ.get('OMP_NUM_THREADS', 'none')),)))")
    with crew_of(partial(sharing_cores(count), **module.keywords)) as crew:
        crew.start(1, None)
        assert heard(crew) == [WorkerReady(1, threads, (threads,))]
        assert isinstance(heard(crew)[0], WorkerDied)
