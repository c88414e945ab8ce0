"""Whose job is next: clients take turns, and each one's own jobs keep the order of their arrival.

While a client waits for its turn, every other one gets at most one job done first. Pure data.
"""

from __future__ import annotations

import collections
import itertools
import math
from collections.abc import Container
from dataclasses import dataclass, field

from gan_edit_protocol.events import Event
from gan_edit_protocol.requests import JobRequest


@dataclass(eq=False)
class Job:
    """``client`` is None when it is gone; ``last`` is repeated when the worker is silent (sent at ``told_at``).

    ``placed_at``: when it last heard that its place among those that wait has changed. ``request`` is None from when a
    worker has it; ``brought``: the bytes of its arrays.
    """

    client: bytes | None
    job: str
    request: JobRequest | None
    brought: int
    last: Event
    told_at: float
    placed_at: float = -math.inf
    cancel_deadline: float | None = None


@dataclass(eq=False)
class _Turn:
    """A client's jobs that wait; ``served``: the other clients that have had a job started since its own last one."""

    client: bytes | None
    jobs: collections.deque[Job]
    served: set[bytes | None] = field(default_factory=set)


class Turns:
    """The jobs that wait, by the turns of their clients."""

    def __init__(self) -> None:
        self._turns: list[_Turn] = []

    def __bool__(self) -> bool:
        return bool(self._turns)

    @property
    def first(self) -> Job:
        """The one that starts next; there must be one."""
        return self._turns[0].jobs[0]

    def in_order(self) -> list[Job]:
        """The jobs in the order in which they will start, if no others come."""
        rounds = itertools.zip_longest(*(turn.jobs for turn in self._turns))
        return [job for one_round in rounds for job in one_round if job is not None]

    def add(self, job: Job, running: Container[bytes | None]) -> None:
        """Let ``job`` wait. ``running``: the clients for whom workers compute now.

        A client that comes anew goes before those at the end for whom something is computed already, unless they have
        let it go first once: so who sends a single job waits for nothing of a batch but what runs.
        """
        for turn in self._turns:
            if turn.client == job.client:
                turn.jobs.append(job)
                return
        place = len(self._turns)
        while place and self._turns[place - 1].client in running and job.client not in self._turns[place - 1].served:
            place -= 1
        self._turns.insert(place, _Turn(job.client, collections.deque([job])))

    def take(self) -> Job:
        """The next job, which then waits no more; its client's turn is over."""
        turn = self._turns.pop(0)
        for other in self._turns:
            other.served.add(turn.client)
        job = turn.jobs.popleft()
        if turn.jobs:
            turn.served.clear()
            self._turns.append(turn)
        return job

    def remove(self, job: Job) -> None:
        """Let ``job``, which waits, wait no more."""
        turn = next(turn for turn in self._turns if job in turn.jobs)
        turn.jobs.remove(job)
        if not turn.jobs:
            self._turns.remove(turn)
