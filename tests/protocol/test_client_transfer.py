"""What a caller hears of a job, over a transport that plays the engine."""

from __future__ import annotations

from typing import Any

import pytest

from gan_edit_protocol import client as client_module
from gan_edit_protocol import wire
from gan_edit_protocol.arrays import Array
from gan_edit_protocol.client import Client, Transfer
from gan_edit_protocol.errors import JobCancelledError, JobFailedError
from gan_edit_protocol.events import Accepted, Failed, FramesReady, Look, ResultReady
from gan_edit_protocol.geometry import Box
from gan_edit_protocol.latent import Latent
from gan_edit_protocol.requests import CancelRequest, InterpolateRequest, LookRequest, ProjectRequest

PHOTO = Array("uint8", (2, 3, 3), bytes(18))
RESULT = ResultReady(PHOTO, Latent(Array("float32", (1, 1), bytes(4))))


class Engine:
    """Answers each request with ``script``; None is a tenth of a second without a word."""

    def __init__(self, *script: Any) -> None:
        self.script = list(script)
        self.received: list[Any] = []
        self.job = ""

    def send(self, frames: list[bytes]) -> None:
        job, request = wire.decode_request(frames)
        self.received.append(request)
        self.job = self.job if isinstance(request, CancelRequest) else job

    def receive(self, timeout: float) -> list[bytes] | None:
        event = self.script.pop(0) if self.script else None
        return None if event is None else wire.encode(self.job, event)

    def close(self) -> None:
        pass


def test_who_sends_or_receives_for_long_hears_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "TELL_SECONDS", -1.0)  # every silence is long
    heard: list[Any] = []
    result = Client(Engine(None, None, Accepted(0), None, RESULT)).run(ProjectRequest(PHOTO), heard.append)
    assert heard == [Transfer(True, 18), Transfer(True, 18), Accepted(0), Transfer(False, 0), RESULT]
    assert result == RESULT


def test_short_silences_are_not_told() -> None:
    heard: list[Any] = []
    Client(Engine(None, Accepted(0), None, RESULT)).run(ProjectRequest(PHOTO), heard.append)
    assert heard == [Accepted(0), RESULT]


def test_a_job_can_be_cancelled_while_its_photo_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine hears of job and cancellation only when all of the photo is there."""
    monkeypatch.setattr(client_module, "UNHEARD_CANCEL_SECONDS", 0.0)
    engine = Engine()
    with pytest.raises(JobCancelledError):
        Client(engine).run(ProjectRequest(PHOTO), cancelled=lambda: True)
    assert engine.received[1:] == [CancelRequest(engine.job)]


def test_a_look_is_answered_by_a_part_or_by_the_reason() -> None:
    request = LookRequest(100, 100)
    assert Client(Engine(None, Look(Box(1, 2, 3, 4)))).look(request) == Look(Box(1, 2, 3, 4))
    with pytest.raises(JobFailedError, match="Nothing there"):
        Client(Engine(Failed("outside_crop", "Nothing there."))).look(request)


def test_frames_are_asked_for_until_all_are_there() -> None:
    def part(first: int, count: int) -> FramesReady:
        shape = (count, 2, 2, 3)
        return FramesReady(
            Array("uint8", shape, bytes(count * 12)), Array("float32", (1,), bytes(4)), first=first, of=5
        )

    parts = [part(0, 2), part(2, 2), part(4, 1)]
    engine = Engine(*parts)
    request = InterpolateRequest(Array("float32", (2, 3), bytes(24)))
    assert list(Client(engine).frames(request)) == parts
    assert [received.first for received in engine.received] == [0, 2, 4]
