"""An engine with two real workers on the processor."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from engine_process import EngineProcess, Job, projection, wait_for

from gan_edit_engine.cli.install import engine_program
from gan_edit_protocol import connection, wire
from gan_edit_protocol.events import FINAL_EVENTS, Accepted, Cancelled, Failed, Progress, ResultReady, WorkerStatus
from gan_edit_protocol.requests import CancelRequest, RandomRequest
from gan_edit_protocol.transport import SocketTransport

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the deaths are those of POSIX signals"),
]

ENDLESS = 20_000
"""Steps that no test waits for."""
IDLE, BUSY = WorkerStatus("idle", "cpu"), WorkerStatus("busy", "cpu")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    engine = EngineProcess(tmp_path_factory.mktemp("engine"), "--idle-timeout", "0", "--workers", "2")
    yield engine.wait_until_ready()
    engine.end()


@pytest.fixture
def engine(running: EngineProcess) -> EngineProcess:
    """One whose two workers have nothing to do."""
    with running.client() as client:
        wait_for(lambda: client.status().workers == (IDLE, IDLE))
    return running


@pytest.fixture
def jobs(engine: EngineProcess) -> Iterator[list[Job]]:
    """Two jobs without an end, of a client each, of which both have made a step; they end with their clients."""
    with ExitStack() as opened:
        jobs = [Job(opened.enter_context(engine.client()), projection(ENDLESS)) for _ in range(2)]
        for job in jobs:
            job.until(Progress)
        yield jobs


def first_end(jobs: list[Job]) -> tuple[Job, Any]:
    """The first of running jobs that ends, and how."""
    for job in itertools.cycle(jobs):
        if isinstance(event := next(job.events), FINAL_EVENTS):
            return job, event
    raise AssertionError("there are no jobs")


def advances(job: Job) -> bool:
    """Whether the job makes a step more than it has made by now."""
    before = job.until(Progress).step
    wait_for(lambda: job.until(Progress).step > before)
    return True


def test_two_jobs_are_computed_at_the_same_time(engine: EngineProcess, jobs: list[Job]) -> None:
    assert all(map(advances, jobs))
    with engine.client() as client:
        status = client.status()
    assert (status.workers, status.jobs) == ((BUSY, BUSY), 2)


def test_one_of_two_running_jobs_is_cancelled_and_the_other_goes_on(engine: EngineProcess, jobs: list[Job]) -> None:
    jobs[0].cancel()
    assert jobs[0].until(FINAL_EVENTS) == Cancelled()
    assert advances(jobs[1])
    with engine.client() as client:
        assert isinstance(client.run(RandomRequest()), ResultReady)


def test_a_worker_killed_in_a_job_takes_no_other_along_and_is_started_anew(
    engine: EngineProcess, jobs: list[Job]
) -> None:
    killed, spared = engine.workers(2)
    killed.kill()
    hurt, event = first_end(jobs)
    assert isinstance(event, Failed)
    assert event.code == "worker_died"
    (other,) = (job for job in jobs if job is not hurt)
    assert advances(other)
    with engine.client() as client:
        wait_for(lambda: sorted(worker.state for worker in client.status().workers) == ["busy", "idle"])
        assert isinstance(client.run(RandomRequest()), ResultReady)
    assert advances(other)
    assert spared.is_running()
    assert len(engine.workers(2)) == 2


def test_a_batch_of_one_client_lets_the_single_job_of_another_go_first(engine: EngineProcess) -> None:
    names = [f"{number:032x}" for number in range(8)]
    batch = SocketTransport(connection.read(engine.file))
    for name in names:
        batch.send(wire.encode(name, projection(ENDLESS)))
    with engine.client() as client:
        wait_for(lambda: client.status().jobs == len(names))
        single = Job(client, RandomRequest())
        assert single.until(Accepted) == Accepted(1)
        batch.send(wire.encode(names[0], CancelRequest(names[0])))
        assert isinstance(single.until(FINAL_EVENTS), ResultReady)
    batch.close()


def test_the_status_shows_each_worker(engine: EngineProcess) -> None:
    command = [*engine_program(), "status", "--connection", str(engine.file)]
    told = subprocess.check_output(command, text=True)
    assert f"process {engine.process.pid}: 0 jobs\n" in told
    assert "worker 1: idle, cpu\nworker 2: idle, cpu\n" in told
    about = json.loads(subprocess.check_output([*command, "--json"], text=True))
    assert about["workers"] == [{"state": "idle", "device": "cpu"}] * 2
