"""What is sent to clients, of whom some do not read for a while: they were stopped, are starved or lost the connection.

How a job ends is kept for such a client until it reads again or is gone; its progress is not.
"""

from __future__ import annotations

import collections
import logging

import zmq

from gan_edit_engine.service.surroundings import lives
from gan_edit_protocol import wire
from gan_edit_protocol.events import FINAL_EVENTS, Event
from gan_edit_protocol.transport import process_of

RETURN_SECONDS = 2.0
"""A client whose process runs gets this long to make a lost connection anew, which takes a few tenths of a second."""
MAX_KEPT_BYTES = 2 << 30
"""For all clients together, more than any one result; then the one that has not read for longest is given up."""

_log = logging.getLogger("gan_edit.deliveries")


class Deliveries:
    """``router``: a ROUTER socket that says who cannot be reached (ROUTER_MANDATORY)."""

    def __init__(self, router: zmq.Socket[bytes]) -> None:
        self._router = router
        self._kept: dict[bytes, collections.deque[list[bytes]]] = {}
        self._lost_at: dict[bytes, float] = {}

    @property
    def waiting(self) -> bool:
        """Whether anything is to be tried again."""
        return bool(self._kept or self._lost_at)

    def send(self, client: bytes, job: str, event: Event, now: float) -> None:
        """Send an event, or keep it if it is a final one and ``client`` does not read (``now``: seconds, monotonic)."""
        frames = wire.encode(job, event)
        sent = client not in self._kept and self._try(client, frames, now)  # nothing overtakes what is kept
        if not sent and isinstance(event, FINAL_EVENTS):
            self._kept.setdefault(client, collections.deque()).append(frames)

    def try_again(self, now: float) -> list[bytes]:
        """Send what is kept as far as that is possible; returns the clients that are gone."""
        for client, messages in list(self._kept.items()):
            while messages and self._try(client, messages[0], now):
                messages.popleft()
            if not messages:
                del self._kept[client]
        gone = [client for client, since in self._lost_at.items() if now - since >= RETURN_SECONDS or _ended(client)]
        while self._kept_bytes() > MAX_KEPT_BYTES:
            _log.warning("a client has not read its results for too long; they are dropped")
            gone.append(next(iter(self._kept)))
            del self._kept[gone[-1]]
        for client in gone:
            self._kept.pop(client, None)
            self._lost_at.pop(client, None)
        return gone

    def _try(self, client: bytes, frames: list[bytes], now: float) -> bool:
        try:
            self._router.send_multipart([client, *frames], flags=zmq.NOBLOCK)
        except zmq.Again:
            self._lost_at.pop(client, None)  # it is there, but does not read
            return False
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self._lost_at.setdefault(client, now)
            return False
        self._lost_at.pop(client, None)
        return True

    def _kept_bytes(self) -> int:
        return sum(len(frame) for messages in self._kept.values() for frames in messages for frame in frames)


def _ended(client: bytes) -> bool:
    pid = process_of(client)
    return pid is None or not lives(pid)
