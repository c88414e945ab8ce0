"""A real engine process for tests, and the small jobs that they give it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from gan_edit_engine.cli.install import engine_program
from gan_edit_protocol import connection
from gan_edit_protocol.arrays import Array
from gan_edit_protocol.client import Client
from gan_edit_protocol.geometry import Crop
from gan_edit_protocol.requests import JobRequest, ProjectRequest
from gan_edit_protocol.settings import ProjectSettings
from gan_edit_protocol.transport import SocketTransport

START_SECONDS = 60.0
PHOTO = Array("uint8", (64, 64, 3), bytes(range(192)) * 64)


class EngineProcess:
    """``gan-edit engine`` as its own process. ``log`` is what it has written so far.

    ``descriptors``: how many files and connections the system lets it have open; None: as many as this process.
    ``protocol``: the version that it speaks, if not this one; its worker speaks this one. ``script``: runs it instead
    of the command.
    """

    def __init__(
        self,
        folder: Path,
        *options: str,
        environment: dict[str, str] | None = None,
        descriptors: int | None = None,
        protocol: int | None = None,
        script: Path | None = None,
    ) -> None:
        self.file = folder / "engine.json"
        self._log_file = folder / f"engine-{time.monotonic_ns()}.log"
        program = engine_program() if script is None else [sys.executable, str(script)]
        if protocol is not None:
            lines = f"import gan_edit_protocol as p; p.PROTOCOL_VERSION = {protocol}"
            program = [sys.executable, "-c", f"{lines}; from gan_edit_engine.cli import app; app.main()"]
        command = [*program, "engine", "--connection", str(self.file), *options]
        if descriptors is not None:
            command = ["sh", "-c", f'ulimit -n {descriptors} && exec "$@"', "sh", *command]
        with self._log_file.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **(environment or {})},
            )

    def wait_until_ready(self) -> EngineProcess:
        """Until its connection file is there; the worker may still be starting."""
        wait_for(lambda: self.file.exists() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log
        return self

    @property
    def log(self) -> str:
        return self._log_file.read_text(encoding="utf-8", errors="replace")

    def client(self) -> Client:
        return Client(SocketTransport(connection.read(self.file)))

    def worker(self) -> psutil.Process:
        """Its worker process, once there is one."""
        return self.workers()[0]

    def workers(self, count: int = 1) -> list[psutil.Process]:
        """Its worker processes, once there are at least ``count``."""
        found: list[psutil.Process] = []

        def look() -> bool:
            found[:] = psutil.Process(self.process.pid).children()
            return len(found) >= count

        wait_for(look)
        return found

    def end(self) -> None:
        """End it in whatever state it is."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


MakeEngine = Callable[..., EngineProcess]
"""What the fixture ``make_engine`` gives."""


class Job:
    """A job under way, read event by event."""

    def __init__(self, client: Client, request: JobRequest) -> None:
        self._cancelled = False
        self.events = client.events(request, lambda: self._cancelled)

    def cancel(self) -> None:
        """Ask for its end; the request leaves with the next event that is read."""
        self._cancelled = True

    def until(self, kind: type | tuple[type, ...]) -> Any:
        """The next event of this kind."""
        return next(event for event in self.events if isinstance(event, kind))


def wait_for(condition: Callable[[], bool], seconds: float = START_SECONDS) -> None:
    """Until ``condition()`` holds; the test fails when it does not within ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} seconds in vain"
        time.sleep(0.02)


def projection(steps: int = 2, **changes: Any) -> ProjectRequest:
    """A job of about ``steps`` steps; many steps make one that does not end while a test looks on."""
    settings = ProjectSettings(steps=steps, init_samples=1, cache=False)
    return ProjectRequest(PHOTO, crop=Crop(32.0, 32.0, 64.0), settings=settings, **changes)


def python_client(file: Path, program: str) -> subprocess.Popen[bytes]:
    """Another process with a ``client`` of the engine at ``file``, running ``program``."""
    lines = [
        "from pathlib import Path",
        "from engine_process import *",
        "from gan_edit_protocol.events import FINAL_EVENTS, Progress",
        f"client = Client(SocketTransport(connection.read(Path({str(file)!r}))))",
        program,
    ]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    return subprocess.Popen([sys.executable, "-c", "\n".join(lines)], env=environment, stdout=subprocess.PIPE)
