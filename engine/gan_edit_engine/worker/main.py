"""The worker process: owns torch and the models, computes one job at a time, speaks the protocol over its pipes.

It is started by ``worker_process``. Its standard input brings requests and cancellations, its standard output carries
events, framed as for the relay (docs/protocol.md). It says :class:`EngineStatus` once when it is ready, with itself as
the first worker and after it one for each device on which there could be others like it, and :class:`Failed` instead
when its device cannot be used. When its input ends, the engine is gone and it ends too.
"""

from __future__ import annotations

import argparse
import logging
import os
import queue
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO

from gan_edit_engine import __version__
from gan_edit_engine.system import out_of_memory
from gan_edit_engine.worker.device import choose_device, describe_device, devices_like
from gan_edit_engine.worker.perform import perform
from gan_edit_engine.worker.workspace import Workspace
from gan_edit_protocol import wire
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.events import FINAL_EVENTS, Cancelled, EngineStatus, Event, Failed, WorkerStatus
from gan_edit_protocol.requests import CancelRequest, JobRequest
from gan_edit_protocol.transport import read_message, write_message

NO_JOB = "0" * 32
_log = logging.getLogger("gan_edit.worker")


class Inbox:
    """Reads requests on a thread of its own, so that a cancellation is seen while a job is computed."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.jobs: queue.SimpleQueue[tuple[str, JobRequest]] = queue.SimpleQueue()
        self._stream = stream
        self._cancelled = ""
        threading.Thread(target=self._read, daemon=True).start()

    def is_cancelled(self, job: str) -> bool:
        """Whether the engine has asked to end ``job``."""
        return self._cancelled == job

    def _read(self) -> None:
        """Until the engine is gone or cannot be heard. The main thread may then be deep in what nobody waits for."""
        code = 1
        try:
            while self._read_one():
                pass
            code = 0
        except (GanEditError, OSError) as error:
            _log.error("the engine cannot be understood: %s", error)
        except MemoryError:
            code = out_of_memory.EXIT_CODE  # the rest of the message stays in the pipe: nothing after it can be read
        finally:
            os._exit(code)

    def _read_one(self) -> bool:
        """Read one message, of which nothing stays here; False at the end of the stream."""
        frames = read_message(self._stream)
        if frames is None:
            return False
        job, request = wire.decode_request(frames)
        if isinstance(request, CancelRequest):
            self._cancelled = request.job
        else:
            self.jobs.put((job, request))
        return True


def compute(
    request: JobRequest, workspace: Workspace, is_cancelled: Callable[[], bool], say: Callable[[Event], None]
) -> None:
    """Say the events of a job down to its final one, which nothing that goes wrong in the job can prevent.

    Raises MemoryError when the memory was full.
    """
    try:
        for event in perform(request, workspace):
            said = Cancelled() if is_cancelled() else event
            say(said)
            if isinstance(said, FINAL_EVENTS):
                return
        raise AssertionError("perform() ended without a result")
    except Exception as error:  # the one place where an unforeseen error may end: the worker has to go on
        if out_of_memory.is_out_of_memory(error):
            raise MemoryError(str(error)) from None
        failure = failure_of(error)
    say(failure)


def failure_of(error: Exception) -> Failed:
    """What the user reads of an error."""
    if isinstance(error, GanEditError):
        return Failed(error.code, error.message, error.hint)
    _log.error("the job failed", exc_info=error)
    return Failed(
        "internal_error",
        f"The engine met an error of its own: {type(error).__name__}: {str(error)[:300]}",
        "Its log says more; please report it.",
    )


def serve(incoming: IO[bytes], outgoing: IO[bytes], wanted_device: str | None) -> None:
    """Compute jobs one after the other for as long as the process lives."""

    def say(job: str, event: Event) -> None:
        write_message(outgoing, wire.encode(job, event))

    try:
        devices = devices_like(choose_device(wanted_device))
    except GanEditError as error:
        say(NO_JOB, Failed(error.code, error.message, error.hint))
        return
    workspace = Workspace(devices[0])
    itself, *others = map(describe_device, devices)
    workers = (WorkerStatus("idle", itself), *(WorkerStatus("", other) for other in others))
    say(NO_JOB, EngineStatus(__version__, os.getpid(), workers))
    inbox = Inbox(incoming)
    while True:
        serve_one(inbox, workspace, say)


def serve_one(inbox: Inbox, workspace: Workspace, say: Callable[[str, Event], None]) -> None:
    """Wait for a job and compute it. Nothing of it, its photo least, is kept beyond."""
    job, request = inbox.jobs.get()
    try:
        compute(request, workspace, partial(inbox.is_cancelled, job), partial(say, job))
    except MemoryError as error:
        # The allocators of torch and the system seldom give back what they hold: only a new process has it all.
        _log.warning("the memory is full: %s", error)
        os._exit(out_of_memory.EXIT_CODE)


def take_standard_streams() -> tuple[IO[bytes], IO[bytes]]:
    """The engine's pipes as (incoming, outgoing); a stray print from here on goes to the log, not into a message."""
    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    return incoming, outgoing


def volunteer_for_out_of_memory_killer() -> None:
    """Let Linux end this process rather than the user's GIMP when the memory is full (proc(5), oom_score_adj)."""
    if sys.platform == "linux":
        try:
            Path("/proc/self/oom_score_adj").write_text("500")
        except OSError as error:
            _log.debug("oom_score_adj could not be set: %s", error)


def main() -> None:
    parser = argparse.ArgumentParser(prog="gan-edit worker")
    parser.add_argument("--device")
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s")
    wanted_device = parser.parse_args().device
    volunteer_for_out_of_memory_killer()
    incoming, outgoing = take_standard_streams()
    serve(incoming, outgoing, wanted_device)


if __name__ == "__main__":
    main()
