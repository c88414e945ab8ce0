"""The processor's time that a client, its engine and the workers take, while their jobs wait for something else."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import astuple, dataclass

import psutil

ACTOR = "ray::WorkerActor"
"""How Ray names an actor's process."""


@dataclass(frozen=True)
class Taken:
    """Seconds of the processor, by what took them; ``ray``: what Ray runs beside its actors, which are ``workers``."""

    client: float
    engine: float
    workers: float
    ray: float

    @property
    def all(self) -> float:
        return sum(astuple(self))

    def each(self, jobs: int, before: Taken) -> Taken:
        """What came after ``before``, for each of ``jobs``."""
        return Taken(*((now - then) / jobs for now, then in zip(astuple(self), astuple(before), strict=True)))


def taken(engine: psutil.Process, sleeper: str) -> Taken:
    """Until now, by this process as the client of ``engine``, and by all that descend from that.

    ``sleeper``: the module that is the processes' workers.
    """
    workers = ray = 0.0
    for process in engine.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            words = process.cmdline()
            if sleeper in words or words[:1] and words[0].startswith(ACTOR):
                workers += _seconds(process)
            else:
                ray += _seconds(process)
    return Taken(_seconds(psutil.Process()), _seconds(engine), workers, ray)


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system
