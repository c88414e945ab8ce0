"""Clients and engines that are stopped for a while, and programs that end while others need the engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from engine_process import EngineProcess, Job, MakeEngine, projection, python_client, wait_for
from PIL import Image

from gan_edit_engine.cli.install import engine_program
from gan_edit_engine.service.server import CHECK_SECONDS
from gan_edit_protocol import connection
from gan_edit_protocol.events import FINAL_EVENTS, Cancelled, Progress, ResultReady
from gan_edit_protocol.requests import RandomRequest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="processes are stopped by POSIX signals"),
]

ENDLESS = 20_000
PAUSE = 7.0
"""Seconds; the engine once gave up a client, and a client its engine, after five."""
WAITING = [sys.executable, "-c", "input()"]


@contextmanager
def stopped_client(engine: EngineProcess, program: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process with a ``client`` that runs ``program``, stopped as soon as that has printed "runs"."""
    with python_client(engine.file, program) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"runs\n"
            process.send_signal(signal.SIGSTOP)
            yield process
        finally:
            process.kill()


def test_a_client_that_was_stopped_gets_its_result_when_it_goes_on(make_engine: MakeEngine) -> None:
    engine = make_engine().wait_until_ready()
    program = (
        "job = Job(client, projection(8)); job.until(Progress); print('runs', flush=True); "
        "print(type(job.until(FINAL_EVENTS)).__name__, flush=True)"
    )
    with stopped_client(engine, program) as stopped, engine.client() as other:
        until = time.monotonic() + PAUSE
        wait_for(lambda: other.status().jobs == 0 and time.monotonic() > until, seconds=300)
        stopped.send_signal(signal.SIGCONT)
        assert stopped.communicate()[0] == b"ResultReady\n"


def test_a_client_waits_for_an_engine_that_was_stopped(make_engine: MakeEngine) -> None:
    engine = make_engine().wait_until_ready()
    with engine.client() as client:
        job = Job(client, projection(8))
        job.until(Progress)
        engine.process.send_signal(signal.SIGSTOP)
        until = time.monotonic() + PAUSE
        while time.monotonic() < until:
            assert not isinstance(next(job.events), FINAL_EVENTS)
        engine.process.send_signal(signal.SIGCONT)
        assert isinstance(job.until(FINAL_EVENTS), ResultReady)


def test_a_stopped_client_that_is_killed_loses_its_job(make_engine: MakeEngine) -> None:
    engine = make_engine().wait_until_ready()
    program = f"Job(client, projection({ENDLESS})).until(Progress); print('runs', flush=True)"
    with stopped_client(engine, program) as stopped, engine.client() as other:
        assert other.status().jobs == 1
        stopped.kill()
        wait_for(lambda: other.status().jobs == 0)


# --- users --------------------------------------------------------------------------------------------------------


def after_the_next_check(job: Job) -> None:
    """Reads a job's events until the engine has looked at its users once more."""
    until = time.monotonic() + 2 * CHECK_SECONDS
    while time.monotonic() < until:
        assert not isinstance(next(job.events), FINAL_EVENTS)


def test_the_engine_goes_on_for_its_other_users_and_ends_with_the_last(make_engine: MakeEngine) -> None:
    with (
        subprocess.Popen(WAITING, stdin=subprocess.PIPE) as first,
        subprocess.Popen(WAITING, stdin=subprocess.PIPE) as second,
    ):
        engine = make_engine("--end-with", str(first.pid)).wait_until_ready()
        with engine.client() as client:
            client.status(user=second.pid)
            job = Job(client, projection(ENDLESS))
            job.until(Progress)
            first.kill()
            after_the_next_check(job)
            job.cancel()
            assert job.until(FINAL_EVENTS) == Cancelled()
            assert isinstance(client.run(RandomRequest()), ResultReady)
        second.kill()
        assert engine.process.wait(30) == 0, engine.log
    assert not engine.file.exists()


def test_a_job_of_somebody_who_is_no_user_is_finished_before_the_engine_ends(make_engine: MakeEngine) -> None:
    with subprocess.Popen(WAITING, stdin=subprocess.PIPE) as owner:
        engine = make_engine("--end-with", str(owner.pid)).wait_until_ready()
        with engine.client() as client:
            job = Job(client, projection(ENDLESS))
            job.until(Progress)
            owner.kill()
            after_the_next_check(job)
            job.cancel()
            assert job.until(FINAL_EVENTS) == Cancelled()
        assert engine.process.wait(30) == 0, engine.log


def run_cli(engine: EngineProcess, *words: str) -> subprocess.Popen[str]:
    environment = {**os.environ, connection.ENVIRONMENT_VARIABLE: str(engine.file)}
    return subprocess.Popen(
        [*engine_program(), *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_command_is_told_that_the_engine_was_ended_and_is_not_called_cancelled(
    make_engine: MakeEngine, tmp_path: Path
) -> None:
    engine = make_engine().wait_until_ready()
    output = tmp_path / "out.png"
    with engine.client() as client:
        client.run(RandomRequest())
        working = run_cli(
            engine, *("project", str(photo(tmp_path)), "--output", str(output)), *("--set", f"steps={ENDLESS}")
        )
        wait_for(lambda: client.status().workers[0].state == "busy")
    assert run_cli(engine, "stop").communicate()[0] == "The engine has ended.\n"
    _, words = working.communicate()
    assert "The GAN Edit engine was told to end before this was done. Try again" in words
    assert working.returncode == 1
    assert not output.exists()


def photo(folder: Path) -> Path:
    Image.new("RGB", (64, 64), "gray").save(folder / "photo.png")
    return folder / "photo.png"
