"""Events to clients that do not read, over real sockets: how a job ended is not lost."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
import zmq
from engine_process import wait_for

from gan_edit_engine.service import deliveries
from gan_edit_engine.service.deliveries import RETURN_SECONDS, Deliveries
from gan_edit_engine.service.strangers import _hang_up
from gan_edit_protocol import wire
from gan_edit_protocol.arrays import Array
from gan_edit_protocol.connection import Connection
from gan_edit_protocol.events import Accepted, Failed, Progress, ResultReady
from gan_edit_protocol.latent import Latent
from gan_edit_protocol.requests import StatusRequest
from gan_edit_protocol.transport import SocketTransport, client_name, process_of

JOB = "a" * 32
PREVIEW = Array("uint8", (256, 256, 3), bytes(256 * 256 * 3))
RESULT = ResultReady(PREVIEW, Latent(Array("float32", (1, 1), bytes(4))))


@pytest.fixture
def server() -> Iterator[tuple[zmq.Socket[bytes], Connection]]:
    """The engine's socket as far as deliveries are concerned, with little room."""
    public, secret = zmq.curve_keypair()
    client_public, client_secret = (key.decode() for key in zmq.curve_keypair())
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.linger = 0
        router.curve_server, router.curve_publickey, router.curve_secretkey = True, public, secret
        router.router_mandatory = router.router_handover = True
        router.sndhwm = 10
        router.bind("tcp://127.0.0.1:*")
        endpoint = router.getsockopt_string(zmq.LAST_ENDPOINT)
        yield router, Connection(endpoint, public.decode(), client_public, client_secret, os.getpid())


def read(transport: SocketTransport) -> object | None:
    frames = transport.receive(0.02)
    return None if frames is None else wire.decode_event(frames)[1]


def fill(router: zmq.Socket[bytes], client: bytes) -> None:
    """Send until neither side has had any room left for a while, in which the sockets' own threads could make some."""
    frames = wire.encode(JOB, Progress("Searching", 0, 2000, 0.5, PREVIEW))
    refused = 0
    while refused < 50:
        try:
            router.send_multipart([client, *frames], flags=zmq.NOBLOCK)
            refused = 0
        except zmq.Again:
            refused += 1
            time.sleep(0.01)


def test_results_wait_for_a_client_that_does_not_read_and_its_progress_does_not(
    server: tuple[zmq.Socket[bytes], Connection],
) -> None:
    router, connection = server
    sending = Deliveries(router)
    with closing(SocketTransport(connection)) as transport:
        transport.send(wire.encode(JOB, StatusRequest()))
        client = router.recv_multipart()[0]
        fill(router, client)
        sending.send(client, JOB, Progress("Searching", 1, 2000, 0.5, PREVIEW), 0.0)
        assert not sending.waiting
        for number in range(3):
            sending.send(client, JOB, Failed("a", str(number)), 0.0)
            sending.send(client, JOB, RESULT, 0.0)
        sending.send(client, JOB, Accepted(1), 0.0)
        assert sending.waiting
        assert sending.try_again(1e6) == []  # however long it takes
        seen: list[object] = []

        def all_read() -> bool:
            seen.append(read(transport))
            assert sending.try_again(1e6) == []
            return len([event for event in seen if isinstance(event, Failed | ResultReady)]) == 6

        wait_for(all_read)
        finals = [event for event in seen if isinstance(event, Failed | ResultReady)]
        assert finals == [event for number in range(3) for event in (Failed("a", str(number)), RESULT)]
        assert not sending.waiting
        steps = [event.step for event in seen if isinstance(event, Progress)]
        assert len(steps) < 2000


def test_a_result_reaches_a_client_that_has_lost_its_connection(
    server: tuple[zmq.Socket[bytes], Connection],
) -> None:
    router, connection = server
    sending = Deliveries(router)
    with closing(SocketTransport(connection)) as transport:
        transport.send(wire.encode(JOB, StatusRequest()))
        name, _ = router.recv_multipart(copy=False)
        connected = router.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        _hang_up(name.get(zmq.SRCFD))

        def is_noticed() -> bool:
            router.poll(0)  # as the engine does: only then the socket takes note of lost connections
            sending.send(name.bytes, JOB, Accepted(0), 5.0)
            return sending.waiting or bool(connected.poll(0))

        wait_for(is_noticed)
        sending.send(name.bytes, JOB, RESULT, 5.0)
        assert sending.try_again(5.0 + RETURN_SECONDS / 2) == []

        def has_arrived() -> bool:
            assert sending.try_again(5.0) == []
            return read(transport) == RESULT

        wait_for(has_arrived)
        assert not sending.waiting
        router.disable_monitor()
        connected.close()


def test_a_client_whose_process_has_ended_is_gone_at_once(server: tuple[zmq.Socket[bytes], Connection]) -> None:
    sending = Deliveries(server[0])
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
        for client in (f"{ended.pid}-{'0' * 32}".encode(), b"\0abcd", b"9" * 200, b"-1-x"):
            sending.send(client, JOB, RESULT, 5.0)
            assert sending.try_again(5.0) == [client]
    assert not sending.waiting


def test_a_client_that_does_not_come_back_is_gone_after_a_while(server: tuple[zmq.Socket[bytes], Connection]) -> None:
    sending = Deliveries(server[0])
    client = client_name()
    assert process_of(client) == os.getpid()
    sending.send(client, JOB, Accepted(0), 5.0)
    assert sending.try_again(5.0 + 0.9 * RETURN_SECONDS) == []
    assert sending.try_again(5.0 + RETURN_SECONDS) == [client]
    assert not sending.waiting


def test_what_is_kept_for_all_clients_is_bounded(
    server: tuple[zmq.Socket[bytes], Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "MAX_KEPT_BYTES", 500_000)
    sending = Deliveries(server[0])
    first, second = client_name(), client_name()
    for client in (first, second):
        sending.send(client, JOB, RESULT, 5.0)
        assert sending.try_again(5.0) == []
    sending.send(second, JOB, RESULT, 5.0)
    assert sending.try_again(5.0) == [first]
    assert sending.waiting
