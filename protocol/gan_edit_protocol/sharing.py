"""One way to an engine for several threads at once, each with a client and a job of its own."""

from __future__ import annotations

import queue
import threading
import time
from contextlib import suppress

from . import wire
from .errors import EngineUnavailableError, GanEditError
from .transport import Transport

_TURN_SECONDS, _REST_SECONDS = 0.005, 0.02
"""How long a message that is to be sent may wait for its turn: only one thread may use a socket. The second where
nothing was carried just before, for a look costs as much whether or not there is anything."""
_BUSY_SECONDS = 0.1


class SharedTransport:
    """Carries what several transports send and receive, by a thread of its own, until it is closed.

    The transport that it uses belongs to whoever made it, and may be used again when this one is closed. When the way
    is gone, everybody who waits hears of it.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._outbox: queue.SimpleQueue[list[bytes]] = queue.SimpleQueue()
        self._inboxes: dict[str, queue.SimpleQueue[list[bytes]]] = {}
        self._closed = threading.Event()
        self.lost: GanEditError | None = None
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def part(self) -> Transport:
        """A transport for one thread: it hears the answers to what was sent by it."""
        return _Part(self)

    def send(self, frames: list[bytes], inbox: queue.SimpleQueue[list[bytes]]) -> str:
        """Send a message, the answers to which go to ``inbox``; returns its job."""
        job = wire.job_of(frames)
        self._inboxes[job] = inbox
        self._outbox.put(frames)
        return job

    def forget(self, job: str) -> None:
        """Drop what else is said of a job."""
        self._inboxes.pop(job, None)

    def close(self) -> None:
        """Send what is still to be sent, and leave the transport alone from now on."""
        self._closed.set()
        self._thread.join()

    def _carry(self) -> None:
        try:
            carried_at = time.monotonic()
            while not self._closed.is_set():
                is_busy = self._send_all() or time.monotonic() - carried_at < _BUSY_SECONDS
                if (came := self._transport.receive(_TURN_SECONDS if is_busy else _REST_SECONDS)) is None:
                    continue
                carried_at = time.monotonic()
                if (inbox := self._inboxes.get(wire.job_of(came))) is not None:
                    inbox.put(came)
            self._send_all()
        except GanEditError as error:
            self.lost = error
        except Exception as error:  # whatever it is, those who wait for answers must not wait for ever
            self.lost = EngineUnavailableError(f"The way to the GAN Edit engine broke ({error}).", "Try again.")

    def _send_all(self) -> bool:
        """Whether there was anything."""
        sent = False
        with suppress(queue.Empty):
            while True:
                self._transport.send(self._outbox.get_nowait())
                sent = True
        return sent


class _Part:
    """One thread's."""

    def __init__(self, shared: SharedTransport) -> None:
        self._shared = shared
        self._inbox: queue.SimpleQueue[list[bytes]] = queue.SimpleQueue()
        self._jobs: set[str] = set()

    def send(self, frames: list[bytes]) -> None:
        self._jobs.add(self._shared.send(frames, self._inbox))

    def receive(self, timeout: float) -> list[bytes] | None:
        try:
            return self._inbox.get(timeout=max(timeout, 0.001))
        except queue.Empty:
            if self._shared.lost is not None:
                raise self._shared.lost from None
            return None

    def close(self) -> None:
        for job in self._jobs:
            self._shared.forget(job)
