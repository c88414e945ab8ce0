"""One engine per connection file: a lock for as long as it lives, and word of the one that has it."""

from __future__ import annotations

import time
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from gan_edit_protocol import connection
from gan_edit_protocol.client import Client
from gan_edit_protocol.errors import EngineUnavailableError, GanEditError
from gan_edit_protocol.transport import SocketTransport

OTHER_ENGINE_SECONDS = 30.0
"""Another engine gets this long to answer, or to end: it may be starting, or on its way out."""


def hold(connection_file: Path) -> BaseFileLock | None:
    """The lock of ``connection_file``, held; None when a running engine that answers has it.

    The system releases the lock however its holder ends. Raises :class:`EngineUnavailableError` when another engine
    has it but does not answer.
    """
    lock = FileLock(f"{connection_file}.lock", mode=0o600)
    deadline = time.monotonic() + OTHER_ENGINE_SECONDS
    while time.monotonic() < deadline:
        try:
            connection_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock.acquire(timeout=1.0)
            return lock
        except Timeout:
            if _answers(connection_file):
                return None
        except OSError as error:
            raise connection.cannot_write(connection_file, error) from None
    raise EngineUnavailableError(
        f"Another engine holds {connection_file} but does not answer.", "End that process, then start the engine again."
    )


def _answers(connection_file: Path) -> bool:
    try:
        with Client(SocketTransport(connection.read(connection_file))) as client:
            client.status(timeout=2.0)
    except GanEditError:
        return False
    return True
