"""Many photos at once through one connection: enough that no worker waits, tried again where an engine failed them.

Each photo is a thread that goes the single commands' way, so that some are read and written while others are computed.
"""

from __future__ import annotations

import collections
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass

from gan_edit_engine.batch.gate import Gate
from gan_edit_engine.batch.jobs import Job
from gan_edit_engine.batch.report import Line, UnwritableError
from gan_edit_engine.system.out_of_memory import is_out_of_memory
from gan_edit_protocol.client import Client
from gan_edit_protocol.errors import EngineUnavailableError, GanEditError, JobCancelledError

TRIES = 5
"""Of a photo whose worker or engine died; another one takes its place within seconds."""
PATIENCE_SECONDS = 600.0
"""So long an engine that is gone is looked for, or started, again."""
_AGAIN_SECONDS = 3.0
_CROWDED_SECONDS = 1.0
_COUNT_SECONDS = 10.0
_LOOK_SECONDS = 0.1
_WAITING = 1
"""Photos that wait at the engine, beyond those that its workers compute."""
_AHEAD = max(2, min(4, os.cpu_count() or 1))
"""Photos that are read, or whose results are written, besides."""
_CALM = 16  # photos that go well before one more is tried at once where there were too many
_MOST = 1024

_PASSING = {"worker_died", "worker_start", "engine_shutdown", "out_of_memory", "version_mismatch", "cancelled"}
_CROWDED = {"queue_full", "too_many_jobs"}

Clients = Callable[[], Client]
Connect = Callable[[], AbstractContextManager[Clients]]
"""A connection to an engine, which gives clients to several threads; EngineUnavailableError when there is none."""
Make = Callable[[Job, Clients, Callable[[], AbstractContextManager[None]], Callable[[], bool]], Line]
"""As ``Studio.make``."""


@dataclass
class Tally:
    """How a batch stands: of ``total`` photos ``done`` and ``failed``, those of earlier runs included.

    ``now``: how many of them ended in this run; ``state``: what goes on, in a few words.
    """

    total: int
    done: int = 0
    failed: int = 0
    now: int = 0
    state: str = ""


@dataclass
class _Turn:
    """A job that is to be done, how often it was tried, and when it may be again (seconds, monotonic)."""

    job: Job
    tries: int = 0
    not_before: float = 0.0


class _NotBegunError(EngineUnavailableError):
    """The engine was lost before the photo came to it, which is no try of the photo's."""


class Driver:
    """``make`` does a photo, in a thread of its own; ``keep`` records what became of it.

    ``tell`` hears how the batch stands several times a second, and of each photo that is done or failed.
    """

    def __init__(
        self,
        make: Make,
        keep: Callable[[Job, Line], None],
        tell: Callable[[Tally, Job | None, Line | None], None],
        cancelled: Callable[[], bool],
    ) -> None:
        self._make, self._keep, self._tell, self._cancelled = make, keep, tell, cancelled
        self._engine = Gate(1 + _WAITING)
        self._workers = 1
        self._counted_at = 0.0
        self._calm = 0
        self._fatal: GanEditError | None = None
        self._lost = False

    def run(self, jobs: Sequence[Job], connect: Connect, tally: Tally) -> None:
        """Do all jobs. JobCancelledError when ``cancelled``: what is done is kept, and no job is under way any more.

        GanEditError when nothing can go on: no engine comes back, or results cannot be written.
        """
        turns = collections.deque(map(_Turn, jobs))
        first = True
        while turns and not self._stopping():
            with self._connected(connect, first, tally) as clients:
                first, self._lost = False, False
                self._serve(turns, clients, tally)
        if self._fatal is not None:
            raise self._fatal
        if turns:
            raise JobCancelledError

    def _stopping(self) -> bool:
        return self._fatal is not None or self._cancelled()

    @contextmanager
    def _connected(self, connect: Connect, first: bool, tally: Tally) -> Iterator[Clients]:
        """An engine, if not at once then in a while; its workers are counted."""
        began = time.monotonic()
        while True:
            way = ExitStack()
            try:
                clients = way.enter_context(connect())
                self._count_workers(clients)
                break
            except EngineUnavailableError:
                _leave(way)
                if first or time.monotonic() - began > PATIENCE_SECONDS:
                    raise
                tally.state = "The engine is gone; waiting for it"
                self._pause(_AGAIN_SECONDS, tally)
        tally.state = ""
        try:
            yield clients
        finally:
            _leave(way)

    def _count_workers(self, clients: Clients) -> None:
        """The engine may have got more of them, or fewer, since."""
        self._counted_at = time.monotonic()
        with clients() as client:
            status = client.status()
        workers = max(1, len(status.workers) + status.more_workers)
        if workers != self._workers:
            self._workers, self._engine.limit = workers, workers + _WAITING

    def _pause(self, seconds: float, tally: Tally) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self._cancelled():
                raise JobCancelledError
            self._tell(tally, None, None)
            time.sleep(_LOOK_SECONDS)

    def _serve(self, turns: collections.deque[_Turn], clients: Clients, tally: Tally) -> None:
        """Until all is done, or the engine is lost, or it is to end; then the photos under way are waited for."""
        running: dict[Future[Line], _Turn] = {}
        with ThreadPoolExecutor(_MOST) as pool:
            while True:
                while len(running) < self._at_once() and (turn := self._next(turns)) is not None:
                    running[pool.submit(self._do, turn.job, clients)] = turn
                if not running and (not turns or self._lost or self._stopping()):
                    return
                for future in wait(running, _LOOK_SECONDS, FIRST_COMPLETED).done if running else self._idle():
                    self._settle(running.pop(future), future, turns, tally)
                if self._cancelled():
                    tally.state = "Stopping"
                self._tell(tally, None, None)

    def _do(self, job: Job, clients: Clients) -> Line:
        if time.monotonic() - self._counted_at > _COUNT_SECONDS:
            self._count_workers(clients)
        return self._make(job, clients, self._at_engine, self._stopping)

    def _at_once(self) -> int:
        return min(self._engine.limit + _AHEAD, _MOST)

    @staticmethod
    def _idle() -> Sequence[Future[Line]]:
        time.sleep(_LOOK_SECONDS)
        return ()

    def _next(self, turns: collections.deque[_Turn]) -> _Turn | None:
        """The next one that may begin; None when there is none just now."""
        if not turns or self._lost or self._stopping():
            return None
        now = time.monotonic()
        for _ in range(min(len(turns), _MOST)):
            if turns[0].not_before <= now:
                return turns.popleft()
            turns.rotate(-1)
        return None

    @contextmanager
    def _at_engine(self) -> Iterator[None]:
        with self._engine.passed(1, self._stopping):
            if self._lost:
                raise _NotBegunError("The GAN Edit engine is gone.")
            yield

    def _settle(self, turn: _Turn, future: Future[Line], turns: collections.deque[_Turn], tally: Tally) -> None:
        """Record how a photo ended, or let it be tried again."""
        line: Line | None
        try:
            line = future.result()
            self._calm_down()
        except _NotBegunError:
            turns.appendleft(turn)
            line = None
        except EngineUnavailableError as error:
            self._lost = True
            line = self._again(turn, error, turns)
        except UnwritableError as error:
            self._fatal, line = error, None
            turns.appendleft(turn)
        except GanEditError as error:
            line = self._failed(turn, error, turns)
        except Exception as error:  # no photo ends the others
            line = _unexpected(turn.job, error)
        if line is not None:
            self._record(turn, line, tally)

    def _failed(self, turn: _Turn, error: GanEditError, turns: collections.deque[_Turn]) -> Line | None:
        if isinstance(error, JobCancelledError) and self._stopping():
            turns.appendleft(turn)
            return None
        if error.code in _CROWDED:
            # Jobs of others, or fewer at once than the engine computes: what was let in may stay, no more.
            self._engine.limit = max(1, min(self._engine.limit, self._engine.inside))
            self._calm = 0
            turn.not_before = time.monotonic() + _CROWDED_SECONDS
            turns.append(turn)
            return None
        return self._again(turn, error, turns) if error.code in _PASSING else _told(error)

    def _again(self, turn: _Turn, error: GanEditError, turns: collections.deque[_Turn]) -> Line | None:
        """Try it once more, a few times; then what is to be recorded."""
        turn.tries += 1
        if turn.tries >= TRIES:
            return _told(error)
        turns.appendleft(turn)
        return None

    def _calm_down(self) -> None:
        self._calm += 1
        if self._calm >= _CALM and self._engine.limit < self._workers + _WAITING:
            self._engine.limit += 1
            self._calm = 0

    def _record(self, turn: _Turn, line: Line, tally: Tally) -> None:
        try:
            self._keep(turn.job, line)
        except GanEditError as error:
            self._fatal = error
            return
        tally.now += 1
        if "error" in line:
            tally.failed += 1
        else:
            tally.done += 1
        self._tell(tally, turn.job, line)


def _leave(way: ExitStack) -> None:
    with suppress(EngineUnavailableError):  # it is gone already
        way.close()


def _told(error: GanEditError) -> Line:
    return {"error": error.code, "message": error.message, "hint": error.hint}


def _unexpected(job: Job, error: Exception) -> Line:
    if is_out_of_memory(error):
        return {"error": "out_of_memory", "message": "The memory was full.", "hint": "Close other programs."}
    logging.getLogger("gan_edit.batch").error("%s failed", job.name, exc_info=error)
    return {"error": "internal_error", "message": f"Something unexpected happened ({error!r}).", "hint": ""}
