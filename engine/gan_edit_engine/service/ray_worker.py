"""Workers on a Ray cluster: the service's handle on one actor, which Ray places, and starts anew when it dies.

The actor computes exactly what a worker process does, from the same frames to the same frames. A job is given to it
once: when it dies, the job fails and Ray starts it again for the next one.
"""

from __future__ import annotations

import importlib
import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
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
NO_JOB = "0" * 32
CPUS = 4.0
"""Of an actor that has no GPU; fewer where no machine has as many."""
RESTART_SECONDS = 300.0
"""Ray gets so long to start an actor again, on another machine where its own is gone."""
_RETRY_SECONDS = 0.2
_DIED = Failed("worker_died", "A computing process on the cluster is gone.", "Try again; Ray starts it anew.")

_log = logging.getLogger("gan_edit.ray")


class Carrier:
    """The actor: carries frames to what computes, and its answers back. ``computer``: as :data:`COMPUTER`."""

    def __init__(self, computer: str, device: str | None) -> None:
        module, name = computer.split(":")
        self._cancelled = ""
        try:
            self._computer = getattr(importlib.import_module(module), name)(device)
            self._first: EngineStatus | Failed = self._computer.status
        except GanEditError as error:
            self._first = Failed(error.code, error.message, error.hint)

    def greet(self) -> tuple[int, bool, list[bytes]]:
        """Its process, whether it can compute, and what it says first: its status, or why not."""
        return os.getpid(), isinstance(self._first, EngineStatus), wire.encode(NO_JOB, self._first)

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


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster, joined. ``gpus`` and ``cpus``: what each actor gets; ``ray``: the library."""

    ray: Any
    gpus: float
    cpus: float
    computer: str = COMPUTER

    @property
    def size(self) -> int:
        """How many actors it has room for now, one or more."""
        there = self.ray.cluster_resources()
        return max(1, int(there.get("GPU", 0) // self.gpus if self.gpus else there.get("CPU", 0) // self.cpus))

    def start(self, context: zmq.Context[zmq.Socket[bytes]], number: int, device: str | None) -> RayWorker:
        """A worker of the service; OSError when it cannot be had."""
        actor = self.ray.remote(Carrier).options(
            num_cpus=self.cpus,
            num_gpus=self.gpus,
            max_restarts=-1,
            max_task_retries=0,  # a job is done once at most
            max_concurrency=2,  # one job, and the word that ends it
        )
        return RayWorker(self.ray, actor.remote(self.computer, device), context, number)

    def leave(self) -> None:
        """End the actors, and what was started for this engine."""
        self.ray.shutdown()


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
    ray = _library()
    try:
        ray.init(
            address=address, namespace="gan-edit", log_to_driver=False, configure_logging=False, include_dashboard=None
        )
    except Exception as error:  # whatever Ray makes of an address at which it does not find what it expects
        raise GanEditError(
            "bad_cluster",
            f"The Ray cluster {address} cannot be joined ({_reason(error)}).",
            "Start Ray on this machine with: ray start --address=HEAD:6379; then give --ray auto.",
        ) from None
    if ray.cluster_resources().get("GPU", 0) >= 1:
        return Cluster(ray, 1.0, 1.0, computer)
    largest = max((node["Resources"].get("CPU", 0.0) for node in ray.nodes() if node["Alive"]), default=0.0)
    return Cluster(ray, 0.0, min(cpus, largest or cpus), computer)


def _library() -> Any:
    # It reports to its makers unless this says no.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray  # noqa: PLC0415 - it takes a second and is not installed by everybody
    except ModuleNotFoundError:
        raise GanEditError("no_ray", "Ray is not installed.", "pip install 'gan-edit[ray]'") from None
    return ray


class RayWorker:
    """One actor. A thread waits for it, so that no caller ever does."""

    def __init__(self, ray: Any, actor: Any, context: zmq.Context[zmq.Socket[bytes]], number: int) -> None:
        self.number = number
        self.pid = 0
        """Of the actor's process, on its own machine; 0 until it has started."""
        self._ray = ray
        self._actor = actor
        self._socket = connected(context)
        self._outbox: queue.SimpleQueue[list[bytes] | None] = queue.SimpleQueue()
        self._killed = threading.Event()
        self._last_words = ""
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def send(self, frames: list[bytes]) -> None:
        """Send a message; returns at once."""
        if len(frames) == 1:  # no job comes in one frame and is a cancellation
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
        return Exit(1, self._last_words)

    def _work(self) -> None:
        with self._socket:
            try:
                computes, first = self._greeting(sys.maxsize)
                self._push(SAID, *first)
                while computes and (frames := self._outbox.get()) is not None:
                    self._follow(frames)
                    del frames  # else the photo stays here until the next job
            except self._ray.exceptions.RayError as error:  # it was killed, or cannot be made on any machine
                self._last_words = _reason(error)
            self._ray.kill(self._actor, no_restart=True)
            self._push(ENDED)

    def _follow(self, frames: list[bytes]) -> None:
        """Hand on what the actor says of a job, down to how it ended."""
        try:
            for reference in self._actor.perform.remote(frames):
                said = self._ray.get(reference)
                if said is None:  # torch seldom gives back what it holds: only a new process has it all
                    self._push(SAID, *wire.encode(wire.job_of(frames), out_of_memory.out_of_memory()))
                    self._ray.kill(self._actor, no_restart=False)
                    self._greeting(RESTART_SECONDS)
                    return
                self._push(SAID, *said)
        except self._ray.exceptions.RayError as error:
            if self._killed.is_set():
                raise
            _log.warning("the actor of process %d is gone: %s", self.pid, _reason(error))
            self._push(SAID, *wire.encode(wire.job_of(frames), _DIED))
            self._greeting(RESTART_SECONDS)

    def _greeting(self, patience: float) -> tuple[bool, list[bytes]]:
        """Whether the actor can compute, and what it says first.

        For ``patience`` seconds Ray may be busy starting it again.
        """
        deadline = time.monotonic() + patience
        while True:
            try:
                self.pid, computes, said = self._ray.get(self._actor.greet.remote())
                return computes, said
            except self._ray.exceptions.RayActorError:
                if self._killed.is_set() or time.monotonic() > deadline:
                    raise
                time.sleep(_RETRY_SECONDS)

    def _push(self, kind: bytes, *frames: bytes) -> None:
        self._socket.send_multipart([str(self.number).encode(), kind, *frames])


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")
