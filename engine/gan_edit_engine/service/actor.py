"""The actor's half of a worker on a Ray cluster: what Ray starts on one of its machines, and its line to the engine.

It computes exactly what a worker process does, from the same frames to the same frames.
"""

from __future__ import annotations

import collections
import importlib
import os
import time
from functools import partial
from typing import Any

import zmq
from zmq.utils.monitor import recv_monitor_message

from gan_edit_protocol import wire
from gan_edit_protocol.connection import Connection
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.events import Failed
from gan_edit_protocol.requests import CancelRequest, JobRequest
from gan_edit_protocol.transport import introduce

REACH_SECONDS = 30.0
"""Within which the engine's machine answers, unless something on the way forbids it."""
HEARTBEAT_SECONDS = 10.0
SILENCE_SECONDS = 120.0
"""After which the engine's machine is gone. libzmq answers heartbeats also while a program computes."""


class WorkerActor:
    """What Ray makes. ``computer``: the class that computes, as MODULE:NAME; ``device``: None chooses."""

    def __init__(self, computer: str, device: str | None) -> None:
        module, name = computer.split(":")
        self._failure: Failed | None = None
        try:
            self._computer: Any = getattr(importlib.import_module(module), name)(device)
        except GanEditError as error:
            self._failure = Failed.of(error)

    def greet(self) -> tuple[int, list[bytes]]:
        """Its process, and the message that says why it cannot compute; no frames when it can."""
        return os.getpid(), [] if self._failure is None else wire.encode(wire.NO_JOB, self._failure)

    def serve(self, door: Connection, name: bytes) -> None:
        """Greet the engine behind ``door`` as ``name``, then compute what comes, one job after the other.

        Returns when the memory was not enough for one. ConnectionError when the engine cannot be reached any more.
        """
        line = Line(door, name)
        try:
            line.send(wire.encode(wire.NO_JOB, self._computer.status))
            while True:
                self._serve_one(line)
        except MemoryError:
            return
        finally:
            line.close()

    def _serve_one(self, line: Line) -> None:
        """Nothing of a job, its photo least, is kept beyond."""
        job, request = line.next_job()
        for message in self._computer.messages(job, request, partial(line.is_cancelled, job)):
            line.send(message)


class Line:
    """An actor's connection to its engine, for the one thread that computes. ConnectionError when there is no way.

    One that is lost is not made anew: what was on the way may be lost with it.
    """

    def __init__(self, door: Connection, name: bytes) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.linger = 0
        self._socket.ipv6 = True
        self._socket.heartbeat_ivl = int(HEARTBEAT_SECONDS * 1e3)
        self._socket.heartbeat_timeout = int(SILENCE_SECONDS * 1e3)
        introduce(self._socket, door, name)
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
        self._poller = zmq.Poller()
        for socket in (self._socket, self._monitor):
            self._poller.register(socket, zmq.POLLIN)
        self._jobs: collections.deque[tuple[str, JobRequest]] = collections.deque()
        self._cancelled = ""
        self._lost = False
        self._socket.connect(door.endpoint)
        if not self._reaches():
            self.close()
            raise ConnectionError(f"the engine cannot be reached at {door.endpoint.removeprefix('tcp://')}")

    def send(self, frames: list[bytes]) -> None:
        """Send a message, if there still is a way; returns at once."""
        if not self._lost:
            self._socket.send_multipart(frames)

    def next_job(self) -> tuple[str, JobRequest]:
        """Wait for a job and its request."""
        while not self._jobs:
            self._read(None)
            if self._lost:
                raise ConnectionError("the connection to the engine was lost")
        return self._jobs.popleft()

    def is_cancelled(self, job: str) -> bool:
        """Whether the engine has asked to end ``job``, or cannot be reached any more."""
        while self._read(0):
            pass
        return self._lost or self._cancelled == job

    def close(self) -> None:
        self._socket.disable_monitor()
        self._monitor.close()
        self._socket.close()
        self._context.term()

    def _reaches(self) -> bool:
        """Whether the engine lets this actor in. One that is busy may hang up first; libzmq tries again."""
        deadline = time.monotonic() + REACH_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            if self._monitor.poll(int(left * 1e3)) and not self._hears_of_the_end():
                return True
        return False

    def _read(self, milliseconds: int | None) -> bool:
        """Take in what has come, after a wait of so long, None: for something; False when there was nothing."""
        ready = dict(self._poller.poll(milliseconds))
        if self._socket in ready:
            job, request = wire.decode_request(self._socket.recv_multipart())
            if isinstance(request, CancelRequest):
                self._cancelled = request.job
            else:
                self._jobs.append((job, request))
        elif self._monitor in ready:
            self._lost = self._hears_of_the_end()
        return bool(ready) and not self._lost

    def _hears_of_the_end(self) -> bool:
        return bool(recv_monitor_message(self._monitor)["event"] == zmq.EVENT_DISCONNECTED)
