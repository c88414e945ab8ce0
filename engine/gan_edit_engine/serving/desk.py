"""Where visitors' jobs are: each is worked on by a thread of its own, whether or not anybody listens just then.

A visitor's connection may break and come again; under the same key the same job is found, never begun twice.
"""

from __future__ import annotations

import collections
import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gan_edit_engine.serving import advice
from gan_edit_engine.serving.limits import Limits
from gan_edit_engine.serving.lines import Lines
from gan_edit_engine.serving.room import Room
from gan_edit_engine.system.out_of_memory import is_out_of_memory
from gan_edit_protocol.client import Client
from gan_edit_protocol.errors import GanEditError, JobCancelledError
from gan_edit_protocol.events import Accepted, Cancelled, Failed, Progress

ABANDONED_SECONDS = 60.0
"""A job to which nobody has listened for so long is ended; its visitor does not come back."""
KEPT_SECONDS = 900.0
"""What a job has made is kept so long for a visitor whose connection broke."""
KEPT_JOBS = 4
"""Of each visitor, the last ones that have ended."""
_LAST_STATES = 16
_SWEEP_SECONDS = 5.0

Cancel = Callable[[], bool]
Work = Callable[[Client, Cancel], Iterator[Any]]
"""Gives what there is to tell, None when there is nothing at the moment; the last one is how it ended."""

_log = logging.getLogger("gan_edit.serving")


class Job:
    """One visitor's, with what it has told so far, numbered from 1; of how far it was only the last is kept.

    ``about``: what is to be known of it by who asked for it, and comes again.
    """

    def __init__(self, visitor: str, folder: Path, seconds: float) -> None:
        self.visitor = visitor
        self.folder = folder
        self.about: Any = None
        self.ended: float | None = None
        self._sentences: list[tuple[int, Any]] = []
        self._states: collections.deque[tuple[int, Any]] = collections.deque(maxlen=_LAST_STATES)
        self._telling = threading.Lock()
        self._number = 0
        self._seconds = seconds
        self._begun: float | None = None
        self._heard = time.monotonic()
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Ask for its end."""
        self._cancelled.set()

    def after(self, number: int) -> list[tuple[int, Any]]:
        """What it has told since ``number``; asking keeps the job."""
        self._heard = time.monotonic()
        with self._telling:
            told = [each for each in (*self._sentences, *self._states) if each[0] > number]
        return sorted(told, key=lambda each: each[0])

    def perform(self, lines: Lines, work: Work) -> None:
        """Work to the end, of whichever kind."""
        try:
            with lines.client_of(self.visitor) as client:
                for told in work(client, self._is_to_end):
                    self._tell(told)
        except JobCancelledError:
            self._tell(Cancelled())
        except Exception as error:
            self._tell(_failure(error))
        finally:
            self.ended = time.monotonic()

    def _tell(self, told: Any) -> None:
        if told is None:
            return
        if self._begun is None and isinstance(told, Progress):
            self._begun = time.monotonic()
        if isinstance(told, Cancelled) and self._is_late() and not self._cancelled.is_set():
            told = Failed(
                "too_long",
                f"The job was ended: this server works {self._seconds:.0f} seconds on one.",
                "Ask for fewer steps, or another quality.",
            )
        with self._telling:
            self._number += 1
            # How far a job is matters until it is further; a sentence must be read, whenever somebody comes to read it.
            kept = self._states if isinstance(told, Accepted | Progress) else self._sentences
            kept.append((self._number, told))

    def _is_to_end(self) -> bool:
        abandoned = time.monotonic() - self._heard > ABANDONED_SECONDS
        return self._cancelled.is_set() or abandoned or self._is_late()

    def _is_late(self) -> bool:
        return self._begun is not None and time.monotonic() - self._begun > self._seconds


class Desk:
    """Takes jobs and keeps them. ``connect`` gives a client of the engine; ``folder`` is where visitors' files go.

    Its ``close`` ends all of them.
    """

    def __init__(self, connect: Callable[[], Client], folder: Path, limits: Limits) -> None:
        self._lines = Lines(connect)
        self._folder = folder / "jobs"
        self.room = Room(folder, self._folder, limits)
        self._limits = limits
        self._jobs: dict[str, Job] = {}
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep_until_closed, daemon=True)
        self._sweeper.start()

    def take(self, visitor: str, key: str, work: Work) -> Job:
        """The visitor's job of this ``key``, begun now unless it is there.

        GanEditError (too_many_jobs) when the visitor has as many at once as allowed, (server_full) when what it makes
        could not be kept.
        """
        with self._lock:
            if (found := self._jobs.get(key)) is not None:
                return self._own(visitor, found)
            self.room.check()
            running = [job for job in self._jobs.values() if job.visitor == visitor and job.ended is None]
            if len(running) >= self._limits.jobs or self._closed.is_set():
                raise GanEditError(
                    "too_many_jobs",
                    f"{len(running)} of your jobs wait or run; this server takes {self._limits.jobs} at once.",
                    "Wait until one has ended, or cancel it.",
                )
            job = self._jobs[key] = Job(visitor, self.folder_of(key), self._limits.seconds)
            thread = threading.Thread(target=self._perform, args=(job, work), daemon=True)
            self._threads.add(thread)
        thread.start()
        return job

    def folder_of(self, key: str) -> Path:
        """Where a job may put files; they go when it is forgotten."""
        return self._folder / key

    def find(self, visitor: str, key: str) -> Job:
        """The visitor's job of this ``key``; GanEditError (unknown_job) when there is none, or no more."""
        with self._lock:
            found = self._jobs.get(key)
        if found is None:
            raise _unknown_job()
        return self._own(visitor, found)

    def close(self) -> None:
        """End all jobs, and wait until they have ended."""
        self._closed.set()
        with self._lock:
            threads = list(self._threads)
            for job in self._jobs.values():
                job.cancel()
        for thread in (self._sweeper, *threads):
            thread.join(_SWEEP_SECONDS)

    def _perform(self, job: Job, work: Work) -> None:
        try:
            job.perform(self._lines, work)
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())

    @staticmethod
    def _own(visitor: str, job: Job) -> Job:
        if job.visitor != visitor:
            raise _unknown_job()
        return job

    def _sweep_until_closed(self) -> None:
        while not self._closed.wait(_SWEEP_SECONDS):
            self._sweep()
            self.room.measure()

    def _sweep(self) -> None:
        """Forget what nobody comes for any more, and its files."""
        now = time.monotonic()
        kept: collections.Counter[str] = collections.Counter()
        with self._lock:
            for key, job in reversed(list(self._jobs.items())):
                if job.ended is None:
                    continue
                kept[job.visitor] += 1
                if now - job.ended > KEPT_SECONDS or kept[job.visitor] > KEPT_JOBS:
                    del self._jobs[key]
                    shutil.rmtree(job.folder, ignore_errors=True)


def _failure(error: Exception) -> Failed:
    if is_out_of_memory(error):
        error = GanEditError("out_of_memory", "The memory is full.")
    if isinstance(error, GanEditError):
        return advice.of_failure(error)
    _log.error("a job failed", exc_info=error)
    return Failed("internal_error", "The server could not do that.", "Try again; its log says why.")


def _unknown_job() -> GanEditError:
    return GanEditError("unknown_job", "There is no such job, or its result is no longer kept.", "Ask for it again.")
