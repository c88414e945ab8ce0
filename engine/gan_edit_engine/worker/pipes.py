"""A worker process's pipes: one job at a time comes down them, and its events go up. Free of torch.

The standard input brings requests and cancellations, the standard output carries events, framed as for the relay
(docs/protocol.md). The worker says :class:`EngineStatus` once when it is ready, and :class:`Failed` instead when its
device cannot be used. When its input ends, the engine is gone and it ends too.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import IO, Protocol

from gan_edit_engine.system import out_of_memory
from gan_edit_protocol import wire
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.events import EngineStatus, Failed
from gan_edit_protocol.requests import CancelRequest, JobRequest
from gan_edit_protocol.transport import read_message, write_message

SAID_SECONDS = 0.25
"""Nobody reads faster how far a job is; and on the way to a client each word costs as much as a short step."""
_log = logging.getLogger("gan_edit.worker")


class Computer(Protocol):
    """What computes the jobs, as :class:`gan_edit_engine.worker.computing.Computer`."""

    @property
    def status(self) -> EngineStatus: ...

    def messages(self, job: str, request: JobRequest, is_cancelled: Callable[[], bool]) -> Iterator[list[bytes]]: ...


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


def serve(incoming: IO[bytes], outgoing: IO[bytes], make: Callable[[], Computer]) -> None:
    """Compute jobs one after the other for as long as the process lives, with what ``make`` gives.

    Where that raises a GanEditError, it is what is said, and the end.
    """
    try:
        computer = make()
    except GanEditError as error:
        write_message(outgoing, wire.encode(wire.NO_JOB, Failed.of(error)))
        return
    write_message(outgoing, wire.encode(wire.NO_JOB, computer.status))
    inbox = Inbox(incoming)
    while True:
        serve_one(inbox, computer, outgoing)


def serve_one(inbox: Inbox, computer: Computer, outgoing: IO[bytes]) -> None:
    """Wait for a job and compute it. Nothing of it, its photo least, is kept beyond."""
    job, request = inbox.jobs.get()
    try:
        for message in computer.messages(job, request, partial(inbox.is_cancelled, job)):
            write_message(outgoing, message)
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
