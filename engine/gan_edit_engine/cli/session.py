"""The command line's way to an engine: the running one, else one that stays for a while, or a private one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import platformdirs
import typer

from gan_edit_engine.cli.install import engine_program
from gan_edit_protocol import connection, launch, remote
from gan_edit_protocol.client import Client
from gan_edit_protocol.errors import EngineUnavailableError, SettingError, shortened
from gan_edit_protocol.events import EngineStatus
from gan_edit_protocol.launch import EngineCommand, connect, connect_or_start, may_be_replaced, wait_for_end
from gan_edit_protocol.remote import RemoteTransport

LOCAL = "local"
AUTO = "auto"
MAX_WORKERS = 256
Workers = Annotated[
    str,
    typer.Option(
        metavar="N",
        help=f"Jobs to compute at the same time, or {AUTO}: one on each graphics card, else one on the processor.",
    ),
]

KEPT_SECONDS = 300
"""An engine that a command started waits so long for the next one, which then need not load torch and the model."""


def default_engine() -> EngineCommand:
    """The engine that the user's programs share."""
    log_file = Path(platformdirs.user_log_dir("gan-edit", appauthor=False)) / "engine.log"
    return EngineCommand(tuple(engine_program()), connection.default_path(), log_file)


_chosen: ContextVar[str] = ContextVar("engine", default=LOCAL)


def choose(where: str) -> None:
    """Which engine the command uses: ``LOCAL``, or a server's address of which ``gan-edit connect`` knows the key."""
    _chosen.set(where)


def remote_client(url: str) -> Client:
    """A client of a server's engine; GanEditError when it cannot be had."""
    return launch.greeted(Client(RemoteTransport(remote.stored(url.rstrip("/"), remote.default_path()))), url)


def count_of(workers: str) -> int | None:
    """The number of workers that is meant, None for one per device; SettingError when it is none."""
    if workers == AUTO:
        return None
    count = int(workers) if workers.isdecimal() and len(workers) <= len(str(MAX_WORKERS)) else 0
    if not 1 <= count <= MAX_WORKERS:
        raise SettingError(
            f"{shortened(workers)!r} is no number of workers.", f"Give one from 1 to {MAX_WORKERS}, or {AUTO}."
        )
    return count


@contextmanager
def engine(device: str | None = None, keep: bool = True) -> Iterator[Client]:
    """A client of the running engine when one answers and computes on ``device`` (None: any), else of a new one.

    ``keep``: the new one serves whoever comes within ``KEPT_SECONDS``. Otherwise, and where an engine runs on another
    device or is of another version and cannot be replaced, it is private: shut down at the end, and it also ends when
    this process does.
    """
    if _chosen.get() != LOCAL:
        if device is not None:
            raise SettingError("A server computes on its own device.", "Leave --device out.")
        with remote_client(_chosen.get()) as client:
            yield client
        return
    running, other = _running_engine(device)
    if running is None and keep and not other:
        running = connect_or_start(replace(default_engine(), options=_options(device, KEPT_SECONDS)))
    if running is not None:
        with running:
            yield running
        return
    with tempfile.TemporaryDirectory(prefix="gan-edit-", ignore_cleanup_errors=True) as folder:
        command = EngineCommand(
            *(tuple(engine_program()), Path(folder) / "engine.json", Path(folder) / "engine.log"),
            (*_options(device), "--workers", "1"),
        )
        with connect_or_start(command, end_with=os.getpid()) as client:
            try:
                yield client
            finally:
                client.shutdown()
                wait_for_end(command.connection_file)


def _options(device: str | None, idle_seconds: int | None = None) -> tuple[str, ...]:
    """Of ``gan-edit engine``."""
    on = () if device is None else ("--device", device)
    return on if idle_seconds is None else (*on, "--idle-timeout", str(idle_seconds))


def _running_engine(device: str | None) -> tuple[Client | None, bool]:
    """A client of the running engine if it computes on ``device``, and whether one runs and stays that does not."""
    try:
        client = connect(default_engine(), os.getpid())
        if client.speaks_our_version and (device is None or computes_on(device, client.status())):
            return client, False
        with client:
            return None, not may_be_replaced(client)
    except EngineUnavailableError:
        return None, False


def computes_on(device: str, status: EngineStatus) -> bool:
    """Whether all workers of an engine whose device is known compute on ``device``, such as ``cuda`` or ``cuda:1``."""
    devices = {worker.device.split(" ")[0] for worker in status.workers if worker.device}
    return bool(devices) and all(own == device or own.startswith(f"{device}:") for own in devices)
