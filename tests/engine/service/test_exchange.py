"""What actors and their engine say to each other, without a cluster: both halves of the way in one process."""

from __future__ import annotations

import queue
import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
import zmq

from gan_edit_engine.service import actor
from gan_edit_engine.service.actor import Line
from gan_edit_engine.service.exchange import Exchange
from gan_edit_protocol import wire
from gan_edit_protocol.arrays import Array
from gan_edit_protocol.connection import Connection
from gan_edit_protocol.requests import CancelRequest, ProjectRequest, RandomRequest

JOB, OTHER = "1" * 32, "2" * 32
NAME = b"7"
SECONDS = 10.0
PHOTO = Array("uint8", (512, 512, 3), bytes(range(256)) * (512 * 6))


class Heard:
    """An exchange, and what it hears of the actor ``NAME``."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.exchange = Exchange(address)
        self._messages: queue.SimpleQueue[list[bytes]] = queue.SimpleQueue()
        self.exchange.add(NAME, lambda frames: self._messages.put([frame.bytes for frame in frames]))

    def next(self) -> list[bytes]:
        return self._messages.get(timeout=SECONDS)

    def line(self, name: bytes = NAME, **changes: str) -> Line:
        """Of an actor whose first word has been heard, if it is ``NAME``."""
        line = Line(replace(self.exchange.door, **changes), name)
        if name == NAME:
            line.send([b"here"])
            assert self.next() == [b"here"]
        return line

    def close(self) -> None:
        self.exchange.close()


@pytest.fixture
def heard() -> Iterator[Heard]:
    with closing(Heard()) as made:
        yield made


def free_endpoint() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{taken.getsockname()[1]}"


def test_jobs_come_whole_one_after_the_other_and_answers_go_back(heard: Heard) -> None:
    with closing(heard.line()) as line:
        requests = [ProjectRequest(PHOTO), RandomRequest()]
        for job, request in zip((JOB, OTHER), requests, strict=True):
            heard.exchange.send(NAME, wire.encode(job, request))
        assert [line.next_job(), line.next_job()] == [(JOB, requests[0]), (OTHER, requests[1])]
        line.send([b"header", PHOTO.data])
        assert heard.next() == [b"header", PHOTO.data]


def test_a_job_is_cancelled_while_it_is_computed_and_no_other_is(heard: Heard) -> None:
    with closing(heard.line()) as line:
        heard.exchange.send(NAME, wire.encode(JOB, RandomRequest()))
        assert line.next_job()[0] == JOB
        assert not line.is_cancelled(JOB)
        heard.exchange.send(NAME, wire.encode(JOB, CancelRequest(JOB)))
        heard.exchange.send(NAME, wire.encode(OTHER, RandomRequest()))
        assert line.next_job()[0] == OTHER
        assert line.is_cancelled(JOB)
        assert not line.is_cancelled(OTHER)


def test_who_is_not_there_or_not_known_disturbs_nobody(heard: Heard) -> None:
    with closing(heard.line(b"8")) as stranger, closing(heard.line()) as line:
        stranger.send([b"of no use"])
        heard.exchange.send(b"9", wire.encode(JOB, RandomRequest()))
        heard.exchange.send(NAME, wire.encode(OTHER, RandomRequest()))
        assert line.next_job()[0] == OTHER
        line.send([b"heard"])
        assert heard.next() == [b"heard"]


def test_an_actor_whose_engine_is_gone_ends_its_job_without_a_word() -> None:
    """What it said then could reach nobody whole, and it could not know what it has missed."""
    other = Heard()
    with closing(other.line()) as line:
        other.close()
        with pytest.raises(ConnectionError, match="was lost"):
            line.next_job()
        assert line.is_cancelled(JOB)
        line.send([b"lost"])


@pytest.mark.parametrize("wrong", ["server_public", "client's pair"])
def test_without_the_keys_nobody_comes_in(heard: Heard, wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actor, "REACH_SECONDS", 1.0)
    public, secret = (key.decode() for key in zmq.curve_keypair())
    keys = {"server_public": public} if wrong == "server_public" else {"client_public": public, "client_secret": secret}
    with pytest.raises(ConnectionError, match=r"the engine cannot be reached at 127\.0\.0\.1:\d+"):
        heard.line(b"8", **keys)
    heard.line().close()


def test_an_engine_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actor, "REACH_SECONDS", 0.3)
    keys = [key.decode() for _ in range(2) for key in zmq.curve_keypair()]
    door = Connection(free_endpoint(), keys[0], keys[2], keys[3], 1)
    with pytest.raises(ConnectionError, match="cannot be reached"):
        Line(door, NAME)


def test_addresses_may_be_of_the_newer_kind() -> None:
    try:
        with socket.socket(socket.AF_INET6) as taken:
            taken.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    with closing(Heard("::1")) as six, closing(six.line()) as line:
        six.exchange.send(NAME, wire.encode(JOB, RandomRequest()))
        assert line.next_job() == (JOB, RandomRequest())
