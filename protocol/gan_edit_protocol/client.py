"""One job from start to end, as the plug-in and the command line both run it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, overload

from . import PROTOCOL_VERSION, wire
from .entries import carried_bytes
from .errors import EngineSilentError, JobCancelledError, JobFailedError
from .events import FINAL_EVENTS, Cancelled, EngineStatus, FacesFound, Failed, FramesReady, Look, Result, ResultReady
from .requests import (
    CancelRequest,
    EditRequest,
    FindRequest,
    ImagineRequest,
    InterpolateRequest,
    JobRequest,
    LookRequest,
    ProjectRequest,
    RandomRequest,
    Request,
    ShutdownRequest,
    StatusRequest,
)
from .sharing import SharedTransport
from .transport import Transport

GREETING_SECONDS = 5.0
SILENCE_SECONDS = 120.0
"""The engine speaks at least once a second while a job waits or runs. One that has ended is noticed by its connection;
one that is silent may be stopped or starved, and is waited for this long."""
CANCEL_SECONDS = 5.0
"""A client that wants to cancel waits no longer for an engine that is silent. Without the client the job ends, too."""
UNHEARD_CANCEL_SECONDS = 0.8
"""A job that the engine has not heard of yet, as while its photo is sent, ends so long after it was cancelled."""
POLL_SECONDS = 0.1
TELL_SECONDS = 0.9
"""A caller hears something at least so often, from here where nothing comes from the engine."""


@dataclass(frozen=True)
class Transfer:
    """Pixels are on their way, in which time the engine is not heard. ``sending``: those of the request."""

    sending: bool
    bytes: int


class Client:
    """Talks to one engine over one transport. Not for use by several threads at once."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._quiet = 0.0  # seconds of listening in which nothing came: not of being stopped, as a clock would count
        self._protocol = PROTOCOL_VERSION

    @property
    def speaks_our_version(self) -> bool:
        """Whether the engine can be given jobs, by its last answer; its status and its end can always be asked for."""
        return self._protocol == PROTOCOL_VERSION

    @property
    def is_older(self) -> bool:
        """Whether the engine, by its last answer, is of an older version than this program."""
        return self._protocol < PROTOCOL_VERSION

    def status(
        self,
        timeout: float = GREETING_SECONDS,
        user: int | None = None,
        waiting: Callable[[float], None] = lambda seconds: None,
    ) -> EngineStatus:
        """The engine's state; also the greeting. Raises :class:`EngineSilentError` after ``timeout`` silent seconds.

        ``user``: the process for whose sake the engine should go on, as in :class:`StatusRequest`. ``waiting(seconds)``
        is called about ten times a second while it is silent; an exception from it stops the wait.
        """
        status: EngineStatus
        try:
            status = self._ask(StatusRequest(user), PROTOCOL_VERSION, EngineStatus, timeout, waiting)
        except JobFailedError:
            if self.speaks_our_version:
                raise
            # The first release answers its own version only.
            status = self._ask(StatusRequest(), self._protocol, EngineStatus, timeout, waiting)
        return status

    def look(self, request: LookRequest) -> Look:
        """The part of a photo that a job will need. :class:`JobFailedError` says why there can be no such job."""
        look: Look = self._ask(request, PROTOCOL_VERSION, Look, GREETING_SECONDS)
        return look

    def _ask(
        self,
        request: Request,
        version: int,
        kind: type,
        timeout: float,
        waiting: Callable[[float], None] = lambda seconds: None,
    ) -> Any:
        job = self._send(request, version)
        self._quiet = 0.0
        while self._quiet < timeout:
            event = self._receive(job)
            if isinstance(event, Failed):
                raise event.error
            if isinstance(event, kind):
                return event
            if event is None:
                waiting(self._quiet)
        raise EngineSilentError(
            "A GAN Edit engine runs but does not answer.", "Wait a little and try again, or end its process."
        )

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

    @overload
    def run(
        self,
        request: FindRequest,
        on_event: Callable[[Any], None] = ...,
        cancelled: Callable[[], bool] = ...,
    ) -> FacesFound: ...

    def run(
        self,
        request: JobRequest,
        on_event: Callable[[Any], None] = lambda event: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Result:
        """Run a job to its end, calling ``on_event`` with each event and ``cancelled`` about ten times a second.

        ``on_event`` also hears of a :class:`Transfer` at least each second. Frames that come in several parts: see
        :meth:`frames`. Raises :class:`JobFailedError`, :class:`JobCancelledError` or :class:`EngineUnavailableError`,
        the last when the engine has ended, or has been silent for ``SILENCE_SECONDS``.
        """
        result: Result | None = None
        told_at, transfer = time.monotonic(), Transfer(True, carried_bytes(request))
        for event in self.events(request, cancelled):
            if event is not None:
                on_event(event)
                told_at, transfer = time.monotonic(), Transfer(False, 0)
            elif time.monotonic() - told_at > TELL_SECONDS:
                on_event(transfer)
                told_at = time.monotonic()
            if isinstance(event, Failed):
                raise event.error
            if isinstance(event, Cancelled):
                raise JobCancelledError
            if isinstance(event, ResultReady | FramesReady | FacesFound):
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
        job = self._send(request, PROTOCOL_VERSION)
        cancel_sent = heard = False
        self._quiet = 0.0
        while True:
            event = self._receive(job)
            if not cancel_sent and cancelled():
                self._transport.send(wire.encode(job, CancelRequest(job)))
                cancel_sent = True
                self._quiet = 0.0
            heard = heard or event is not None
            if cancel_sent and self._quiet >= (CANCEL_SECONDS if heard else UNHEARD_CANCEL_SECONDS):
                event = Cancelled()  # to which the engine will come too, when it has received the request
            if self._quiet >= SILENCE_SECONDS:
                raise EngineSilentError(
                    f"The GAN Edit engine has been silent for {SILENCE_SECONDS:.0f} seconds.",
                    "Try again; if it stays silent, end its process.",
                )
            yield event
            if isinstance(event, FINAL_EVENTS):
                return

    @contextmanager
    def shared(self) -> Iterator[Callable[[], Client]]:
        """Inside, gives a client to each of several threads, all over this one's connection, which itself rests.

        Each of them is to be closed. When the connection is gone, all of them hear of it.
        """
        way = SharedTransport(self._transport)
        try:
            yield lambda: Client(way.part())
        finally:
            way.close()

    def shutdown(self) -> None:
        """Ask the engine to end, whichever version it is of. Returns at once."""
        self._send(ShutdownRequest(), self._protocol)

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _send(self, request: Request, version: int) -> str:
        job = uuid.uuid4().hex
        self._transport.send(wire.encode(job, request, version))
        return job

    def _receive(self, job: str) -> Any:
        frames = self._transport.receive(POLL_SECONDS)
        if frames is None:
            self._quiet += POLL_SECONDS
            return None
        self._quiet = 0.0
        sender, event = wire.decode_event(frames)
        self._protocol = wire.version_of(frames)
        return event if sender == job else None
