"""The workers as the queue knows them: what each does, on which device, and for whom. Pure data, without a process."""

from __future__ import annotations

from dataclasses import dataclass

from gan_edit_engine.service.turns import Job
from gan_edit_protocol.events import WorkerStatus

MAX_START_DEATHS = 2
"""A worker that dies this often without having finished a job is not started again until a job asks for it."""
RETRY_SECONDS = 60.0
"""Of a worker that does not start while others work: not every job that comes tries it again."""


@dataclass(eq=False)
class PooledWorker:
    """``state``: starting, idle, busy (with ``job``) or failed (since ``failed_at``).

    ``wanted``: the device that it is started on, None chooses; ``device``: what it said of that. ``served``: the client
    whose job it had last, of which it still knows the photo.
    """

    number: int
    wanted: str | None
    state: str = "failed"
    device: str = ""
    job: Job | None = None
    served: bytes | None = None
    start_deaths: int = 0
    failed_at: float = 0.0


class Pool:
    """``size``: how many workers there shall be, None: one for each device. ``device``: as of ``gan-edit engine``.

    The first worker is alone until it has said which devices there are; the others share them evenly.
    """

    def __init__(self, size: int | None, device: str | None) -> None:
        self.workers = [PooledWorker(1, device)]
        self._size = size
        self._grown = False

    def __getitem__(self, number: int) -> PooledWorker:
        return self.workers[number - 1]

    @property
    def status(self) -> tuple[WorkerStatus, ...]:
        """What is told of each."""
        return tuple(WorkerStatus(worker.state, worker.device) for worker in self.workers)

    @property
    def lives(self) -> bool:
        """Whether any of them works or starts."""
        return any(worker.state != "failed" for worker in self.workers)

    @property
    def free(self) -> int:
        """How many can take a job, now or as soon as they have started."""
        return sum(worker.state in ("idle", "starting") for worker in self.workers)

    @property
    def jobs(self) -> list[Job]:
        """Those that run."""
        return [worker.job for worker in self.workers if worker.job is not None]

    def with_job(self, job: Job) -> PooledWorker | None:
        """The worker that has ``job``."""
        return next((worker for worker in self.workers if worker.job is job), None)

    def idle_for(self, client: bytes | None) -> PooledWorker | None:
        """A worker that can take a job of ``client``, rather one that knows the client's photo."""
        idle = [worker for worker in self.workers if worker.state == "idle"]
        return min(idle, key=lambda worker: worker.served != client, default=None)

    def failed(self, since: float) -> list[PooledWorker]:
        """Those that may be tried again: all where none lives, else those that have failed before ``since``."""
        failed = [worker for worker in self.workers if worker.state == "failed"]
        return [worker for worker in failed if worker.failed_at <= since] if self.lives else failed

    def grow(self, devices: tuple[str, ...]) -> list[PooledWorker]:
        """The workers that come to the first one, once, when it has said which ``devices`` there are, its own first."""
        if self._grown:
            return []
        self._grown = True
        count = len(devices) if self._size is None else self._size
        added = [PooledWorker(number + 1, devices[number % len(devices)]) for number in range(1, count)]
        self.workers += added
        return added
