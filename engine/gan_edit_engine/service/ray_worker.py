"""Workers on a Ray cluster: the service's handle on one actor, which Ray places, and starts anew when it dies.

The actor computes exactly what a worker process does, from the same frames to the same frames. A job is given to it
once: when it dies, the job fails and Ray starts it again for the next one.
"""

from __future__ import annotations

import importlib
import logging
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import zmq

from gan_edit_engine.service.worker_process import ENDED, SAID, Exit, connected
from gan_edit_engine.system import out_of_memory
from gan_edit_protocol import wire
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.events import EngineStatus, Failed
from gan_edit_protocol.requests import CancelRequest

COMPUTER = "gan_edit_engine.worker.computing:Computer"
"""What an actor computes with, by name: the service must not import torch, and a cluster's nodes have it installed."""
SAID_SECONDS = 1.0
"""How often an actor says how far a job is: on the way through Ray each word costs some milliseconds of both sides."""
CPUS = 4.0
"""Of an actor that has no GPU; fewer where no machine has as many."""
_RETRY_SECONDS = 0.2
_ANSWER_SECONDS = 10.0
_SETTINGS = b"\0\0\0\4\0\0\0\0\0"  # an empty frame of that type

_log = logging.getLogger("gan_edit.ray")


class Carrier:
    """The actor: carries frames to what computes, and its answers back. ``computer``: as :data:`COMPUTER`."""

    def __init__(self, computer: str, device: str | None) -> None:
        module, name = computer.split(":")
        self._cancelled = ""
        try:
            self._computer = getattr(importlib.import_module(module), name)(device, SAID_SECONDS)
            self._first: EngineStatus | Failed = self._computer.status
        except GanEditError as error:
            self._first = Failed(error.code, error.message, error.hint)

    def greet(self) -> tuple[int, bool, list[bytes]]:
        """Its process, whether it can compute, and what it says first: its status, or why not."""
        return os.getpid(), isinstance(self._first, EngineStatus), wire.encode(wire.NO_JOB, self._first)

    def perform(self, frames: list[bytes]) -> Iterator[list[bytes] | None]:
        """A job's events; None at last where the memory was not enough for it."""
        job, request = wire.decode_request(frames)
        try:
            yield from self._computer.messages(job, request, lambda: self._cancelled == job)
        except MemoryError:
            yield None

    def cancel(self, job: str) -> None:
        """End ``job`` if it is the one that runs, or the next."""
        self._cancelled = job


class Cluster:
    """A Ray cluster, joined by ``ray``, the library. ``gpus`` and ``cpus``: what each actor gets."""

    def __init__(self, ray: Any, gpus: float, cpus: float, computer: str) -> None:
        self._ray = ray
        self._gpus, self._cpus = gpus, cpus
        self._computer = computer
        self._restarting: queue.SimpleQueue[Any] = queue.SimpleQueue()  # the actors that Ray starts again

    @property
    def size(self) -> int:
        """How many actors it has room for now, one or more."""
        there = self._ray.cluster_resources()
        return max(1, int(there["GPU"] // self._gpus if self._gpus else there.get("CPU", 0.0) // self._cpus))

    def start(self, context: zmq.Context[zmq.Socket[bytes]], number: int, device: str | None) -> RayWorker:
        """A worker of the service: an actor that died, which Ray starts again, else a new one.

        OSError when the system lacks what it takes.
        """
        try:
            actor = self._restarting.get_nowait()
        except queue.Empty:
            actor = self._new(device)
        return RayWorker(self._ray, actor, self._restarting.put, context, number)

    def leave(self) -> None:
        """End the actors, and what was started for this engine."""
        self._ray.shutdown()

    def _new(self, device: str | None) -> Any:
        made = self._ray.remote(Carrier).options(
            num_cpus=self._cpus,
            num_gpus=self._gpus,
            max_restarts=-1,
            max_task_retries=0,  # a job is done once at most
            max_concurrency=2,  # one job, and the word that ends it
        )
        return made.remote(self._computer, device)


def join(address: str, cpus: float = CPUS, computer: str = COMPUTER) -> Cluster:
    """Join the cluster at ``address`` ("auto", "local" or HOST:PORT of its head); GanEditError when that fails.

    Its actors get a GPU each where the cluster has any, else ``cpus`` processors, or what the largest machine has.
    """
    if address.startswith("ray://"):
        raise GanEditError(
            "bad_cluster",
            "An engine cannot work through Ray's client port.",
            "Start it on a machine of the cluster with --ray auto, or give the head's own address, such as HOST:6379.",
        )
    if ":" in address and not _speaks_http2(address):  # for which Ray itself would wait for minutes
        raise _cannot_join(address, "no Ray answers there")
    ray = _library()
    try:
        ray.init(
            address=address, namespace="gan-edit", log_to_driver=False, configure_logging=False, include_dashboard=None
        )
    except Exception as error:  # whatever Ray makes of an address at which it does not find what it expects
        raise _cannot_join(address, _reason(error)) from None
    if ray.cluster_resources().get("GPU", 0) >= 1:
        return Cluster(ray, 1.0, 1.0, computer)
    largest = max((node["Resources"].get("CPU", 0.0) for node in ray.nodes() if node["Alive"]), default=0.0)
    return Cluster(ray, 0.0, min(cpus, largest or cpus), computer)


def _cannot_join(address: str, reason: str) -> GanEditError:
    return GanEditError(
        "bad_cluster",
        f"The Ray cluster {address} cannot be joined ({reason}).",
        "Start Ray on this machine with: ray start --address=HEAD:6379; then give --ray auto.",
    )


def _speaks_http2(address: str) -> bool:
    """Whether a server at HOST:PORT begins as those of gRPC do: RFC 9113, 3.4 and 6.5."""
    host, _, port = address.rpartition(":")
    with suppress(OSError, ValueError), socket.create_connection((host, int(port)), _ANSWER_SECONDS) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _SETTINGS)
        answer = connection.recv(len(_SETTINGS), socket.MSG_WAITALL)
        return len(answer) == len(_SETTINGS) and answer[3:4] == _SETTINGS[3:4]
    return False


def _library() -> Any:
    # It reports to its makers unless this says no.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray  # noqa: PLC0415 - it takes a second and is not installed by everybody
    except ModuleNotFoundError:
        raise GanEditError("no_ray", "Ray is not installed.", "pip install 'gan-edit[ray]'") from None
    return ray


class RayWorker:
    """One actor, until it dies or is killed. A thread waits for it, so that no caller ever does.

    ``give_back``: takes an actor that Ray starts again.
    """

    def __init__(
        self,
        ray: Any,
        actor: Any,
        give_back: Callable[[Any], None],
        context: zmq.Context[zmq.Socket[bytes]],
        number: int,
    ) -> None:
        self.number = number
        self.pid = 0
        """Of the actor's process, on its own machine; 0 until it has started."""
        self._ray = ray
        self._actor = actor
        self._give_back = give_back
        self._socket = connected(context)
        self._outbox: queue.SimpleQueue[list[bytes] | None] = queue.SimpleQueue()
        self._killed = threading.Event()
        self._exit = Exit(1, "")
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def send(self, frames: list[bytes]) -> None:
        """Send a message; returns at once."""
        if len(frames) == 1:  # a cancellation brings no pixels
            _, request = wire.decode_request(frames)
            if isinstance(request, CancelRequest):
                self._actor.cancel.remote(request.job)
                return
        self._outbox.put(frames)

    def kill(self) -> None:
        """End the actor now, for good."""
        self._killed.set()
        self._outbox.put(None)
        self._ray.kill(self._actor, no_restart=True)

    def join(self, timeout: float) -> bool:
        """Wait until nothing waits for the actor any more; False when something does."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def exit(self) -> Exit:
        """How it ended; only after ``ENDED``."""
        return self._exit

    def _work(self) -> None:
        with self._socket:
            try:
                computes = self._greet()
                while computes and (frames := self._outbox.get()) is not None:
                    self._follow(frames)
                    del frames  # else the photo stays here until the next job
                self._ray.kill(self._actor, no_restart=True)
            except MemoryError:  # torch seldom gives back what it holds: only a new process has it all
                self._exit = Exit(out_of_memory.EXIT_CODE, "")
                self._ray.kill(self._actor, no_restart=False)
                self._give_back(self._actor)
            except self._ray.exceptions.RayError as error:
                self._ended(error)
            self._push(ENDED)

    def _greet(self) -> bool:
        """Hand on what the actor says first, which waits until Ray has found a place for it; whether it can compute."""
        while True:
            try:
                self.pid, computes, said = self._ray.get(self._actor.greet.remote())
                break
            except self._ray.exceptions.ActorUnavailableError:
                if self._killed.is_set():
                    raise
                time.sleep(_RETRY_SECONDS)
        self._push(SAID, *said)
        return bool(computes)

    def _follow(self, frames: list[bytes]) -> None:
        """Hand on what the actor says of a job. Raises MemoryError where its memory was not enough."""
        for reference in self._actor.perform.remote(frames):
            said = self._ray.get(reference)
            if said is None:
                raise MemoryError
            self._push(SAID, *said)

    def _ended(self, error: Exception) -> None:
        """Ray starts an actor again that died at work; one that could not be made, it does not."""
        if self._killed.is_set():
            return
        _log.warning("the actor of process %d is gone: %s", self.pid, error)
        self._exit = Exit(1, _reason(error))
        if isinstance(error, self._ray.exceptions.ActorUnavailableError):
            self._give_back(self._actor)
        else:
            self._ray.kill(self._actor, no_restart=True)

    def _push(self, kind: bytes, *frames: bytes) -> None:
        self._socket.send_multipart([str(self.number).encode(), kind, *frames])


def _reason(error: Exception) -> str:
    """Ray's texts end with what it was."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()[:200].rstrip(".")
