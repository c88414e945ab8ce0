"""The client's patience: it counts the time in which it has listened, not the one in which it was stopped itself."""

from __future__ import annotations

import pytest

from gan_edit_protocol import PROTOCOL_VERSION, wire
from gan_edit_protocol.client import (
    CANCEL_SECONDS,
    GREETING_SECONDS,
    POLL_SECONDS,
    SILENCE_SECONDS,
    UNHEARD_CANCEL_SECONDS,
    Client,
)
from gan_edit_protocol.errors import (
    EngineSilentError,
    EngineUnavailableError,
    JobCancelledError,
    JobFailedError,
)
from gan_edit_protocol.events import Accepted, Cancelled, EngineStatus, Event, Failed
from gan_edit_protocol.launch import SERVER_SECONDS, greeted
from gan_edit_protocol.requests import CancelRequest, RandomRequest, ShutdownRequest, StatusRequest


class Line:
    """A transport to an engine of protocol ``version`` that says nothing, or answers only its own version.

    ``accepts``: it takes a job before it falls silent.
    """

    def __init__(self, version: int | None = None, accepts: bool = False) -> None:
        self.sent: list[tuple[int, object]] = []
        self.listened = 0
        self.is_closed = False
        self._version = version
        self._accepts = accepts
        self._answers: list[list[bytes]] = []

    def send(self, frames: list[bytes]) -> None:
        job, request = wire.decode_request(frames)
        version = wire.version_of(frames)
        self.sent.append((version, request))
        if self._accepts and isinstance(request, RandomRequest):
            self._answers.append(wire.encode(job, Accepted(0)))
        if self._version is not None:
            answer: Event = EngineStatus(version="0.1", jobs=0)
            if version != self._version:
                answer = Failed("version_mismatch", "The other side speaks another version.")
            self._answers.append(wire.encode(job, answer, self._version))

    def receive(self, timeout: float) -> list[bytes] | None:
        if self._answers:
            return self._answers.pop(0)
        self.listened += 1
        return None

    def close(self) -> None:
        self.is_closed = True


def test_a_greeting_listens_for_as_long_as_it_says() -> None:
    line = Line()
    with pytest.raises(EngineSilentError, match="runs but does not answer"):
        Client(line).status()
    assert line.listened == pytest.approx(GREETING_SECONDS / POLL_SECONDS, abs=1)


def test_a_job_is_given_up_only_after_a_long_silence() -> None:
    line = Line()
    with pytest.raises(EngineSilentError, match="silent for 120 seconds"):
        Client(line).run(RandomRequest())
    assert line.listened == pytest.approx(SILENCE_SECONDS / POLL_SECONDS, abs=1)


@pytest.mark.parametrize(("is_heard", "seconds"), [(True, CANCEL_SECONDS), (False, UNHEARD_CANCEL_SECONDS)])
def test_a_cancelled_job_does_not_wait_for_an_engine_that_is_silent(is_heard: bool, seconds: float) -> None:
    line = Line(accepts=is_heard)
    with pytest.raises(JobCancelledError):
        Client(line).run(RandomRequest(), cancelled=lambda: line.listened > 7)
    assert [type(request) for _, request in line.sent] == [RandomRequest, CancelRequest]
    assert line.listened == pytest.approx(8 + seconds / POLL_SECONDS, abs=1)


def test_what_is_heard_of_another_job_is_no_answer_but_no_silence_either() -> None:
    line = Line(PROTOCOL_VERSION)
    line._answers = [wire.encode("b" * 32, Cancelled())] * 100
    assert Client(line).status(0.5).version == "0.1"


@pytest.mark.parametrize("version", [1, PROTOCOL_VERSION + 1])
def test_an_engine_of_another_version_is_asked_and_ended_in_its_own(version: int) -> None:
    line = Line(version)
    client = Client(line)
    assert client.status(user=7).version == "0.1"
    assert not client.speaks_our_version
    assert client.is_older == (version < PROTOCOL_VERSION)
    client.shutdown()
    asked = [(PROTOCOL_VERSION, StatusRequest(7)), (version, StatusRequest())]
    assert line.sent == [*asked, (version, ShutdownRequest())]
    with pytest.raises(JobFailedError, match="another version"):
        client.run(RandomRequest())


@pytest.mark.parametrize(
    ("version", "told"),
    [
        (1, "The server https://a.example is of an older GAN Edit (0.1). Use the same version on both sides."),
        (PROTOCOL_VERSION + 1, "The server https://a.example is of a newer GAN Edit (0.1). Use the same version"),
        (None, "The server https://a.example does not answer. Try again later."),
    ],
)
def test_a_server_that_cannot_be_used_is_closed_and_told_of(version: int | None, told: str) -> None:
    line = Line(version)
    with pytest.raises(EngineUnavailableError) as caught:
        greeted(Client(line), "https://a.example")
    assert str(caught.value).startswith(told)
    assert line.is_closed


def test_whoever_waits_for_a_server_hears_how_long_and_may_stop() -> None:
    line, heard = Line(), []

    def hear(seconds: float) -> None:
        heard.append(seconds)
        if seconds > SERVER_SECONDS / 10:
            raise JobCancelledError

    with pytest.raises(JobCancelledError):
        greeted(Client(line), "https://a.example", hear)
    assert line.is_closed
    assert len(heard) == line.listened
    assert heard == sorted(heard)
