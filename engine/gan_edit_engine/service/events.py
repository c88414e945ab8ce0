"""What the queue (``job_queue``) hears, its stimuli, and what it answers, its instructions.

A ``worker`` is its number in the pool, from 1, which it keeps when its process is started anew.
"""

from __future__ import annotations

from dataclasses import dataclass

from gan_edit_protocol.events import Event, Failed, WorkerStatus
from gan_edit_protocol.requests import JobRequest


@dataclass(frozen=True)
class Submitted:
    """A client sent a job."""

    client: bytes
    job: str
    request: JobRequest


@dataclass(frozen=True)
class CancelAsked:
    """A client wants one of its jobs ended."""

    client: bytes
    job: str


@dataclass(frozen=True)
class StatusAsked:
    """A client asked how the engine is."""

    client: bytes
    job: str


@dataclass(frozen=True)
class ClientGone:
    """A client's connection is closed."""

    client: bytes


@dataclass(frozen=True)
class WorkerReady:
    """The ``worker`` has started and will compute on ``device``.

    ``devices``: the names of those like it that there are, its own first; what further workers can be started on.
    """

    worker: int
    device: str
    devices: tuple[str, ...] = ()


@dataclass(frozen=True)
class WorkerSaid:
    """The worker reports an event of the job that it was given."""

    worker: int
    job: str
    event: Event


@dataclass(frozen=True)
class WorkerDied:
    """The worker process ended by itself; ``failure`` is what a waiting client should read.

    ``hopeless``: it said itself why it cannot start, and would say so again.
    """

    worker: int
    failure: Failed
    hopeless: bool = False


@dataclass(frozen=True)
class Orphaned:
    """The engine is of no use to new clients: its connection file is gone, or a worker of another version."""


@dataclass(frozen=True)
class Unused:
    """None of the processes runs any more for whose sake the engine does; said again while that is so."""


@dataclass(frozen=True)
class ShutdownAsked:
    """A client or a signal asks the engine to end."""


@dataclass(frozen=True)
class Tick:
    """Time has passed."""


Stimulus = (
    Submitted
    | CancelAsked
    | StatusAsked
    | ClientGone
    | WorkerReady
    | WorkerSaid
    | WorkerDied
    | Orphaned
    | Unused
    | ShutdownAsked
    | Tick
)


@dataclass(frozen=True)
class Send:
    """Send an event of ``job`` to ``client``."""

    client: bytes
    job: str
    event: Event


@dataclass(frozen=True)
class SendStatus:
    """Answer a StatusRequest: the state of the ``workers`` and the number of ``jobs`` that wait or run."""

    client: bytes
    job: str
    workers: tuple[WorkerStatus, ...]
    jobs: int


@dataclass(frozen=True)
class StartWorker:
    """Start a process for the worker, on ``device``; None lets it choose."""

    worker: int
    device: str | None


@dataclass(frozen=True)
class Dispatch:
    """Give the job to the worker."""

    worker: int
    job: str
    request: JobRequest


@dataclass(frozen=True)
class AskCancel:
    """Ask the worker to end the job."""

    worker: int
    job: str


@dataclass(frozen=True)
class KillWorker:
    """End the worker process at once; nothing that it still says counts, and its death is not a stimulus."""

    worker: int


@dataclass(frozen=True)
class Stop:
    """End the engine."""


Instruction = Send | SendStatus | StartWorker | Dispatch | AskCancel | KillWorker | Stop
