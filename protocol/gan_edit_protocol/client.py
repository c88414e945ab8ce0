"""One job from start to end, as the plug-in and the command line both run it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any, overload

from . import wire
from .errors import EngineUnavailableError, JobCancelledError, JobFailedError
from .messages import (
    FINAL_EVENTS,
    Cancelled,
    CancelRequest,
    EditRequest,
    EngineStatus,
    Failed,
    FramesReady,
    ImagineRequest,
    InterpolateRequest,
    JobRequest,
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


class Client:
    """Talks to one engine over one transport. Not for use by several threads at once."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def status(self, timeout: float = GREETING_SECONDS) -> EngineStatus:
        """The engine's state; also the greeting. Raises :class:`EngineUnavailableError` after ``timeout`` seconds."""
        job = self._send(StatusRequest())
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            event = self._receive(job, left)
            if isinstance(event, Failed):
                raise JobFailedError(event.code, event.message, event.hint)
            if isinstance(event, EngineStatus):
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

        Raises :class:`JobFailedError`, :class:`JobCancelledError` or :class:`EngineUnavailableError`.
        """
        result: ResultReady | FramesReady | None = None
        for event in self.events(request, cancelled):
            if event is not None:
                on_event(event)
            if isinstance(event, Failed):
                raise JobFailedError(event.code, event.message, event.hint)
            if isinstance(event, Cancelled):
                raise JobCancelledError
            if isinstance(event, ResultReady | FramesReady):
                result = event
        assert result is not None  # events() ends with one of these
        return result

    def events(self, request: JobRequest, cancelled: Callable[[], bool] = lambda: False) -> Iterator[Any]:
        """The job's events as they come, ending with its final one; None when nothing came for a tenth of a second."""
        job = self._send(request)
        cancel_sent = False
        last_heard = time.monotonic()
        while True:
            event = self._receive(job, POLL_SECONDS)
            if not cancel_sent and cancelled():
                self._transport.send(wire.encode(job, CancelRequest(job)))
                cancel_sent = True
            if event is not None:
                last_heard = time.monotonic()
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
