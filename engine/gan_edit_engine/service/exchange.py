"""The engine's socket for actors, on whichever machine: each connects to it and is spoken to by its name.

Ray's own way takes several times as much of the processor for each message. Ray brings the actors the keys, made anew
for each engine, with which everything is encrypted and without which nobody comes in.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

import zmq

from gan_edit_engine.service.client_socket import Door

Hear = Callable[[list[zmq.Frame]], None]
_INLET = "inproc://exchange"
_END = b""


class Exchange:
    """A socket at ``address`` (IPv4 or IPv6) and a port of its own, and a thread that carries what comes and goes.

    ``door``: what an actor needs to connect.
    """

    def __init__(self, address: str) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        door = Door(self._context, address)
        self._zap, self._router, self.door = door.zap, door.router, door.connection
        self._heard_by: dict[bytes, Hear] = {}
        self._outlet = self._context.socket(zmq.PULL)
        self._inlet = self._context.socket(zmq.PUSH)
        self._outlet.rcvhwm = self._inlet.sndhwm = 0  # nobody waits for the thread
        self._outlet.bind(_INLET)
        self._inlet.connect(_INLET)
        self._sending = threading.Lock()  # callers are of several threads, and a socket is for one at a time
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def add(self, name: bytes, hear: Hear) -> None:
        """From now on ``hear`` is called, on the exchange's thread, with the frames of what the actor ``name`` says."""
        self._heard_by[name] = hear

    def remove(self, name: bytes) -> None:
        """What the actor ``name`` still says is of no use; it may be heard once more."""
        self._heard_by.pop(name, None)

    def send(self, name: bytes, frames: list[bytes]) -> None:
        """Send the actor ``name`` a message; returns at once. One that is not connected does not get it."""
        self._put(name, *frames)

    def close(self) -> None:
        """End the thread, and close the socket."""
        self._put(_END)
        self._thread.join()
        self._inlet.close()
        self._context.term()

    def _put(self, *frames: bytes) -> None:
        with self._sending:
            self._inlet.send_multipart(frames)

    def _carry(self) -> None:
        poller = zmq.Poller()
        sockets = (self._router, self._zap.socket, self._outlet)
        for socket in sockets:
            poller.register(socket, zmq.POLLIN)
        going_on = True
        while going_on:
            ready = dict(poller.poll())
            if self._zap.socket in ready:
                self._zap.answer_one()
            if self._router in ready:
                self._hear()
            if self._outlet in ready:
                going_on = self._send()
        for socket in sockets:
            socket.close(linger=0)

    def _hear(self) -> None:
        name, *frames = self._router.recv_multipart(copy=False)
        if hear := self._heard_by.get(name.bytes):
            hear(frames)

    def _send(self) -> bool:
        """Send on what was put in; False when that was the end."""
        name, *frames = self._outlet.recv_multipart(copy=False)
        with suppress(zmq.ZMQError):  # whose connection is lost, that actor ends, which Ray tells
            self._router.send_multipart([name, *frames], zmq.NOBLOCK, copy=False)
        return bool(frames)
