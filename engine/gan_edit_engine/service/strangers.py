"""Connections that have not said anything yet. Anybody on the machine can open them, and each takes a descriptor.

libzmq closes those that have not shown the client's key in time, but takes any number until then. So the oldest of them
are closed here as soon as there are more than a part of what the system gives. A client that is closed with them
connects anew by itself, and from its first message on it is no stranger.
"""

from __future__ import annotations

import contextlib
import socket
import struct

import zmq

ENDPOINT = "inproc://strangers"
EVENTS_AT_ONCE = 10_000
"""Bounds the time for which a crowd can keep the engine from everything else."""


class Strangers:
    """Watches the connections of a bound ``router``; ``socket`` is readable when some came or went."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], router: zmq.Socket[bytes], at_most: int) -> None:
        self._router = router
        self._at_most = at_most
        self._silent: dict[int, None] = {}  # the descriptors of silent connections, the oldest first
        router.monitor(ENDPOINT, zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
        self.socket = context.socket(zmq.PAIR)
        self.socket.rcvhwm = 0  # libzmq's own thread would wait for room, and at the end this one for that thread
        self.socket.linger = 0
        self.socket.connect(ENDPOINT)

    def speaks(self, message: zmq.Frame) -> None:
        """The connection on which ``message`` came is a client's, who has shown the key."""
        self._silent.pop(int(message.get(zmq.SRCFD)), None)

    def look(self) -> None:
        """Take note of who came and went, and close the oldest silent connections where there are too many."""
        for _ in range(EVENTS_AT_ONCE):
            try:
                event, descriptor = struct.unpack("=Hi", self.socket.recv_multipart(zmq.NOBLOCK)[0])
            except zmq.Again:
                break
            self._silent.pop(descriptor, None)
            if event == zmq.EVENT_ACCEPTED:
                self._silent[descriptor] = None
        while len(self._silent) > self._at_most:
            oldest = next(iter(self._silent))
            del self._silent[oldest]
            _hang_up(oldest)

    def close(self) -> None:
        self._router.disable_monitor()
        self.socket.close()


def _hang_up(descriptor: int) -> None:
    """End a connection; its descriptor stays libzmq's, which closes it when it notices."""
    with contextlib.suppress(OSError):  # it has gone by itself
        connection = socket.socket(fileno=descriptor)
        try:
            connection.shutdown(socket.SHUT_RDWR)
        finally:
            connection.detach()
