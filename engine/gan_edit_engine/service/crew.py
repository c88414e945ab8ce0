"""The workers' processes that run, each for a worker of the queue's pool: what they are told, and what they say."""

from __future__ import annotations

import itertools
import logging
from dataclasses import dataclass

import zmq

from gan_edit_engine.service import worker_process
from gan_edit_engine.service.events import Orphaned, Stimulus, WorkerDied, WorkerReady, WorkerSaid
from gan_edit_engine.service.worker_process import StartWorker, Worker, explain_exit
from gan_edit_protocol import PROTOCOL_VERSION, wire
from gan_edit_protocol.errors import GanEditError, WireError
from gan_edit_protocol.events import EngineStatus, Failed

_log = logging.getLogger("gan_edit.crew")


@dataclass(eq=False)
class _Member:
    """``failure``: why it says that it cannot start."""

    process: Worker
    ready: bool = False
    failure: Failed | None = None


class Crew:
    """``socket`` brings what the processes say, for :meth:`hear`. ``start_worker``: what makes one."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], start_worker: StartWorker) -> None:
        self._context = context
        self._start_worker = start_worker
        self.socket = context.socket(zmq.PULL)
        self.socket.rcvhwm = 0
        self.socket.bind(worker_process.ENDPOINT)
        self._members: dict[int, _Member] = {}
        self._dying: dict[int, Worker] = {}
        self._numbers = itertools.count(1)  # of processes: what one that was killed still says must be told apart

    def start(self, worker: int, device: str | None) -> list[Stimulus]:
        """Start a process for ``worker``; what comes of it at once."""
        try:
            self._members[worker] = _Member(self._start_worker(self._context, next(self._numbers), device))
        except OSError as error:
            _log.error("worker %d could not be started: %s", worker, error)
            reason = f"The engine's computing process could not be started ({error.strerror})."
            return [WorkerDied(worker, Failed("worker_start", reason, "Close other programs and try again."))]
        return []

    def tell(self, worker: int, frames: list[bytes]) -> None:
        """Send a message to the process of ``worker``, if it has one."""
        if worker in self._members:
            self._members[worker].process.send(frames)

    def kill(self, worker: int) -> None:
        """End the process of ``worker``, if it has one; nothing that it still says counts."""
        if member := self._members.pop(worker, None):
            member.process.kill()
            self._dying[member.process.number] = member.process

    def hear(self) -> list[Stimulus]:
        """What one message on ``socket``, which must be there, tells the queue."""
        number, kind, *frames = self.socket.recv_multipart()
        said_by = int(number)
        if kind == worker_process.ENDED:
            self._dying.pop(said_by, None)
        for worker, member in self._members.items():
            if member.process.number == said_by:
                return self._ended(worker) if kind == worker_process.ENDED else self._said(worker, frames)
        return []  # of one that was killed

    def close(self) -> bool:
        """End all processes; False when the system cannot end one of them now."""
        for worker in list(self._members):
            self.kill(worker)
        ended = [process.join(2.0) for process in self._dying.values()]
        self.socket.close()
        return all(ended)

    def _said(self, worker: int, frames: list[bytes]) -> list[Stimulus]:
        try:
            job, event = wire.decode_event(frames)
        except GanEditError as error:
            return self._spoke_nonsense(worker, error)
        member = self._members[worker]
        if isinstance(event, EngineStatus):
            return self._greeted(worker, event, wire.version_of(frames))
        if not member.ready and isinstance(event, Failed):
            member.failure = event  # it says why it cannot start, and ends
            return []
        return [WorkerSaid(worker, job, event)]

    def _greeted(self, worker: int, status: EngineStatus, version: int) -> list[Stimulus]:
        if version != PROTOCOL_VERSION:
            _log.error("worker %d is of another version: GAN Edit was installed anew since this engine started", worker)
            self.kill(worker)
            reason = "GAN Edit was installed anew while its engine ran."
            failure = Failed("version_mismatch", reason, "Try again; the new engine is then started.")
            return [WorkerDied(worker, failure, hopeless=True), Orphaned()]
        devices = tuple(described.device for described in status.workers)
        if not devices:
            return self._spoke_nonsense(worker, WireError("Its greeting names no device."))
        member = self._members[worker]
        member.ready = True
        _log.info("worker %d, process %d, computes on %s", worker, member.process.pid, devices[0])
        return [WorkerReady(worker, devices[0], tuple(device.split(" ")[0] for device in devices))]

    def _spoke_nonsense(self, worker: int, error: GanEditError) -> list[Stimulus]:
        _log.error("worker %d cannot be understood: %s", worker, error)
        self.kill(worker)
        reason = f"The engine does not understand its computing process: {error.message}"
        return [WorkerDied(worker, Failed("worker_died", reason, error.hint))]

    def _ended(self, worker: int) -> list[Stimulus]:
        member = self._members.pop(worker)
        failure = member.failure or explain_exit(member.process.exit(), member.ready)
        _log.error("worker %d is gone: %s", worker, failure.message)
        return [WorkerDied(worker, failure, hopeless=member.failure is not None)]
