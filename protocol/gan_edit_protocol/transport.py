"""The client's two ways to an engine: a CURVE-protected ZeroMQ socket, or a helper process that owns such a socket.

GIMP's bundled Python may lack pyzmq (Windows, macOS, Flatpak); :class:`PipeTransport` then speaks to ``gan-edit
relay``, which runs in the engine's own environment, over its standard input and output.
"""

from __future__ import annotations

import collections
import contextlib
import os
import queue
import struct
import subprocess
import threading
import uuid
from typing import IO, Any, Protocol

from .connection import Connection
from .errors import EngineUnavailableError, WireError, shortened
from .wire import FRAME_BYTES, MAX_FRAMES

try:
    import zmq
except ImportError:  # explained when a socket is really needed; nothing may fail at import inside GIMP
    zmq = None  # type: ignore[assignment]

LARGEST_FRAME = FRAME_BYTES + 1024
"""What a socket takes: CURVE adds some bytes to each frame."""
SPEAKS = "gan-edit: "
"""So the program begins the sentence with which it ends when something is wrong."""
LAST_LINES = 20
RELAY_END_SECONDS = 5.0
"""A relay whose input is closed gets this long to pass on what it has read."""


class Transport(Protocol):
    """Sends and receives whole messages (lists of frames)."""

    def send(self, frames: list[bytes]) -> None: ...

    def receive(self, timeout: float) -> list[bytes] | None:
        """The next message, or None after ``timeout`` seconds; :class:`EngineUnavailableError` when the way is gone."""

    def close(self) -> None: ...


def has_zmq() -> bool:
    """Whether this Python can open a socket by itself."""
    return zmq is not None


def client_name() -> bytes:
    """A name for a client of its own, which also tells its process."""
    return f"{os.getpid()}-{uuid.uuid4().hex}".encode()


def process_of(client: bytes) -> int | None:
    """The process of a client of this name; None when it tells none."""
    number = client.partition(b"-")[0]
    return int(number) if number.isdigit() and len(number) <= 10 else None


def introduce(socket: Any, connection: Connection, name: bytes) -> None:
    """Give a DEALER socket, which is not connected yet, the keys of ``connection`` and the ``name`` of its own."""
    socket.setsockopt(zmq.MAXMSGSIZE, LARGEST_FRAME)
    socket.setsockopt(zmq.ROUTING_ID, name)
    socket.curve_serverkey = connection.server_public.encode()
    socket.curve_publickey = connection.client_public.encode()
    socket.curve_secretkey = connection.client_secret.encode()


class SocketTransport:
    """A DEALER socket with CURVE encryption and authentication, to the engine that ``connection`` names.

    It has no heartbeats: either side may be stopped or starved for as long as it likes. The system closes the
    connection of a process that ends.
    """

    def __init__(self, connection: Connection) -> None:
        if zmq is None:
            raise EngineUnavailableError("This Python has no pyzmq.", "Use the relay: gan-edit relay")
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 500)
        introduce(self._socket, connection, client_name())
        # A connection that is lost is made anew, under the same name. Only when nobody accepts it the engine has ended.
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_CLOSED)
        self._socket.connect(connection.endpoint)

    def send(self, frames: list[bytes]) -> None:
        self._socket.send_multipart(frames)

    def receive(self, timeout: float) -> list[bytes] | None:
        if not self._socket.poll(int(timeout * 1000)):
            if self._monitor.poll(0):
                raise EngineUnavailableError("The GAN Edit engine has ended.", "Try again; a new one is then started.")
            return None
        return self._socket.recv_multipart()

    def close(self) -> None:
        self._socket.disable_monitor()
        self._monitor.close()
        self._socket.close()
        self._context.term()


class PipeTransport:
    """The same over the standard streams of a relay process, started from ``command``.

    A relay that ends says why on its standard error: that is the error of whoever then sends or receives.
    """

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**environment, "PYTHONIOENCODING": "utf-8"},
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            raise EngineUnavailableError(
                f"The GAN Edit program {command[0]} could not be started ({error.strerror}).",
                "Run gan-edit install-plugin again.",
            ) from None
        self._inbox: queue.Queue[list[bytes] | None] = queue.Queue()
        self._said: collections.deque[str] = collections.deque(maxlen=LAST_LINES)
        self._reader = threading.Thread(target=self._read_all, daemon=True)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stderr is not None
        with contextlib.suppress(OSError, ValueError):
            for line in self._process.stderr:
                self._said.append(line.decode("utf-8", "replace").strip())

    def _read_all(self) -> None:
        assert self._process.stdout is not None
        try:
            while (frames := read_message(self._process.stdout)) is not None:
                self._inbox.put(frames)
        except (WireError, OSError, ValueError):
            pass  # the end of the stream is reported below, whatever its reason
        self._inbox.put(None)

    def send(self, frames: list[bytes]) -> None:
        assert self._process.stdin is not None
        try:
            write_message(self._process.stdin, frames)
        except (OSError, ValueError):
            raise self._gone() from None

    def receive(self, timeout: float) -> list[bytes] | None:
        try:
            frames = self._inbox.get(timeout=max(timeout, 0.001))
        except queue.Empty:
            return None
        if frames is None:
            self._inbox.put(None)
            raise self._gone()
        return frames

    def _gone(self) -> EngineUnavailableError:
        self._listener.join(RELAY_END_SECONDS)
        said = [line for line in self._said if line]
        for line in reversed(said):
            if line.startswith(SPEAKS):
                return EngineUnavailableError(shortened(line.removeprefix(SPEAKS)))
        why = f" ({shortened(said[-1])})" if said else ""
        return EngineUnavailableError(f"The connection to the GAN Edit engine was lost{why}.", "Try again.")

    def close(self) -> None:
        """End the relay, which first passes on what was sent: it may be the wish to end the engine."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        with contextlib.suppress(OSError):  # unwritten bytes for a relay that is gone
            self._process.stdin.close()
        try:
            self._process.wait(RELAY_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        self._listener.join()
        self._process.stdout.close()
        self._process.stderr.close()


def write_message(stream: IO[bytes], frames: list[bytes]) -> None:
    """Write frames to a byte stream: their count, then each length and its bytes (little-endian, 32 and 64 bits)."""
    stream.write(struct.pack("<I", len(frames)))
    for frame in frames:
        stream.write(struct.pack("<Q", len(frame)))
        stream.write(frame)
    stream.flush()


def read_message(stream: IO[bytes]) -> list[bytes] | None:
    """Read what :func:`write_message` wrote; None at the end of the stream, :class:`WireError` on anything else."""
    start = stream.read(4)
    if not start:
        return None
    count = struct.unpack("<I", start)[0] if len(start) == 4 else 0
    if not 1 <= count <= MAX_FRAMES:
        raise WireError("The relayed message has an impossible number of frames.")
    frames = []
    for _ in range(count):
        length_bytes = stream.read(8)
        length = struct.unpack("<Q", length_bytes)[0] if len(length_bytes) == 8 else FRAME_BYTES + 1
        if length > FRAME_BYTES:
            raise WireError("The relayed message has an impossible length.")
        frame = stream.read(length)
        if len(frame) != length:
            raise WireError("The relayed message ends early.")
        frames.append(frame)
    return frames
