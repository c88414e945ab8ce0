"""Batches without an engine: jobs of photos that are never opened, and an engine that a test makes fail."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from gan_edit_engine.batch.driver import Clients, Driver, Tally
from gan_edit_engine.batch.jobs import Job, Wanted
from gan_edit_engine.batch.report import Line
from gan_edit_protocol.errors import EngineUnavailableError
from gan_edit_protocol.events import EngineStatus, WorkerStatus

WANTED = Wanted()


def jobs(count: int) -> list[Job]:
    return [Job(Path(f"{n}.jpg"), f"{n}.jpg", f"{n}.png", WANTED) for n in range(count)]


class FakeClient:
    """Knows the engine's workers, and nothing else."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine

    def status(self) -> EngineStatus:
        if self._engine.gone:
            raise EngineUnavailableError("It has ended.")
        return EngineStatus(workers=(WorkerStatus("idle"),) * self._engine.workers)

    def __enter__(self) -> FakeClient:
        return self

    def __exit__(self, *error: object) -> None:
        pass


class FakeEngine:
    """``connections``: how many were made; ``gone``: whether there is nobody; ``most``: of its photos at once."""

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers
        self.connections = 0
        self.gone = False
        self.most = self._inside = 0
        self._lock = threading.Lock()

    @contextmanager
    def connect(self) -> Iterator[Clients]:
        self.connections += 1
        yield lambda: FakeClient(self)  # type: ignore[return-value, arg-type]

    @contextmanager
    def computing(self) -> Iterator[None]:
        with self._lock:
            self._inside += 1
            self.most = max(self.most, self._inside)
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1


class Run:
    """A batch of jobs that ``compute`` does at the engine; what became of them is in ``kept``, in that order."""

    def __init__(self, engine: FakeEngine, compute: Callable[[Job], Line]) -> None:
        self.engine, self._compute = engine, compute
        self.kept: list[tuple[str, Line]] = []
        self.cancelled = False
        self.states: set[str] = set()

    def make(
        self, job: Job, clients: Clients, at_engine: Callable[[], AbstractContextManager[None]], cancelled: Any
    ) -> Line:
        with at_engine(), clients(), self.engine.computing():
            return self._compute(job)

    def run(self, count: int) -> Tally:
        tally = Tally(count)
        Driver(self.make, self.keep, self.tell, lambda: self.cancelled).run(jobs(count), self.engine.connect, tally)
        return tally

    def keep(self, job: Job, line: Line) -> None:
        self.kept.append((job.name, line))

    def tell(self, tally: Tally, job: Job | None, line: Line | None) -> None:
        self.states.add(tally.state)
