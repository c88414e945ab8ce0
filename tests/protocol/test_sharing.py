"""One connection for several threads: each hears the answers to what it asked, and all hear when the way is gone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from gan_edit_protocol import wire
from gan_edit_protocol.arrays import Array
from gan_edit_protocol.client import Client
from gan_edit_protocol.errors import EngineUnavailableError, JobCancelledError
from gan_edit_protocol.events import Accepted, Cancelled, FramesReady, ResultReady
from gan_edit_protocol.latent import Latent
from gan_edit_protocol.requests import CancelRequest, RandomRequest
from gan_edit_protocol.settings import RandomSettings

WS = Array("float32", (1, 1), bytes(4))


class Echo:
    """Answers a request's seed, the latest request first; one thread alone may use it, as a socket."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.gone = self.holds = False
        self._waiting: list[list[bytes]] = []
        self._thread: int | None = None

    def send(self, frames: list[bytes]) -> None:
        self._check_thread()
        job, request = wire.decode_request(frames)
        self.sent.append(job)
        if isinstance(request, CancelRequest):
            self._waiting = [wire.encode(job, Cancelled())]
            return
        pixel = Array("uint8", (1, 1, 3), bytes([request.settings.seed] * 3))
        self._waiting += [wire.encode(job, ResultReady(pixel, Latent(WS))), wire.encode(job, Accepted(0))]

    def receive(self, timeout: float) -> list[bytes] | None:
        self._check_thread()
        if self.gone:
            raise EngineUnavailableError("It has ended.")
        if self._waiting and not (self.holds and len(self._waiting) > 1):
            return self._waiting.pop()
        threading.Event().wait(0.001)
        return None

    def close(self) -> None:
        pass

    def _check_thread(self) -> None:
        self._thread = self._thread or threading.get_ident()
        assert self._thread == threading.get_ident()


def seed_of(result: ResultReady) -> int:
    return result.image.data[0]


def test_each_thread_hears_of_its_own_jobs() -> None:
    transport = Echo()
    with Client(transport).shared() as clients, ThreadPoolExecutor(8) as pool:

        def ask(seed: int) -> int:
            with clients() as client:
                first = client.run(RandomRequest(settings=RandomSettings(seed=seed)))
                second = client.run(RandomRequest(settings=RandomSettings(seed=seed + 100)))
                return seed_of(first) + seed_of(second)

        assert list(pool.map(ask, range(40))) == [2 * seed + 100 for seed in range(40)]
    assert len(set(transport.sent)) == 80


def test_all_hear_when_the_way_is_gone_and_so_do_those_who_ask_then() -> None:
    transport = Echo()
    transport.holds = True
    with Client(transport).shared() as clients, ThreadPoolExecutor(3) as pool:

        def ask(seed: int) -> type:
            with clients() as client:
                try:
                    client.run(RandomRequest())
                except EngineUnavailableError as error:
                    return type(error)
                return FramesReady

        asked = [pool.submit(ask, seed) for seed in range(3)]
        while len(transport.sent) < 3:
            threading.Event().wait(0.001)
        transport.gone = True
        assert [each.result() for each in asked] == [EngineUnavailableError] * 3
        assert ask(4) is EngineUnavailableError


def test_whatever_breaks_the_way_is_told_and_nobody_waits_for_ever() -> None:
    class Broken(Echo):
        def receive(self, timeout: float) -> list[bytes] | None:
            raise OSError("a surprise")

    told = pytest.raises(EngineUnavailableError, match="a surprise")
    with Client(Broken()).shared() as clients, clients() as client, told:
        client.run(RandomRequest())


def test_a_job_is_cancelled_through_it_and_the_last_word_still_leaves() -> None:
    transport = Echo()
    transport.holds = True
    with Client(transport).shared() as clients, clients() as client, pytest.raises(JobCancelledError):
        client.run(RandomRequest(), cancelled=lambda: True)
    assert len(transport.sent) == 2
    assert len(set(transport.sent)) == 1  # the job, and its cancellation


def test_the_client_works_again_when_it_is_no_longer_shared() -> None:
    class Free(Echo):
        def _check_thread(self) -> None:
            pass

    client = Client(Free())
    with client.shared() as clients, clients() as other:
        assert seed_of(other.run(RandomRequest(settings=RandomSettings(seed=3)))) == 3
    assert seed_of(client.run(RandomRequest(settings=RandomSettings(seed=4)))) == 4
