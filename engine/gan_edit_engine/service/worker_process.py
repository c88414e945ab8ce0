"""The service's handle on a worker process: start it, speak to it without ever waiting for it, hear of its end."""

from __future__ import annotations

import collections
import contextlib
import errno
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Protocol

import zmq

from gan_edit_engine.system import out_of_memory
from gan_edit_protocol.errors import WireError
from gan_edit_protocol.events import Failed
from gan_edit_protocol.transport import read_message, write_message

ENDPOINT = "inproc://workers"
"""Where the service's PULL socket hears of its workers: a frame with the worker's number, then ...

... ``SAID`` and the frames of a message, or ``ENDED`` and nothing more.
"""
PATIENT_THREADS = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "10000"}
"""torch's threads soon sleep while they wait for each other. By default they spin for long; with other programs busy on
the same two cores 40 steps then took 12 s instead of 1.4 s. Where they sleep at once a second core gains nothing, and
after ten thousand turns of libgomp it makes an edit half as fast again. Whoever sets the variables is heard."""
SAID = b"said"
ENDED = b"ended"


@dataclass(frozen=True)
class Exit:
    """How a worker ended: ``code`` as of subprocess.Popen (negative: the signal), and what it last wrote to its log."""

    code: int
    last_words: str


class Worker(Protocol):
    """What computes, wherever it runs. What it says comes to the service at ``ENDPOINT``, first of all its greeting.

    No method waits but ``join``, and that for no longer than it is told to.
    """

    @property
    def number(self) -> int:
        """What marks its words, and no other's of this service."""

    @property
    def pid(self) -> int:
        """Of the process, for the log."""

    def send(self, frames: list[bytes]) -> None:
        """Send a message; returns at once, also when the worker does not read."""

    def kill(self) -> None:
        """End it now, also in mid-job; ``ENDED`` follows."""

    def join(self, timeout: float) -> bool:
        """Wait for up to ``timeout`` seconds until nothing is left of it that uses ``ENDPOINT``; whether that is so."""

    def exit(self) -> Exit:
        """How it ended; only after ``ENDED``."""


StartWorker = Callable[["zmq.Context[zmq.Socket[bytes]]", int, str | None], Worker]
"""Starts a worker of this number on a device, None lets it choose; raises OSError when it cannot be started."""


class WorkerProcess:
    """One worker process. Three threads carry its standard streams, so that no caller ever waits for a pipe."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        number: int,
        device: str | None,
        *,
        module: str = "gan_edit_engine.worker.main",
        threads: int | None = None,
    ) -> None:
        """Start it. ``number`` marks what it says; the process ends when its input is closed, so it dies with us.

        ``module``: what Python runs as the worker. ``threads``: with how many of the processor's it computes; None lets
        it choose. Raises OSError when the system lacks what it takes.
        """
        self._socket = connected(context)  # before the process, which without it could not be heard
        try:
            self._process = _start(module, device, threads)
        except OSError:
            self._socket.close()
            raise
        self.number = number
        self._outbox: queue.SimpleQueue[list[bytes] | None] = queue.SimpleQueue()
        self._log_tail: collections.deque[str] = collections.deque(maxlen=20)
        self._logging = threading.Thread(target=self._copy_log, daemon=True)
        others = (threading.Thread(target=run, daemon=True) for run in (self._write, self._read))
        self._threads = [self._logging, *others]
        try:
            for thread in self._threads:
                thread.start()
        except RuntimeError as error:  # the system gives no more threads
            self._give_up()
            raise OSError(errno.EAGAIN, str(error)) from None

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, frames: list[bytes]) -> None:
        """Send a message; returns at once, also when the worker does not read."""
        self._outbox.put(frames)

    def kill(self) -> None:
        """End the process now."""
        self._process.kill()

    def join(self, timeout: float) -> bool:
        """Wait until the threads are done, which they are soon after the process has ended; False when they are not."""
        for thread in self._threads:
            thread.join(timeout)
        return not any(thread.is_alive() for thread in self._threads)

    def exit(self) -> Exit:
        """How it ended; only after ``ENDED``."""
        return Exit(self._process.wait(), self._log_tail[-1] if self._log_tail else "")

    def _give_up(self) -> None:
        """Leave nothing of a process for which not all threads could be started; the reading one comes last."""
        self._process.kill()
        self._process.wait()
        self._outbox.put(None)
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert stream is not None
            _close(stream)
        self._socket.close()

    def _write(self) -> None:
        assert self._process.stdin is not None
        try:
            while (frames := self._outbox.get()) is not None:
                write_message(self._process.stdin, frames)
                del frames  # else the photo stays here until the next job
        except (OSError, ValueError):
            pass  # the process is gone: the reading thread reports it
        _close(self._process.stdin)

    def _read(self) -> None:
        assert self._process.stdout is not None
        number = str(self.number).encode()
        with self._socket as socket:
            try:
                while (frames := read_message(self._process.stdout)) is not None:
                    socket.send_multipart([number, SAID, *frames])
                    del frames  # else the result stays here until the worker's next word
            except (WireError, OSError, ValueError, MemoryError):
                self._process.kill()  # a stream that stops making sense, or does not fit, cannot be picked up again
            _close(self._process.stdout)
            self._process.wait()
            self._outbox.put(None)
            self._logging.join(1.0)  # the last words
            socket.send_multipart([number, ENDED])

    def _copy_log(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            text = line.decode(errors="replace").rstrip()
            # The log may be on a disk that is full. Its lines are read all the same, or the worker would wait for that.
            with contextlib.suppress(OSError, ValueError):
                print(text, file=sys.stderr, flush=True)
            if text:
                self._log_tail.append(text)
        _close(self._process.stderr)


def sharing_cores(count: int | None) -> StartWorker:
    """Starts one of ``count`` processes, of which each computes with its part of the processor's cores.

    One may have all of them, and so may each of several that have a device of their own (None).
    """
    return WorkerProcess if count in (None, 1) else partial(WorkerProcess, threads=max(1, _cores() // count))


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def connected(context: zmq.Context[zmq.Socket[bytes]]) -> zmq.Socket[bytes]:
    """A socket on which a worker is heard; OSError when the system has none left."""
    try:
        socket = context.socket(zmq.PUSH)
    except zmq.ZMQError as error:
        raise OSError(error.errno, error.strerror) from None
    socket.linger = 1000
    socket.sndhwm = 0  # never waits for the service, which may be waiting for the sending thread at its end
    socket.connect(ENDPOINT)
    return socket


def _start(module: str, device: str | None, threads: int | None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", module]
    if device is not None:
        command += ["--device", device]
    of_torch = PATIENT_THREADS if threads is None else {**PATIENT_THREADS, "OMP_NUM_THREADS": str(threads)}
    # In a group of its own, so that Ctrl-C at a terminal reaches the service alone.
    new_group = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**of_torch, **os.environ},
        # Python puts the current folder first on the path of `-m`: not the user's, where any file may lie.
        cwd=Path(__file__).parents[2],
        start_new_session=sys.platform != "win32",
        creationflags=new_group,
    )


def _close(stream: IO[bytes]) -> None:
    with contextlib.suppress(OSError):  # unwritten bytes for a process that is gone
        stream.close()


def explain_exit(ended: Exit, was_ready: bool) -> Failed:
    """What a person whose job waited for, or was in, this worker should read."""
    if ended.code == out_of_memory.EXIT_CODE or out_of_memory.tells_of_full_memory(ended.last_words):
        return out_of_memory.out_of_memory()
    if not was_ready:
        words = ended.last_words or f"it ended with code {ended.code} without a word"
        return Failed(
            "worker_start",
            f"The engine's computing process does not start: {words}",
            "Look at the engine's log; installing GAN Edit again may help.",
        )
    if ended.code == -getattr(signal, "SIGKILL", 9):
        return Failed(
            "worker_died",
            "The system ended the engine's computing process, most likely because the memory was full.",
            "Close other programs or use a smaller model, then try again.",
        )
    if ended.code < 0:
        reason = f"crashed ({_signal_name(-ended.code)})"
    else:
        reason = f"ended unexpectedly (code {ended.code})"
    return Failed("worker_died", f"The engine's computing process {reason}.", "Try again; it has been started anew.")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most of the real-time signals have none
        return f"signal {number}"
