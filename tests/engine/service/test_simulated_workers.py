"""A real engine whose workers only wait a little for each job: many of them, and what holds when they are killed."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from engine_process import wait_for

from gan_edit_protocol import connection
from gan_edit_protocol.client import Client
from gan_edit_protocol.errors import JobFailedError
from gan_edit_protocol.requests import RandomRequest
from gan_edit_protocol.settings import RandomSettings
from gan_edit_protocol.transport import SocketTransport

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the deaths are those of POSIX signals"),
]

WORKERS, CLIENTS, JOBS = 8, 12, 20
WORKER = """
import os, sys, time
from gan_edit_protocol import wire
from gan_edit_protocol.arrays import Array
from gan_edit_protocol.events import EngineStatus, ResultReady, WorkerStatus
from gan_edit_protocol.latent import Latent
from gan_edit_protocol.transport import read_message, write_message

def say(job, event):
    write_message(sys.stdout.buffer, wire.encode(job, event))

say("0" * 32, EngineStatus(workers=(WorkerStatus("idle", "pretended"),)))
while frames := read_message(sys.stdin.buffer):
    job, request = wire.decode_request(frames)
    with open(os.environ["DONE"], "a") as done:
        done.write(f"{request.settings.seed}\\n")
    time.sleep(0.05)
    latent = Latent(Array("float32", (1, 1), bytes(4)))
    say(job, ResultReady(Array("uint8", (1, 1, 3), bytes(3)), latent, seed=request.settings.seed))
"""
ENGINE = f"""
import sys
from functools import partial
from pathlib import Path
from gan_edit_engine.service.server import Options, serve
from gan_edit_engine.service.worker_process import WorkerProcess
serve(Options(Path(sys.argv[1]), workers={WORKERS}, start_worker=partial(WorkerProcess, module="simulated")))
"""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[psutil.Process]:
    """Its connection file is engine.json, and in "done" there is a line for each job that a worker has begun."""
    (tmp_path / "simulated.py").write_text(WORKER)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "DONE": str(tmp_path / "done")}
    command = [sys.executable, "-c", ENGINE, str(tmp_path / "engine.json")]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        wait_for((tmp_path / "engine.json").exists)
        yield psutil.Process(process.pid)
        process.terminate()


def client_of(folder: Path) -> Client:
    return Client(SocketTransport(connection.read(folder / "engine.json")))


def test_no_job_is_lost_or_done_twice_while_workers_are_killed(engine: psutil.Process, tmp_path: Path) -> None:
    ended: list[tuple[int, int | str]] = []  # of each job its seed, and that of its result or why there is none

    def ask(number: int) -> None:
        with client_of(tmp_path) as client:
            for seed in range(number * JOBS, (number + 1) * JOBS):
                try:
                    result = client.run(RandomRequest(settings=RandomSettings(seed=seed)))
                except JobFailedError as error:
                    ended.append((seed, error.code))
                else:
                    ended.append((seed, result.seed))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(CLIENTS)]
    with client_of(tmp_path) as client:
        wait_for(lambda: len(client.status().workers) == WORKERS)
    for thread in threads:
        thread.start()
    chance, kills = random.Random(0), 0
    while any(thread.is_alive() for thread in threads):
        workers = engine.children()
        if len(workers) == WORKERS:
            chance.choice(workers).kill()
            kills += 1
        time.sleep(0.2)
    for thread in threads:
        thread.join()
    assert sorted(seed for seed, _ in ended) == list(range(CLIENTS * JOBS))
    assert all(how in (seed, "worker_died") for seed, how in ended)
    assert 0 < kills >= sum(how == "worker_died" for _, how in ended)
    begun = [int(line) for line in (tmp_path / "done").read_text().split()]
    assert sorted(begun) == sorted(set(begun))
    assert {seed for seed, how in ended if how == seed} <= set(begun)
