"""The engine's shell around the queue: one socket for clients, the workers' processes, and the clock.

Everything is decided in ``job_queue``; this module carries stimuli in and instructions out. It never imports torch, so
that it starts at once and stays small, and it never waits for a client or a worker, so that none can hold up the
others.
"""

from __future__ import annotations

import collections
import logging
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import zmq

from gan_edit_engine import __version__
from gan_edit_engine.service import allocator, descriptors, events, look
from gan_edit_engine.service.client_socket import Door
from gan_edit_engine.service.crew import Crew
from gan_edit_engine.service.deliveries import Deliveries
from gan_edit_engine.service.job_queue import JobQueue
from gan_edit_engine.service.one_engine import hold
from gan_edit_engine.service.pool import Pool
from gan_edit_engine.service.strangers import Strangers
from gan_edit_engine.service.surroundings import Surroundings
from gan_edit_engine.service.worker_process import StartWorker, WorkerProcess
from gan_edit_protocol import connection, wire
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.events import EngineStatus, Event, Failed
from gan_edit_protocol.requests import CancelRequest, LookRequest, ShutdownRequest, StatusRequest

BUSY_POLL_MS = 50
IDLE_POLL_MS = 500
TICK_SECONDS = BUSY_POLL_MS / 1e3
"""How often the queue looks at the clock; with many workers something comes a thousand times a second."""
CHECK_SECONDS = 1.0
"""How often the connection file and the users' processes are looked at."""
STRANGERS_SHARE = 0.5
"""Of the descriptors that the engine may have: connections on which nothing was said yet."""

_log = logging.getLogger("gan_edit.service")


@dataclass(frozen=True)
class Options:
    """``device``: None chooses. ``idle_timeout``: seconds, 0 is never. ``workers``: how many, None is one per device.

    ``end_with``: the first user. The engine ends when the processes of all its users have, those included that clients
    name when they greet; None: it does not. ``start_worker``: what computes.
    """

    connection_file: Path
    device: str | None = None
    end_with: int | None = None
    idle_timeout: float = 3600.0
    workers: int | None = None
    start_worker: StartWorker = WorkerProcess


def serve(options: Options) -> bool:
    """Run an engine until it is told to end; False at once when a running one answers at the connection file.

    Raises :class:`EngineUnavailableError` when another engine holds the connection file but does not answer.
    """
    descriptors.allow_many()
    allocator.give_back_large()
    lock = hold(options.connection_file)
    if lock is None:
        return False
    with lock:
        Service(options).run()
    return True


class Service:
    """One engine: made, run once."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._surroundings = Surroundings(options.connection_file, options.end_with)
        self._queue = JobQueue(options.idle_timeout, Pool(options.workers, options.device))
        self._stimuli: collections.deque[events.Stimulus] = collections.deque()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        door = Door(self._context)
        self._zap, self._router, self._connection = door.zap, door.router, door.connection
        self._crew = Crew(self._context, options.start_worker)
        self._deliveries = Deliveries(self._router)
        self._strangers = Strangers(self._context, self._router, int(descriptors.limit() * STRANGERS_SHARE))
        self._poller = zmq.Poller()
        for socket in (self._router, self._crew.socket, self._zap.socket, self._strangers.socket):
            self._poller.register(socket, zmq.POLLIN)
        self._next_check = self._next_tick = 0.0
        self._running = True

    def run(self) -> None:
        """Serve until the queue says Stop. The connection file is there exactly as long as clients are served."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        try:
            connection.write(self._options.connection_file, self._connection)
            _log.info("listening at %s, process %d", self._connection.endpoint, os.getpid())
            self._perform(self._queue.start(time.monotonic()))
            while self._running:
                self._poll()
                self._check_surroundings()
                self._tick()
                self._handle_stimuli()
                self._stimuli += map(events.ClientGone, self._deliveries.try_again(time.monotonic()))
                self._handle_stimuli()
        finally:
            self._close()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stimuli.append(events.ShutdownAsked())

    def _close(self) -> None:
        self._unpublish()
        ended = self._crew.close()
        self._strangers.close()
        for socket in (self._router, self._zap.socket):
            socket.close()
        if ended:  # else term() would wait for the thread of a process that the system cannot end now
            self._context.term()
        _log.info("ended")

    def _unpublish(self) -> None:
        if not self._surroundings.is_published(self._connection):
            return
        try:
            self._options.connection_file.unlink(missing_ok=True)
        except OSError as error:
            _log.warning("the connection file stays behind: %s", error)

    # --- what comes in ---------------------------------------------------------------------------------------------

    def _poll(self) -> None:
        busy = self._queue.waiting or self._deliveries.waiting
        ready = dict(self._poller.poll(BUSY_POLL_MS if busy else IDLE_POLL_MS))
        if self._zap.socket in ready:
            self._zap.answer_one()
        if self._strangers.socket in ready:
            self._strangers.look()
        if self._router in ready:
            client = self._router.recv(copy=False)  # which keeps its connection's descriptor
            self._strangers.speaks(client)
            self._on_request(client.bytes, self._router.recv_multipart())  # each frame's memory is given back at once
        if self._crew.socket in ready:
            self._stimuli += self._crew.hear()

    def _on_request(self, client: bytes, frames: list[bytes]) -> None:
        try:
            job, request = wire.decode_request(frames)
        except GanEditError as error:
            _log.warning("refused a message: %s", error)
            self._send(client, wire.job_of(frames), Failed.of(error))
            return
        _log.debug("%s %s", job, type(request).__name__)
        if isinstance(request, StatusRequest):
            self._surroundings.add_user(request.user)
            self._stimuli.append(events.StatusAsked(client, job))
        elif isinstance(request, LookRequest):
            self._send(client, job, look.answer(request))
        elif isinstance(request, CancelRequest):
            self._stimuli.append(events.CancelAsked(client, request.job))
        elif isinstance(request, ShutdownRequest):
            self._stimuli.append(events.ShutdownAsked())
        else:
            self._stimuli.append(events.Submitted(client, job, request))

    def _check_surroundings(self) -> None:
        if time.monotonic() < self._next_check:
            return
        self._next_check = time.monotonic() + CHECK_SECONDS
        if not self._surroundings.is_published(self._connection):
            self._stimuli.append(events.Orphaned())
        if not self._surroundings.is_used():
            self._stimuli.append(events.Unused())

    def _tick(self) -> None:
        if time.monotonic() >= self._next_tick:
            self._next_tick = time.monotonic() + TICK_SECONDS
            self._stimuli.append(events.Tick())

    # --- what goes out ---------------------------------------------------------------------------------------------

    def _handle_stimuli(self) -> None:
        while self._stimuli and self._running:
            self._perform(self._queue.handle(self._stimuli.popleft(), time.monotonic()))

    def _perform(self, instructions: list[events.Instruction]) -> None:
        for instruction in instructions:
            match instruction:
                case events.Send(client, job, event):
                    self._send(client, job, event)
                case events.SendStatus(client, job, workers, count):
                    models, pid = self._surroundings.model_names(), os.getpid()
                    status = EngineStatus.listing(models, workers, version=__version__, pid=pid, jobs=count)
                    self._send(client, job, status)
                case events.StartWorker(worker, device):
                    self._stimuli += self._crew.start(worker, device)
                case events.Dispatch(worker, job, request):
                    self._crew.tell(worker, wire.encode(job, request))
                case events.AskCancel(worker, job):
                    self._crew.tell(worker, wire.encode(job, CancelRequest(job)))
                case events.KillWorker(worker):
                    self._crew.kill(worker)
                case events.Stop():
                    self._running = False

    def _send(self, client: bytes, job: str, event: Event) -> None:
        self._deliveries.send(client, job, event, time.monotonic())
