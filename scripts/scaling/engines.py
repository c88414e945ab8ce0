"""Engines to be measured, each a process of its own: those whose workers compute, and those whose only take time."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from gan_edit_engine.cli.install import engine_program
from gan_edit_engine.service import ray_worker, server
from gan_edit_engine.service.worker_process import StartWorker, WorkerProcess
from gan_edit_protocol import connection
from gan_edit_protocol.client import Client
from gan_edit_protocol.transport import SocketTransport, Transport
from scaling.simulated import Effort

START_SECONDS = 900.0
RAY, PROCESSES = "ray", "processes"
SLEEPER = "scaling.simulated"
_SCRIPTS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Running:
    """An engine of which all workers are ready: its process, and its connection file."""

    process: psutil.Process
    file: Path

    @contextmanager
    def reached(self) -> Iterator[Transport]:
        """A way to it."""
        transport = SocketTransport(connection.read(self.file))
        try:
            yield transport
        finally:
            transport.close()


@contextmanager
def simulated(way: str, workers: int, effort: Effort) -> Iterator[Running]:
    """One with so many workers that only take time: actors on a local Ray, or processes."""
    environment = {**os.environ, **effort.environment(), "PYTHONPATH": str(_SCRIPTS)}
    words = [sys.executable, "-m", "scaling.engines", way, str(workers)]
    with _running(words, environment, workers) as engine:
        yield engine


@contextmanager
def computing(workers: int) -> Iterator[Running]:
    """One as everybody starts it."""
    with _running([*engine_program(), "engine", "--workers", str(workers)], dict(os.environ), workers) as engine:
        yield engine


@contextmanager
def _running(words: list[str], environment: dict[str, str], workers: int) -> Iterator[Running]:
    with tempfile.TemporaryDirectory(prefix="gan-edit-") as folder:
        file = Path(folder) / "engine.json"
        process = subprocess.Popen([*words, "--connection", str(file)], env=environment, stdout=subprocess.DEVNULL)
        try:
            _wait(file, process)
            running = Running(psutil.Process(process.pid), file)
            with running.reached() as transport:
                _wait_for_workers(Client(transport), workers)
            yield running
        finally:
            process.terminate()
            process.wait()


def _wait(file: Path, process: subprocess.Popen[bytes]) -> None:
    while not file.exists():
        if process.poll() is not None:
            raise RuntimeError(f"the engine ended with code {process.returncode}")
        time.sleep(0.1)


def _wait_for_workers(client: Client, count: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while [worker.state for worker in client.status(60.0).workers].count("idle") < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"not all of {count} workers are ready")
        time.sleep(0.5)


def main() -> None:
    """An engine with simulated workers, until it is told to end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=(RAY, PROCESSES))
    parser.add_argument("workers", type=int)
    parser.add_argument("--connection", type=Path)
    given = parser.parse_args()
    if given.way == PROCESSES:
        _serve(given, partial(WorkerProcess, module=SLEEPER))
        return
    cluster = ray_worker.join("local", cpus=1 / given.workers, computer=f"{SLEEPER}:Sleeper")
    try:
        _serve(given, cluster.start)
    finally:
        cluster.leave()


def _serve(given: argparse.Namespace, start: StartWorker) -> None:
    options = server.Options(given.connection, idle_timeout=0.0, workers=given.workers, start_worker=start)
    server.serve(options)


if __name__ == "__main__":
    main()
