"""The queue as a pure state machine: stimuli in, instructions out. No socket, process, clock or disk in here.

One job runs at a time, in the order of arrival. The worker process is "starting", "idle", "busy" or "failed":

    starting --WorkerReady--> idle --Dispatch--> busy --final event--> idle
    starting --WorkerDied--> starting (again, a few times) --> failed --Submitted--> starting
    idle, busy --WorkerDied--> starting

``service`` performs the instructions and reports what happens as stimuli, each with the time (seconds, monotonic).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
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
from gan_edit_protocol.entries import carried_bytes
from gan_edit_protocol.events import FINAL_EVENTS, Accepted, Cancelled, Event, Failed, Notice, Progress, WorkerStatus
from gan_edit_protocol.requests import JobRequest

CANCEL_SECONDS = 0.7
"""A worker that has not ended a cancelled job after this long is killed; the client may wait one second in all."""
REPEAT_SECONDS = 0.8
"""A client hears of its waiting or running job at least this often; the protocol promises one second."""
MAX_JOBS = 64
MAX_WAITING_BYTES = 2 << 30
"""Of the photos and latents of all jobs that wait; one job alone may bring more."""
SHUTDOWN = Failed(
    "engine_shutdown",
    "The GAN Edit engine was told to end before this was done.",
    "Try again; it is then started anew.",
)
MAX_START_DEATHS = 2
"""A worker that dies this often without having finished a job is not started again until a job asks for it."""


@dataclass(eq=False)
class _Job:
    """``client`` is None when it is gone; ``last`` is repeated when the worker is silent (sent at ``told_at``).

    ``request`` is None from when the worker has it.
    """

    client: bytes | None
    job: str
    request: JobRequest | None
    last: Event
    told_at: float
    cancel_deadline: float | None = None


class JobQueue:
    """Jobs from submission to their end. ``idle_timeout``: seconds without a client or job until Stop; 0 is never."""

    def __init__(self, idle_timeout: float = 0.0) -> None:
        self._idle_timeout = idle_timeout
        self._jobs: list[_Job] = []  # the first one runs while the worker is busy
        self._worker = "failed"
        self._device = ""
        self._start_deaths = 0
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
        return bool(self._jobs)

    def start(self, now: float) -> list[Instruction]:
        """The first instructions."""
        self._now = self._last_activity = now
        self._start_worker()
        return self._taken()

    def handle(self, stimulus: Stimulus, now: float) -> list[Instruction]:
        """What to do about ``stimulus``, which happened at ``now``."""
        self._now = now
        self._handlers[type(stimulus)](stimulus)
        if self._worker == "idle" and self._jobs:
            self._dispatch(self._jobs[0])
        return self._taken()

    def _dispatch(self, job: _Job) -> None:
        assert job.request is not None  # only a job that waits is given to the worker
        self._worker = "busy"
        self._instructions.append(Dispatch(job.job, job.request))
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
        accepted = Accepted(ahead=len(self._jobs))
        self._jobs.append(_Job(stimulus.client, stimulus.job, stimulus.request, accepted, self._now))
        self._instructions.append(Send(stimulus.client, stimulus.job, accepted))
        if self._worker == "failed":
            self._start_deaths = MAX_START_DEATHS - 1  # this client waits for one more try, not for several
            self._start_worker()

    def _refusal(self, stimulus: Submitted) -> Failed | None:
        if any(job.job == stimulus.job for job in self._jobs):
            return Failed("bad_message", "A job of this name is in the queue already.", "Send it again.")
        if len(self._jobs) >= MAX_JOBS:
            return Failed("queue_full", f"{MAX_JOBS} jobs are waiting already.", "Wait until some are done.")
        waiting = sum(carried_bytes(job.request) for job in self._jobs if job.request is not None)
        brought = carried_bytes(stimulus.request)
        if waiting and brought and waiting + brought > MAX_WAITING_BYTES:
            return Failed("queue_full", "The photos of the waiting jobs fill the queue.", "Wait until some are done.")
        return None

    def _cancel_asked(self, stimulus: CancelAsked) -> None:
        self._last_activity = self._now
        for job in self._jobs:
            if job.client == stimulus.client and job.job == stimulus.job:
                self._cancel(job)
                return

    def _status_asked(self, stimulus: StatusAsked) -> None:
        self._last_activity = self._now
        workers = (WorkerStatus(self._worker, self._device),)
        self._instructions.append(SendStatus(stimulus.client, stimulus.job, workers, len(self._jobs)))

    def _client_gone(self, stimulus: ClientGone) -> None:
        for job in [job for job in self._jobs if job.client == stimulus.client]:
            job.client = None
            self._cancel(job)

    def _cancel(self, job: _Job) -> None:
        if not self._runs(job):
            self._end(job, Cancelled())
        elif job.cancel_deadline is None:
            job.cancel_deadline = self._now + CANCEL_SECONDS
            self._instructions.append(AskCancel(job.job))

    # --- worker ----------------------------------------------------------------------------------------------------

    def _worker_ready(self, stimulus: WorkerReady) -> None:
        self._worker = "idle"
        self._device = stimulus.device

    def _worker_said(self, stimulus: WorkerSaid) -> None:
        job = self._running()
        if job is None or job.job != stimulus.job:
            return
        if isinstance(stimulus.event, Progress):
            self._progressed(job, stimulus.event)
        elif isinstance(stimulus.event, Notice):
            self._tell(job, stimulus.event)
        elif isinstance(stimulus.event, FINAL_EVENTS):
            self._worker = "idle"
            self._start_deaths = 0
            self._end(job, stimulus.event)

    def _progressed(self, job: _Job, progress: Progress) -> None:
        if job.cancel_deadline is None:
            self._tell(job, progress)
            job.last = replace(progress, preview=None)

    def _worker_died(self, stimulus: WorkerDied) -> None:
        job = self._running()
        self._start_deaths += 1
        if job is not None:
            self._start_deaths = 0  # the job is gone, and with it what may have killed the worker
            self._end(job, stimulus.failure)
        if self._start_deaths < MAX_START_DEATHS and not stimulus.hopeless:
            self._start_worker()
            return
        self._worker = "failed"
        for waiting in list(self._jobs):
            self._end(waiting, stimulus.failure)

    def _start_worker(self) -> None:
        self._worker = "starting"
        self._instructions.append(StartWorker())

    # --- time and end ----------------------------------------------------------------------------------------------

    def _tick(self, stimulus: Tick) -> None:
        running = self._running()
        if running is not None and running.cancel_deadline is not None and self._now >= running.cancel_deadline:
            self._instructions.append(KillWorker())
            self._start_worker()
            self._end(running, Cancelled())
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
            self._tell(job, SHUTDOWN if job.cancel_deadline is None else Cancelled())
        self._jobs.clear()
        self._stop()

    def _stop(self) -> None:
        self._worker = "failed"
        self._instructions += [KillWorker(), Stop()]

    # --- jobs ------------------------------------------------------------------------------------------------------

    def _running(self) -> _Job | None:
        return self._jobs[0] if self._worker == "busy" else None

    def _runs(self, job: _Job) -> bool:
        return job is self._running()

    def _end(self, job: _Job, final: Event) -> None:
        """Take ``job`` out of the queue. Once cancelled it ends cancelled, whatever the worker made of it."""
        self._last_activity = self._now
        self._tell(job, final if job.cancel_deadline is None else Cancelled())
        self._jobs.remove(job)
        self._announce_positions()

    def _announce_positions(self) -> None:
        for ahead, job in enumerate(self._jobs):
            if isinstance(job.last, Accepted) and job.last.ahead != ahead:
                job.last = Accepted(ahead)
                self._tell(job, job.last)

    def _tell(self, job: _Job, event: Event) -> None:
        job.told_at = self._now
        if job.client is not None:
            self._instructions.append(Send(job.client, job.job, event))
