"""The command line's way to an engine: the running one, else a private one for this command only."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from gan_edit_engine.install import engine_program
from gan_edit_protocol import connection
from gan_edit_protocol.client import Client
from gan_edit_protocol.errors import EngineUnavailableError
from gan_edit_protocol.launch import EngineCommand, connect, connect_or_start

END_SECONDS = 5.0


def default_engine() -> EngineCommand:
    """The engine that the user's programs share."""
    log_file = Path(platformdirs.user_log_dir("gan-edit", appauthor=False)) / "engine.log"
    return EngineCommand(tuple(engine_program()), connection.default_path(), log_file)


@contextmanager
def engine(device: str | None = None) -> Iterator[Client]:
    """A client of the running engine when one answers and computes on ``device`` (None: any), else of a private one.

    A private engine is shut down at the end; it also ends when this process does.
    """
    client = _running_engine(device)
    if client is not None:
        with client:
            yield client
        return
    with tempfile.TemporaryDirectory(prefix="gan-edit-", ignore_cleanup_errors=True) as folder:
        arguments = () if device is None else ("--device", device)
        command = EngineCommand(
            tuple(engine_program()), Path(folder) / "engine.json", Path(folder) / "engine.log", arguments
        )
        with connect_or_start(command, end_with=os.getpid()) as client:
            try:
                yield client
            finally:
                client.shutdown()
                wait_for_end(command.connection_file)


def _running_engine(device: str | None) -> Client | None:
    try:
        client = connect(default_engine())
        if device is None or client.status().device.split(" ")[0] == device:
            return client
    except EngineUnavailableError:
        return None
    client.close()
    return None


def wait_for_end(connection_file: Path) -> None:
    """The engine removes its connection file last of all."""
    deadline = time.monotonic() + END_SECONDS
    while connection_file.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
