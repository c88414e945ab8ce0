"""``gan-edit relay``: carries messages between its standard streams and the engine's socket.

It serves a Python without ZeroMQ (GIMP's own on Windows, macOS and Flatpak) and ends with its standard input.
"""

from __future__ import annotations

import queue
import sys
import threading
from pathlib import Path
from typing import IO

from gan_edit_protocol import connection
from gan_edit_protocol.errors import WireError
from gan_edit_protocol.transport import SocketTransport, Transport, read_message, write_message

POLL_SECONDS = 0.02


def relay(connection_file: Path) -> None:
    """Relay until standard input or output is closed; :class:`EngineUnavailableError` when there is no engine."""
    found = connection.read(connection_file)
    if not connection.lives(found.pid):
        raise connection.no_engine()
    carry_streams(SocketTransport(found))


def carry_streams(transport: Transport) -> None:
    """Carry messages between the standard streams and ``transport``, which is closed at the end."""
    try:
        carry(sys.stdin.buffer, sys.stdout.buffer, transport)
    finally:
        transport.close()


def carry(incoming: IO[bytes], outgoing: IO[bytes], transport: Transport) -> None:
    """Carry messages both ways. A thread reads ``incoming``; the socket belongs to the calling thread alone."""
    inbox: queue.SimpleQueue[list[bytes] | None] = queue.SimpleQueue()
    threading.Thread(target=_read_all, args=(incoming, inbox), daemon=True).start()
    while True:
        while not inbox.empty():
            frames = inbox.get()
            if frames is None:
                return
            transport.send(frames)
        answer = transport.receive(POLL_SECONDS)
        if answer is not None:
            try:
                write_message(outgoing, answer)
            except OSError:
                return


def _read_all(incoming: IO[bytes], inbox: queue.SimpleQueue[list[bytes] | None]) -> None:
    try:
        while (frames := read_message(incoming)) is not None:
            inbox.put(frames)
    except (WireError, OSError):
        pass  # a stream that stops making sense ends the relay like one that is closed
    inbox.put(None)
