"""Connections that say nothing, over real sockets: the oldest are closed where there are too many."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
import zmq
from engine_process import wait_for

from gan_edit_engine.service.strangers import Strangers

AT_MOST = 10


@pytest.fixture
def router() -> Iterator[zmq.Socket[bytes]]:
    """A server that waits for a greeting for as long as a test takes."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.linger = 0
        router.handshake_ivl = 0
        router.bind("tcp://127.0.0.1:*")
        yield router


@pytest.fixture
def strangers(router: zmq.Socket[bytes]) -> Iterator[Strangers]:
    watching = Strangers(router.context, router, AT_MOST)
    yield watching
    watching.close()


@contextmanager
def silent(router: zmq.Socket[bytes], number: int) -> Iterator[list[socket.socket]]:
    port = int(router.getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2])
    with ExitStack() as opened:
        yield [opened.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(number)]


def is_open(connection: socket.socket) -> bool:
    """Whether the server keeps the connection, on which it has sent no more than its own greeting."""
    connection.setblocking(False)
    try:
        while connection.recv(1000):
            pass
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def test_of_too_many_silent_connections_the_oldest_are_closed(router: zmq.Socket[bytes], strangers: Strangers) -> None:
    with silent(router, 40) as connections:

        def closed() -> int:
            strangers.look()
            return sum(not is_open(one) for one in connections)

        wait_for(lambda: closed() == 40 - AT_MOST)
        assert [is_open(one) for one in connections] == [False] * (40 - AT_MOST) + [True] * AT_MOST
        with silent(router, 1):
            wait_for(lambda: closed() == 41 - AT_MOST)


def test_a_few_silent_connections_are_left_alone(router: zmq.Socket[bytes], strangers: Strangers) -> None:
    with silent(router, AT_MOST) as connections:
        for _ in range(3):
            strangers.socket.poll(50)
            strangers.look()
        assert all(map(is_open, connections))


def test_connections_that_end_by_themselves_do_not_count(router: zmq.Socket[bytes], strangers: Strangers) -> None:
    for _ in range(5):
        with silent(router, AT_MOST):
            strangers.look()
    wait_for(lambda: strangers.look() is None and not strangers._silent)


def test_a_client_that_has_spoken_is_no_stranger_and_one_that_has_not_connects_anew(
    router: zmq.Socket[bytes], strangers: Strangers
) -> None:
    with zmq.Context() as context, context.socket(zmq.DEALER) as known, context.socket(zmq.DEALER) as late:
        for dealer in (known, late):
            dealer.linger = 0
            dealer.connect(router.getsockopt_string(zmq.LAST_ENDPOINT))
        known.send(b"early")
        name, message = router.recv_multipart(copy=False)
        strangers.look()
        strangers.speaks(name)
        with silent(router, 40) as connections:

            def crowd_is_thinned() -> bool:
                strangers.look()
                return sum(map(is_open, connections)) <= AT_MOST

            wait_for(crowd_is_thinned)
            router.send_multipart([name.bytes, b"answer"])
            assert (message.bytes, known.recv()) == (b"early", b"answer")
            late.send(b"late")
            assert router.recv_multipart()[1] == b"late"


def test_a_crowd_that_nobody_looks_at_does_not_hold_up_the_end(router: zmq.Socket[bytes]) -> None:
    """More events than a ZeroMQ socket takes by default, unread."""
    watching = Strangers(router.context, router, AT_MOST)
    for _ in range(30):
        with silent(router, 50) as connections:
            wait_for(lambda: all(one.recv(1) for one in connections))
    watching.close()
