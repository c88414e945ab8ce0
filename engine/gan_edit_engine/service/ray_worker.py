"""Workers on a Ray cluster: the service's handle on one actor, which Ray places, and starts anew when it dies.

Ray has one task of each actor, which lasts as long as that lives: its end is the actor's. What they say to each other
goes through the ``exchange``. A job is given to an actor once: when that dies, the job fails.
"""

from __future__ import annotations

import logging
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import zmq

from gan_edit_engine.service.actor import WorkerActor
from gan_edit_engine.service.exchange import Exchange
from gan_edit_engine.service.worker_process import ENDED, SAID, Exit, connected
from gan_edit_engine.system import out_of_memory
from gan_edit_protocol.errors import GanEditError

COMPUTER = "gan_edit_engine.worker.computing:Computer"
"""What an actor computes with, by name: the service must not import torch, and a cluster's nodes have it installed."""
CPUS = 4.0
"""Of an actor that has no GPU; fewer where no machine has as many."""
_RETRY_SECONDS = 0.2
_ANSWER_SECONDS = 10.0
_SETTINGS = b"\0\0\0\4\0\0\0\0\0"  # an empty frame of that type

_log = logging.getLogger("gan_edit.ray")


class Cluster:
    """A Ray cluster, joined by ``ray``, the library. ``gpus`` and ``cpus``: what each actor gets."""

    def __init__(self, ray: Any, gpus: float, cpus: float, computer: str) -> None:
        self._ray = ray
        self._gpus, self._cpus = gpus, cpus
        self._computer = computer
        self._exchange = Exchange(ray.util.get_node_ip_address())
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
        return RayWorker(self._ray, actor, self._restarting.put, self._exchange, context, number)

    def leave(self) -> None:
        """End the actors, and what was started for this engine."""
        self._ray.shutdown()
        self._exchange.close()

    def _new(self, device: str | None) -> Any:
        made = self._ray.remote(WorkerActor).options(
            num_cpus=self._cpus,
            num_gpus=self._gpus,
            max_restarts=-1,
            max_task_retries=0,  # its task says that it died
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
        "Start Ray on this machine with: ray start --address=HEAD:6379; then give --ray auto. A cluster with a token is"
        " joined with RAY_AUTH_MODE=token and the token in ~/.ray/auth_token.",
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
    """One actor, until it dies or is killed. A thread waits for its end, so that no caller ever does.

    ``give_back``: takes an actor that Ray starts again.
    """

    def __init__(
        self,
        ray: Any,
        actor: Any,
        give_back: Callable[[Any], None],
        exchange: Exchange,
        context: zmq.Context[zmq.Socket[bytes]],
        number: int,
    ) -> None:
        self.number = number
        self.pid = 0
        """Of the actor's process, on its own machine; 0 until it has started."""
        self._ray = ray
        self._actor = actor
        self._give_back = give_back
        self._exchange = exchange
        self._name = str(number).encode()
        self._socket = connected(context)
        self._pushing = threading.Lock()  # its own thread and the exchange's push
        self._killed = threading.Event()
        self._exit = Exit(1, "")
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def send(self, frames: list[bytes]) -> None:
        """Send a message; returns at once."""
        self._exchange.send(self._name, frames)

    def kill(self) -> None:
        """End the actor now, for good."""
        self._killed.set()
        self._ray.kill(self._actor, no_restart=True)

    def join(self, timeout: float) -> bool:
        """Wait until nothing waits for the actor any more; False when something does."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def exit(self) -> Exit:
        """How it ended; only after ``ENDED``."""
        return self._exit

    def _work(self) -> None:
        self._exchange.add(self._name, self._said)
        try:
            if why_not := self._greet():
                self._said(why_not)
                self._ray.kill(self._actor, no_restart=True)
            else:
                self._ray.get(self._actor.serve.remote(self._exchange.door, self._name))
                # Its memory is full, and torch seldom gives back what it holds: only a new process has it all.
                self._exit = Exit(out_of_memory.EXIT_CODE, "")
                self._ray.kill(self._actor, no_restart=False)
                self._give_back(self._actor)
        except self._ray.exceptions.RayError as error:
            self._ended(error)
        self._exchange.remove(self._name)
        with self._pushing, self._socket:
            self._socket.send_multipart([self._name, ENDED])

    def _greet(self) -> list[bytes]:
        """Wait until Ray has found a place for the actor; what it says where it cannot compute."""
        while True:
            try:
                self.pid, why_not = self._ray.get(self._actor.greet.remote())
                return list(why_not)
            except self._ray.exceptions.ActorUnavailableError:
                if self._killed.is_set():
                    raise
                time.sleep(_RETRY_SECONDS)

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

    def _said(self, frames: Sequence[bytes | zmq.Frame]) -> None:
        with self._pushing:
            if not self._socket.closed:
                self._socket.send_multipart([self._name, SAID, *frames], copy=False)


def _reason(error: Exception) -> str:
    """Ray's texts end with what it was."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()[:200].rstrip(".")
