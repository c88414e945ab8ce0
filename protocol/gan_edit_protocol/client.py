"""One job from start to end, as the plug-in and the command line both run it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, overload

from . import wire
from .errors import EngineUnavailableError, JobCancelledError, JobFailedError
from .messages import (
    FINAL_EVENTS,
    Array,
    Box,
    Cancelled,
    CancelRequest,
    EditRequest,
    EngineStatus,
    Failed,
    FramesReady,
    ImagineRequest,
    InterpolateRequest,
    JobRequest,
    Look,
    LookRequest,
    ProjectRequest,
    RandomRequest,
    Request,
    ResultReady,
    ShutdownRequest,
    StatusRequest,
)
from .transport import Transport

GREETING_SECONDS = 5.0
SILENCE_SECONDS = 20.0
"""The engine speaks at least once a second while a job waits or runs; this long a silence means that it is gone."""
POLL_SECONDS = 0.1
TELL_SECONDS = 0.9
"""A caller hears something at least so often, from here where nothing comes from the engine."""
CANCEL_SECONDS = 0.8
"""A job that the engine has not heard of yet, as while its photo is sent, ends so long after it was cancelled."""


@dataclass(frozen=True)
class Transfer:
    """Pixels are on their way, in which time the engine is not heard. ``sending``: those of the request."""

    sending: bool
    bytes: int


class Client:
    """Talks to one engine over one transport. Not for use by several threads at once."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def status(self, timeout: float = GREETING_SECONDS) -> EngineStatus:
        """The engine's state; also the greeting. Raises :class:`EngineUnavailableError` after ``timeout`` seconds."""
        status: EngineStatus = self._ask(StatusRequest(), EngineStatus, timeout)
        return status

    def look(self, request: LookRequest) -> Box:
        """The part of a photo that a job will need. :class:`JobFailedError` says why there can be no such job."""
        look: Look = self._ask(request, Look, GREETING_SECONDS)
        return look.part

    def _ask(self, request: Request, kind: type, timeout: float) -> Any:
        job = self._send(request)
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            event = self._receive(job, left)
            if isinstance(event, Failed):
                raise JobFailedError(event.code, event.message, event.hint)
            if isinstance(event, kind):
                return event
        raise EngineUnavailableError("The GAN Edit engine does not answer.", "Start it again with: gan-edit engine")

    @overload
    def run(
        self,
        request: ImagineRequest | InterpolateRequest,
        on_event: Callable[[Any], None] = ...,
        cancelled: Callable[[], bool] = ...,
    ) -> FramesReady: ...

    @overload
    def run(
        self,
        request: EditRequest | ProjectRequest | RandomRequest,
        on_event: Callable[[Any], None] = ...,
        cancelled: Callable[[], bool] = ...,
    ) -> ResultReady: ...

    def run(
        self,
        request: JobRequest,
        on_event: Callable[[Any], None] = lambda event: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> ResultReady | FramesReady:
        """Run a job to its end, calling ``on_event`` with each event and ``cancelled`` about ten times a second.

        ``on_event`` also hears of a :class:`Transfer` at least each second. Frames that come in several parts: see
        :meth:`frames`. Raises :class:`JobFailedError`, :class:`JobCancelledError` or :class:`EngineUnavailableError`.
        """
        result: ResultReady | FramesReady | None = None
        told_at, transfer = time.monotonic(), Transfer(True, _array_bytes(request))
        for event in self.events(request, cancelled):
            if event is not None:
                on_event(event)
                told_at, transfer = time.monotonic(), Transfer(False, 0)
            elif time.monotonic() - told_at > TELL_SECONDS:
                on_event(transfer)
                told_at = time.monotonic()
            if isinstance(event, Failed):
                raise JobFailedError(event.code, event.message, event.hint)
            if isinstance(event, Cancelled):
                raise JobCancelledError
            if isinstance(event, ResultReady | FramesReady):
                result = event
        assert result is not None  # events() ends with one of these
        return result

    def frames(
        self,
        request: InterpolateRequest,
        on_event: Callable[[Any], None] = lambda event: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Iterator[FramesReady]:
        """As :meth:`run`, with all frames, in as many parts as it takes: a message is limited, and each is a job."""
        first = request.first
        while True:
            part = self.run(replace(request, first=first), on_event, cancelled)
            yield part
            first += part.frames.shape[0]
            if first >= part.of:
                return

    def events(self, request: JobRequest, cancelled: Callable[[], bool] = lambda: False) -> Iterator[Any]:
        """The job's events as they come, ending with its final one; None when nothing came for a tenth of a second."""
        job = self._send(request)
        cancel_sent, heard = 0.0, False
        last_heard = time.monotonic()
        while True:
            event = self._receive(job, POLL_SECONDS)
            if not cancel_sent and cancelled():
                self._transport.send(wire.encode(job, CancelRequest(job)))
                cancel_sent = time.monotonic()
            if event is not None:
                last_heard, heard = time.monotonic(), True
            elif cancel_sent and not heard and time.monotonic() - cancel_sent > CANCEL_SECONDS:
                event = Cancelled()  # to which the engine will come too, when it has received the request
            elif time.monotonic() - last_heard > SILENCE_SECONDS:
                raise EngineUnavailableError("The GAN Edit engine has stopped answering.", "Try again.")
            yield event
            if isinstance(event, FINAL_EVENTS):
                return

    def shutdown(self) -> None:
        """Ask the engine to end. Returns at once."""
        self._send(ShutdownRequest())

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _send(self, request: Request) -> str:
        job = uuid.uuid4().hex
        self._transport.send(wire.encode(job, request))
        return job

    def _receive(self, job: str, timeout: float) -> Any:
        frames = self._transport.receive(timeout)
        if frames is None:
            return None
        sender, event = wire.decode_event(frames)
        return event if sender == job else None


def _array_bytes(request: JobRequest) -> int:
    return sum(len(value.data) for value in vars(request).values() if isinstance(value, Array))
