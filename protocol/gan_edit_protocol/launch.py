"""Connect to the running engine, or start one and connect to that."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from . import connection
from .client import Client
from .errors import EngineUnavailableError, GanEditError
from .transport import PipeTransport, SocketTransport, Transport, has_zmq

START_SECONDS = 60.0
_FOREIGN_VARIABLES = ("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "GI_TYPELIB_PATH", "GTK_PATH", "GIO_MODULE_DIR")


@dataclass(frozen=True)
class EngineCommand:
    """How to run the ``gan-edit`` program (a list of words), its files, and ``options`` for ``gan-edit engine``."""

    program: tuple[str, ...]
    connection_file: Path
    log_file: Path
    options: tuple[str, ...] = ()


def clean_environment() -> dict[str, str]:
    """The environment without what GIMP sets for its own Python, which would break the engine's."""
    return {name: value for name, value in os.environ.items() if name not in _FOREIGN_VARIABLES}


def connect(command: EngineCommand) -> Client:
    """A client of the engine that is running now; :class:`EngineUnavailableError` when none answers."""
    found = connection.read(command.connection_file)
    transport: Transport
    if has_zmq():
        transport = SocketTransport(found)
    else:
        relay = [*command.program, "relay", "--connection", str(command.connection_file)]
        transport = PipeTransport(relay, clean_environment())
    client = Client(transport)
    try:
        client.status()
    except GanEditError:
        client.close()
        raise
    return client


def connect_or_start(
    command: EngineCommand, end_with: int | None = None, waiting: Callable[[float], None] = lambda seconds: None
) -> Client:
    """A client of the running engine, started first when none answers.

    ``end_with``: the engine ends when this process does. ``waiting(seconds)`` is called a few times a second while the
    engine starts; an exception from it stops the wait. Raises :class:`EngineUnavailableError` with the engine's last
    words when it does not come up in a minute.
    """
    before = _peek(command.connection_file)
    try:
        return connect(command)
    except EngineUnavailableError:
        pass  # nobody answers there
    process = _start(command, end_with)
    # The engine may outlive this program; if it does not, somebody has to take note of its end.
    threading.Thread(target=process.wait, daemon=True).start()
    started = time.monotonic()
    while time.monotonic() - started < START_SECONDS:
        waiting(time.monotonic() - started)
        time.sleep(0.2)
        code = process.poll()
        # A stale file is never removed here: another program that starts an engine now may have just replaced it.
        # An engine that ends at once with 0 has found another one that answers.
        if code == 0 or _peek(command.connection_file) not in (before, None):
            return connect(command)
        if code is not None:
            break
    raise EngineUnavailableError(
        f"The GAN Edit engine did not start: {_last_words(command.log_file)}", f"Its log is {command.log_file}."
    )


def _peek(connection_file: Path) -> connection.Connection | None:
    try:
        return connection.read(connection_file)
    except EngineUnavailableError:
        return None


def _start(command: EngineCommand, end_with: int | None) -> subprocess.Popen[bytes]:
    words = [*command.program, "engine", "--connection", str(command.connection_file), *command.options]
    if end_with is not None:
        words += ["--end-with", str(end_with)]
    with _open_log(command.log_file) as log:
        try:
            return subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=clean_environment(),
                start_new_session=sys.platform != "win32",
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            raise EngineUnavailableError(
                f"The GAN Edit engine could not be started: {words[0]} ({error.strerror}).",
                "Run gan-edit install-plugin again, from the environment in which GAN Edit is installed.",
            ) from None


def _open_log(file: Path) -> IO[bytes]:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return file.open("wb")
    except OSError as error:
        raise EngineUnavailableError(
            f"The GAN Edit engine was not started: its log {file} cannot be written ({error.strerror}).",
            "Make room there, and make the folder yours.",
        ) from None


def _last_words(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1] if lines else "it ended without a word."
