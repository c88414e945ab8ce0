"""Keeps an engine's workers busy with jobs from one client, and takes down when each of them was where."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from gan_edit_protocol import wire
from gan_edit_protocol.events import Accepted, Failed, FramesReady, Progress, ResultReady
from gan_edit_protocol.requests import JobRequest
from gan_edit_protocol.transport import Transport

PATIENCE_SECONDS = 120.0


@dataclass
class Load:
    """``sent``, ``begun`` and ``ended``: when (seconds, monotonic) each job was sent, first worked on, and done.

    ``bytes_in`` and ``bytes_out``: of all jobs, to the engine and from it.
    """

    sent: dict[str, float] = field(default_factory=dict)
    begun: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)
    bytes_in: int = 0
    bytes_out: int = 0

    @property
    def seconds(self) -> float:
        """From the first job sent to the last one done."""
        return max(self.ended.values()) - min(self.sent.values())

    @property
    def to_begin(self) -> list[float]:
        """Seconds from sending each job to the first that was heard of work on it."""
        return [self.begun[job] - sent for job, sent in self.sent.items()]


def work_through(
    transport: Transport, request: Callable[[int], JobRequest], jobs: int, at_once: int, done: Callable[[], None]
) -> Load:
    """Give the engine ``jobs`` requests, never more than ``at_once``; ``done`` hears of each that has ended."""
    load = Load()
    heard = time.monotonic()
    while len(load.ended) < jobs:
        while len(load.sent) < jobs and len(load.sent) - len(load.ended) < at_once:
            job = uuid.uuid4().hex
            frames = wire.encode(job, request(len(load.sent)))
            load.bytes_in += sum(map(len, frames))
            load.sent[job] = time.monotonic()
            transport.send(frames)
        came = transport.receive(1.0)
        if came is None:
            if time.monotonic() - heard > PATIENCE_SECONDS:
                raise TimeoutError("the engine is silent")
            continue
        heard = time.monotonic()
        load.bytes_out += sum(map(len, came))
        job, event = wire.decode_event(came)
        if isinstance(event, Failed):
            raise RuntimeError(f"{event.code}: {event.message}")
        if not isinstance(event, Accepted):
            load.begun.setdefault(job, heard)
        if isinstance(event, ResultReady | FramesReady):
            load.ended[job] = heard
            done()
        else:
            assert isinstance(event, Accepted | Progress), event
    return load
