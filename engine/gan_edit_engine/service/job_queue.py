"""The queue as a pure state machine: stimuli in, instructions out. No socket, process, clock or disk in here.

Each worker of the ``pool`` runs one job at a time, as the clients take ``turns``. A worker is "starting", "idle",
"busy" or "failed":

    starting --WorkerReady--> idle --Dispatch--> busy --final event--> idle
    starting --WorkerDied--> starting (again, a few times) --> failed --Submitted--> starting
    idle, busy --WorkerDied--> starting

``service`` performs the instructions and reports what happens as stimuli, each with the time (seconds, monotonic).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gan_edit_engine.service.events import (
    AskCancel,
    CancelAsked,
    ClientGone,
    Dispatch,
    Instruction,
    KillWorker,
    Orphaned,
    Send,
    SendStatus,
    ShutdownAsked,
    StartWorker,
    StatusAsked,
    Stimulus,
    Stop,
    Submitted,
    Tick,
    Unused,
    WorkerDied,
    WorkerReady,
    WorkerSaid,
)
from gan_edit_engine.service.pool import MAX_START_DEATHS, RETRY_SECONDS, Pool, PooledWorker
from gan_edit_engine.service.turns import Job, Turns
from gan_edit_protocol.entries import carried_bytes
from gan_edit_protocol.events import FINAL_EVENTS, Accepted, Cancelled, Event, Failed, Notice, Progress

CANCEL_SECONDS = 0.7
"""A worker that has not ended a cancelled job after this long is killed; the client may wait one second in all."""
REPEAT_SECONDS = 0.8
"""A client hears of its waiting or running job at least this often; the protocol promises one second."""
PLACE_SECONDS = 0.2
"""A waiting job hears of changes of its place at most so often: with many workers there is one all the time."""
MAX_JOBS = 128
"""Of those that wait, besides those that run."""
MAX_WAITING_BYTES = 2 << 30
"""Of the photos and latents of all jobs that wait; one job alone may bring more."""
SHARE = 2
"""One client may fill a half of that, so that there is room for others."""
SHUTDOWN = Failed(
    "engine_shutdown",
    "The GAN Edit engine was told to end before this was done.",
    "Try again; it is then started anew.",
)


class JobQueue:
    """Jobs from submission to their end. ``idle_timeout``: seconds without a client or job until Stop; 0 is never.

    ``pool``: what computes; by default one worker.
    """

    def __init__(self, idle_timeout: float = 0.0, pool: Pool | None = None) -> None:
        self._idle_timeout = idle_timeout
        self._pool = pool or Pool(1, None)
        self._waiting = Turns()
        self._orphaned = False
        self._last_activity = 0.0
        self._now = 0.0
        self._instructions: list[Instruction] = []
        # One method for each stimulus; the table is the machine's list of transitions.
        self._handlers: dict[type, Callable[[Any], None]] = {
            Submitted: self._submitted,
            CancelAsked: self._cancel_asked,
            StatusAsked: self._status_asked,
            ClientGone: self._client_gone,
            WorkerReady: self._worker_ready,
            WorkerSaid: self._worker_said,
            WorkerDied: self._worker_died,
            Orphaned: self._of_no_use,
            Unused: self._unused,
            ShutdownAsked: self._shutdown_asked,
            Tick: self._tick,
        }

    @property
    def waiting(self) -> bool:
        """Whether any job waits or runs, so that ticks must come quickly."""
        return bool(self._pool.jobs or self._waiting)

    @property
    def _jobs(self) -> list[Job]:
        return [*self._pool.jobs, *self._waiting.in_order()]

    def start(self, now: float) -> list[Instruction]:
        """The first instructions."""
        self._now = self._last_activity = now
        for worker in self._pool.workers:
            self._start_worker(worker)
        return self._taken()

    def handle(self, stimulus: Stimulus, now: float) -> list[Instruction]:
        """What to do about ``stimulus``, which happened at ``now``."""
        self._now = now
        self._handlers[type(stimulus)](stimulus)
        if not (isinstance(stimulus, WorkerSaid) and isinstance(stimulus.event, Progress)):  # most of all, moves none
            self._announce_places()
            self._dispatch()
        return self._taken()

    def _dispatch(self) -> None:
        while self._waiting and (worker := self._pool.idle_for(self._waiting.first.client)):
            job = self._waiting.take()
            assert job.request is not None  # only a job that waits is given to a worker
            worker.state, worker.job, worker.served = "busy", job, job.client
            self._instructions.append(Dispatch(worker.number, job.job, job.request))
            job.request = None

    def _taken(self) -> list[Instruction]:
        taken, self._instructions = self._instructions, []
        return taken

    # --- clients ---------------------------------------------------------------------------------------------------

    def _submitted(self, stimulus: Submitted) -> None:
        self._last_activity = self._now
        if refusal := self._refusal(stimulus):
            self._instructions.append(Send(stimulus.client, stimulus.job, refusal))
            return
        for worker in self._pool.failed(since=self._now - RETRY_SECONDS):
            worker.start_deaths = MAX_START_DEATHS - 1  # this client waits for one more try, not for several
            self._start_worker(worker)
        brought = carried_bytes(stimulus.request)
        job = Job(stimulus.client, stimulus.job, stimulus.request, brought, Accepted(0), self._now)
        self._waiting.add(job, {running.client for running in self._pool.jobs})
        job.last = _place(self._waiting.in_order().index(job), self._pool.free)
        self._tell(job, job.last)

    def _refusal(self, stimulus: Submitted) -> Failed | None:
        if any(job.job == stimulus.job for job in self._jobs):
            return Failed("bad_message", "A job of this name is in the queue already.", "Send it again.")
        waiting = self._waiting.in_order()
        own = [job for job in waiting if job.client == stimulus.client]
        if len(waiting) >= MAX_JOBS or len(own) >= MAX_JOBS // SHARE:
            return Failed("queue_full", f"{len(waiting)} jobs are waiting already.", "Wait until some are done.")
        brought = carried_bytes(stimulus.request)
        for held, room in ((waiting, MAX_WAITING_BYTES), (own, MAX_WAITING_BYTES // SHARE)):
            taken = sum(job.brought for job in held)
            if taken and brought and taken + brought > room:
                reason = "The photos of the waiting jobs fill the queue."
                return Failed("queue_full", reason, "Wait until some are done.")
        return None

    def _cancel_asked(self, stimulus: CancelAsked) -> None:
        self._last_activity = self._now
        for job in self._jobs:
            if job.client == stimulus.client and job.job == stimulus.job:
                self._cancel(job)

    def _status_asked(self, stimulus: StatusAsked) -> None:
        self._last_activity = self._now
        self._instructions.append(SendStatus(stimulus.client, stimulus.job, self._pool.status, len(self._jobs)))

    def _client_gone(self, stimulus: ClientGone) -> None:
        for job in [job for job in self._jobs if job.client == stimulus.client]:
            job.client = None
            self._cancel(job)

    def _cancel(self, job: Job) -> None:
        worker = self._pool.with_job(job)
        if worker is None:
            self._end(job, Cancelled())
        elif job.cancel_deadline is None:
            job.cancel_deadline = self._now + CANCEL_SECONDS
            self._instructions.append(AskCancel(worker.number, job.job))

    # --- workers ---------------------------------------------------------------------------------------------------

    def _worker_ready(self, stimulus: WorkerReady) -> None:
        worker = self._pool[stimulus.worker]
        worker.state, worker.device = "idle", stimulus.device
        for added in self._pool.grow(stimulus.devices):
            self._start_worker(added)

    def _worker_said(self, stimulus: WorkerSaid) -> None:
        worker = self._pool[stimulus.worker]
        job = worker.job
        if job is None or job.job != stimulus.job:
            return
        if isinstance(stimulus.event, Progress):
            self._progressed(job, stimulus.event)
        elif isinstance(stimulus.event, Notice):
            self._tell(job, stimulus.event)
        elif isinstance(stimulus.event, FINAL_EVENTS):
            worker.state = "idle"
            worker.start_deaths = 0
            self._end(job, stimulus.event)

    def _progressed(self, job: Job, progress: Progress) -> None:
        if job.cancel_deadline is None:
            self._tell(job, progress)
            job.last = replace(progress, preview=None)

    def _worker_died(self, stimulus: WorkerDied) -> None:
        worker = self._pool[stimulus.worker]
        worker.start_deaths += 1
        if worker.job is not None:
            worker.start_deaths = 0  # the job is gone, and with it what may have killed the worker
            self._end(worker.job, stimulus.failure)
        if worker.start_deaths < MAX_START_DEATHS and not stimulus.hopeless:
            self._start_worker(worker)
            return
        worker.state, worker.failed_at = "failed", self._now
        if not self._pool.lives:
            for waiting in self._waiting.in_order():
                self._end(waiting, stimulus.failure)

    def _start_worker(self, worker: PooledWorker) -> None:
        worker.state, worker.served = "starting", None
        self._instructions.append(StartWorker(worker.number, worker.wanted))

    # --- time and end ----------------------------------------------------------------------------------------------

    def _tick(self, stimulus: Tick) -> None:
        for worker in self._pool.workers:
            job = worker.job
            if job is not None and job.cancel_deadline is not None and self._now >= job.cancel_deadline:
                self._instructions.append(KillWorker(worker.number))
                self._start_worker(worker)
                self._end(job, Cancelled())
        for job in self._jobs:
            if self._now - job.told_at >= REPEAT_SECONDS:
                self._tell(job, job.last)
        self._stop_when_idle()

    def _stop_when_idle(self) -> None:
        idle = self._now - self._last_activity
        if not self._jobs and (self._orphaned or 0 < self._idle_timeout <= idle):
            self._stop()

    def _of_no_use(self, stimulus: Orphaned) -> None:
        self._orphaned = True

    def _unused(self, stimulus: Unused) -> None:
        if not self._jobs:
            self._stop()

    def _shutdown_asked(self, stimulus: ShutdownAsked) -> None:
        for job in self._jobs:
            self._end(job, SHUTDOWN)
        self._stop()

    def _stop(self) -> None:
        for worker in self._pool.workers:
            worker.state = "failed"
            self._instructions.append(KillWorker(worker.number))
        self._instructions.append(Stop())

    # --- jobs ------------------------------------------------------------------------------------------------------

    def _end(self, job: Job, final: Event) -> None:
        """Take ``job`` out of the queue. Once cancelled it ends cancelled, whatever the worker made of it."""
        self._last_activity = self._now
        self._tell(job, final if job.cancel_deadline is None else Cancelled())
        worker = self._pool.with_job(job)
        if worker is None:
            self._waiting.remove(job)
        else:
            worker.job = None

    def _announce_places(self) -> None:
        free = self._pool.free
        for place, job in enumerate(self._waiting.in_order()):
            if self._now - job.placed_at >= PLACE_SECONDS and job.last != (accepted := _place(place, free)):
                job.last, job.placed_at = accepted, self._now
                self._tell(job, accepted)

    def _tell(self, job: Job, event: Event) -> None:
        job.told_at = self._now
        if job.client is not None:
            self._instructions.append(Send(job.client, job.job, event))


def _place(place: int, free: int) -> Accepted:
    """How many jobs have to end before the one starts at this ``place``, from 0, of those that wait for ``free``."""
    return Accepted(max(0, place + 1 - free))
