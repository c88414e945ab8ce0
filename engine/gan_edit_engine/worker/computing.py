"""What computes jobs on one device, whichever way they come: down a process's pipe (``main``) or to a Ray actor."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator

from gan_edit_engine import __version__
from gan_edit_engine.system import out_of_memory
from gan_edit_engine.worker.device import choose_device, describe_device, devices_like, still_works
from gan_edit_engine.worker.perform import perform
from gan_edit_engine.worker.pipes import SAID_SECONDS
from gan_edit_engine.worker.workspace import Workspace
from gan_edit_protocol import wire
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.events import FINAL_EVENTS, Cancelled, EngineStatus, Failed, Progress, WorkerStatus
from gan_edit_protocol.requests import JobRequest

_log = logging.getLogger("gan_edit.worker")


class Computer:
    """Owns the device and what is loaded on it. One job at a time."""

    def __init__(self, wanted_device: str | None) -> None:
        """On ``wanted_device``, as :func:`choose_device`; GanEditError (bad_device) when it does not work."""
        self._devices = devices_like(choose_device(wanted_device))
        self._workspace = Workspace(self._devices[0])

    @property
    def status(self) -> EngineStatus:
        """What is said of it when it is ready: the first worker is itself.

        After it comes one for each device on which there could be others like it.
        """
        itself, *others = map(describe_device, self._devices)
        workers = (WorkerStatus("idle", itself), *(WorkerStatus("", other) for other in others))
        return EngineStatus(__version__, os.getpid(), workers)

    def messages(self, job: str, request: JobRequest, is_cancelled: Callable[[], bool]) -> Iterator[list[bytes]]:
        """The events of ``job`` as frames, down to its final one, which nothing that goes wrong in the job can prevent.

        Raises MemoryError when the memory was full, and what went wrong when the device does not compute any more: both
        are mended by a new process only.
        """
        pace = _Pace()
        try:
            for event in perform(request, self._workspace):
                said = Cancelled() if is_cancelled() else event
                if isinstance(said, Progress) and not pace.allows(said):
                    continue
                yield wire.encode(job, said)
                if isinstance(said, FINAL_EVENTS):
                    return
            raise AssertionError("perform() ended without a result")
        except Exception as error:  # the one place where an unforeseen error may end: the worker has to go on
            if out_of_memory.is_out_of_memory(error):
                raise MemoryError(str(error)) from None
            if not isinstance(error, GanEditError) and not still_works(self._workspace.device):
                raise
            failure = failure_of(error)
        yield wire.encode(job, failure)


class _Pace:
    """Lets through what tells how far a job is, so often that it can be read: what has a picture, and what has none.

    The last step's always.
    """

    def __init__(self) -> None:
        self._said_at = dict.fromkeys((False, True), -SAID_SECONDS)

    def allows(self, progress: Progress) -> bool:
        shown, now = progress.preview is not None, time.monotonic()
        if now - self._said_at[shown] < SAID_SECONDS and progress.step < progress.of:
            return False
        self._said_at[shown] = self._said_at[False] = now
        return True


def failure_of(error: Exception) -> Failed:
    """What the user reads of an error."""
    if isinstance(error, GanEditError):
        return Failed.of(error)
    _log.error("the job failed", exc_info=error)
    return Failed(
        "internal_error",
        f"The engine met an error of its own: {type(error).__name__}: {str(error)[:300]}",
        "Its log says more; please report it.",
    )
