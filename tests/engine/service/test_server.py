"""The engine as a real process over real sockets, and everything that can die around it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import zmq
from engine_process import EngineProcess, Job, MakeEngine, projection, python_client, wait_for
from hypothesis import given, settings

from gan_edit_engine import __version__
from gan_edit_engine.cli.install import engine_program
from gan_edit_engine.service.job_queue import SHUTDOWN
from gan_edit_protocol import PROTOCOL_VERSION, connection, wire
from gan_edit_protocol.client import Client
from gan_edit_protocol.errors import EngineUnavailableError, JobFailedError
from gan_edit_protocol.events import FINAL_EVENTS, Accepted, Cancelled, Failed, Progress, ResultReady
from gan_edit_protocol.launch import EngineCommand, clean_environment, connect_or_start
from gan_edit_protocol.requests import RandomRequest
from gan_edit_protocol.settings import RandomSettings
from gan_edit_protocol.transport import PipeTransport, SocketTransport
from protocol.strategies import garbage_frames

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the deaths are those of POSIX signals"),
]

ENDLESS = 20_000
"""Steps that no test waits for."""
DEFAULT = RandomRequest()


@pytest.fixture
def client(engine: EngineProcess) -> Iterator[Client]:
    with engine.client() as client:
        yield client


# --- the normal way -----------------------------------------------------------------------------------------------


def test_the_greeting_tells_version_process_and_models(engine: EngineProcess, client: Client) -> None:
    status = client.status()
    assert (status.version, status.pid) == (__version__, engine.process.pid)
    assert "default" in status.models


def test_a_job_reports_its_place_its_steps_with_a_preview_and_its_result(client: Client) -> None:
    events: list[Any] = []
    result = client.run(projection(steps=12, previews=True), events.append)
    assert events[0] == Accepted(0)
    steps = [event for event in events if isinstance(event, Progress)]
    stages = list(dict.fromkeys(step.stage for step in steps))
    places = [(stages.index(step.stage), step.step) for step in steps]
    assert places == sorted(places)
    assert any(step.preview is not None for step in steps)
    assert result.image.dtype == "uint8"
    assert result.steps == 12


def test_the_same_seed_gives_the_same_image_and_another_seed_another(client: Client) -> None:
    first, again, other = (client.run(RandomRequest(settings=RandomSettings(seed=seed))) for seed in (3, 3, 4))
    assert first.image == again.image
    assert first.latent == again.latent
    assert first.image != other.image


def test_a_second_client_hears_its_place_and_is_served_after_the_first(engine: EngineProcess, client: Client) -> None:
    with engine.client() as second_client:
        first = Job(client, projection(ENDLESS))
        first.until(Progress)
        second = Job(second_client, DEFAULT)
        assert second.until(Accepted) == Accepted(1)
        first.cancel()
        assert first.until(FINAL_EVENTS) == Cancelled()
        assert isinstance(second.until(FINAL_EVENTS), ResultReady)


def test_the_engine_answers_while_it_computes(engine: EngineProcess, client: Client) -> None:
    job = Job(client, projection(ENDLESS))
    job.until(Progress)
    with engine.client() as other:
        status = other.status(timeout=2.0)
    assert ([worker.state for worker in status.workers], status.jobs) == (["busy"], 1)
    job.cancel()
    job.until(FINAL_EVENTS)


def test_an_unknown_model_fails_the_job_by_name_and_the_next_one_works(client: Client) -> None:
    with pytest.raises(JobFailedError, match="zebras") as caught:
        client.run(RandomRequest(model="zebras"))
    assert caught.value.code == "unknown_model"
    assert isinstance(client.run(DEFAULT), ResultReady)


def test_the_relay_carries_a_whole_job(engine: EngineProcess) -> None:
    words = [*engine_program(), "relay", "--connection", str(engine.file)]
    with Client(PipeTransport(words, clean_environment())) as client:
        assert client.status().version == __version__
        assert client.run(projection()).image.shape[2] == 3


def test_a_relay_without_an_engine_says_that_there_is_none(tmp_path: Path) -> None:
    words = [*engine_program(), "relay", "--connection", str(tmp_path / "none.json")]
    with (
        Client(PipeTransport(words, clean_environment())) as client,
        pytest.raises(EngineUnavailableError, match="No GAN Edit engine is running"),
    ):
        client.status(timeout=30)


def test_what_is_sent_over_the_relay_last_of_all_reaches_the_engine(make_engine: MakeEngine) -> None:
    """“End the Engine” in a GIMP without ZeroMQ: the relay is closed as soon as it has been told."""
    engine = make_engine().wait_until_ready()
    words = [*engine_program(), "relay", "--connection", str(engine.file)]
    with Client(PipeTransport(words, clean_environment())) as client:
        client.shutdown()
    assert engine.process.wait(10) == 0, engine.log


# --- cancelling ---------------------------------------------------------------------------------------------------


def test_a_running_job_is_cancelled_within_a_second_and_the_next_works(client: Client) -> None:
    job = Job(client, projection(ENDLESS))
    job.until(Progress)
    job.cancel()
    asked = time.monotonic()
    assert job.until(FINAL_EVENTS) == Cancelled()
    assert time.monotonic() - asked < 1.0
    assert isinstance(client.run(DEFAULT), ResultReady)


def test_a_job_is_cancelled_within_a_second_though_the_worker_does_not_move(engine: EngineProcess) -> None:
    """A stopped process stands for a step that takes minutes; the worker is killed and started anew."""
    with engine.client() as client:
        job = Job(client, projection(ENDLESS))
        job.until(Progress)
        worker = engine.worker()
        worker.suspend()
        job.cancel()
        asked = time.monotonic()
        assert job.until(FINAL_EVENTS) == Cancelled()
        assert time.monotonic() - asked < 1.0
        assert isinstance(client.run(DEFAULT), ResultReady)
        assert engine.worker().pid != worker.pid


# --- deaths -------------------------------------------------------------------------------------------------------


def test_a_worker_killed_in_a_job_fails_it_in_plain_words_and_the_next_job_works(
    engine: EngineProcess, client: Client
) -> None:
    job = Job(client, projection(ENDLESS))
    job.until(Progress)
    engine.worker().kill()
    failure = job.until(FINAL_EVENTS)
    assert isinstance(failure, Failed)
    assert failure.code == "worker_died"
    assert "memory was full" in failure.message
    assert isinstance(client.run(DEFAULT), ResultReady)


def test_a_client_killed_in_a_job_loses_it(engine: EngineProcess, client: Client) -> None:
    """GIMP's own Cancel button kills the plug-in: the engine must not compute on for nobody."""
    other = python_client(engine.file, f"Job(client, projection({ENDLESS})).until(Progress); print('runs', flush=True)")
    assert other.stdout is not None
    assert other.stdout.readline() == b"runs\n"
    assert client.status().jobs == 1
    other.kill()
    wait_for(lambda: client.status().jobs == 0, seconds=5.0)
    other.communicate()


def test_a_client_hears_at_once_that_its_engine_was_killed(make_engine: MakeEngine) -> None:
    engine = make_engine().wait_until_ready()
    with engine.client() as client:
        job = Job(client, projection(ENDLESS))
        job.until(Progress)
        engine.process.kill()
        started = time.monotonic()
        with pytest.raises(EngineUnavailableError, match="has ended"):
            job.until(FINAL_EVENTS)
        assert time.monotonic() - started < 2


def test_a_worker_ends_when_its_engine_is_killed(make_engine: MakeEngine) -> None:
    engine = make_engine().wait_until_ready()
    worker = engine.worker()
    with engine.client() as client:
        client.run(DEFAULT)
    os.kill(engine.process.pid, signal.SIGKILL)
    wait_for(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE, seconds=5.0)


def test_a_new_engine_takes_the_place_of_one_that_was_killed(make_engine: MakeEngine, tmp_path: Path) -> None:
    killed = make_engine().wait_until_ready()
    killed.process.kill()
    killed.process.wait()
    assert killed.file.exists()
    command = EngineCommand(tuple(engine_program()), killed.file, tmp_path / "second.log")
    with connect_or_start(command) as client:
        assert client.status().pid != killed.process.pid
        client.shutdown()
    wait_for(lambda: not killed.file.exists(), seconds=10.0)


def test_a_worker_that_cannot_start_is_reported_with_its_last_words(make_engine: MakeEngine, tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "torch.py").write_text("raise ImportError('libtorch.so is missing')\n")
    engine = make_engine(PYTHONPATH=str(tmp_path / "broken")).wait_until_ready()
    with engine.client() as client:
        for _ in range(2):
            with pytest.raises(JobFailedError, match=r"does not start: .*libtorch\.so is missing") as caught:
                client.run(DEFAULT)
            assert caught.value.code == "worker_start"
        assert client.status().workers[0].state == "failed"


def test_a_device_that_is_not_there_is_reported_by_name(make_engine: MakeEngine) -> None:
    engine = make_engine("--device", "cuda:99").wait_until_ready()
    with engine.client() as client, pytest.raises(JobFailedError, match="'cuda:99' cannot be used") as caught:
        client.run(DEFAULT)
    assert caught.value.code == "bad_device"


# --- strangers and nonsense ---------------------------------------------------------------------------------------


def test_a_client_with_another_key_gets_no_answer(engine: EngineProcess) -> None:
    public, secret = (key.decode() for key in zmq.curve_keypair())
    forged = replace(connection.read(engine.file), client_public=public, client_secret=secret)
    with Client(SocketTransport(forged)) as client, pytest.raises(EngineUnavailableError):
        client.status(timeout=1.5)


def test_a_client_that_expects_another_engine_gets_no_answer(engine: EngineProcess) -> None:
    public, _ = zmq.curve_keypair()
    mistaken = replace(connection.read(engine.file), server_public=public.decode())
    with Client(SocketTransport(mistaken)) as client, pytest.raises(EngineUnavailableError):
        client.status(timeout=1.5)


def test_a_client_without_encryption_gets_no_answer(engine: EngineProcess) -> None:
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        dealer.connect(connection.read(engine.file).endpoint)
        dealer.send_multipart(wire.encode("0" * 32, RandomRequest()))
        assert not dealer.poll(1500)


def test_garbage_frames_are_answered_by_a_named_failure_and_the_engine_goes_on(engine: EngineProcess) -> None:
    transport = SocketTransport(connection.read(engine.file))

    @settings(max_examples=50)
    @given(garbage_frames)
    def send_garbage(frames: list[bytes]) -> None:
        transport.send(frames)
        answer = transport.receive(5.0)
        assert answer is not None
        job, event = wire.decode_event(answer)
        assert job == "0" * 32
        assert isinstance(event, Failed)
        assert event.code == "bad_message"

    send_garbage()
    transport.close()
    with engine.client() as client:
        assert client.status().pid == engine.process.pid


def test_another_protocol_version_is_answered_by_what_to_do(engine: EngineProcess) -> None:
    transport = SocketTransport(connection.read(engine.file))
    frames = wire.encode("a" * 32, DEFAULT)
    transport.send([frames[0].replace(b'"version": %d' % PROTOCOL_VERSION, b'"version": 1')])
    answer = transport.receive(5.0)
    assert answer is not None
    job, event = wire.decode_event(answer)
    transport.close()
    assert job == "a" * 32
    assert event.code == "version_mismatch"
    assert "same GAN Edit version" in event.hint


# --- no descriptors left ------------------------------------------------------------------------------------------


@contextmanager
def silent_connections(engine: EngineProcess, number: int) -> Iterator[list[socket.socket]]:
    """TCP connections to the engine's port on which nothing is said; some may wait for it to accept them."""
    port = int(connection.read(engine.file).endpoint.rpartition(":")[2])
    with ExitStack() as opened:
        connections = [opened.enter_context(socket.socket()) for _ in range(number)]
        for one in connections:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        yield connections


def hung_up(connection: socket.socket) -> bool:
    """Whether the engine has closed a connection, on which it has said a few words."""
    try:
        while connection.recv(100):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def test_silent_connections_neither_end_the_engine_nor_keep_clients_out(make_engine: MakeEngine) -> None:
    """Anybody on the machine can open more of them than it has descriptors, and needs no key for that."""
    engine = make_engine("--end-with", str(os.getpid()), descriptors=256).wait_until_ready()
    with silent_connections(engine, 480) as connections:
        wait_for(lambda: sum(map(hung_up, connections)) >= 480 - 256 // 2)
        assert engine.process.poll() is None, engine.log
        with engine.client() as client:
            assert client.status(timeout=8.0).pid == engine.process.pid
    with engine.client() as client:
        assert client.status().pid == engine.process.pid


@pytest.mark.skipif(not hasattr(psutil.Process, "rlimit"), reason="the limit of another process is Linux's to set")
def test_jobs_go_on_after_a_worker_that_could_not_be_started_for_want_of_descriptors(make_engine: MakeEngine) -> None:
    engine = make_engine().wait_until_ready()
    with engine.client() as client:
        models = client.status().models
        process = psutil.Process(engine.process.pid)
        soft, hard = process.rlimit(psutil.RLIMIT_NOFILE)
        process.rlimit(psutil.RLIMIT_NOFILE, (8, hard))  # more are open; with none at all not even poll() works
        engine.worker().kill()
        wait_for(lambda: client.status().workers[0].state == "failed", seconds=5.0)
        with pytest.raises(JobFailedError, match=r"could not be started \(Too many open files\)") as caught:
            client.run(DEFAULT)
        assert caught.value.code == "worker_start"
        assert client.status().models == models
        process.rlimit(psutil.RLIMIT_NOFILE, (soft, hard))
        assert isinstance(client.run(DEFAULT), ResultReady)


# --- one engine, and its end --------------------------------------------------------------------------------------


def test_a_second_engine_says_that_one_is_running_and_ends(make_engine: MakeEngine) -> None:
    first = make_engine().wait_until_ready()
    second = make_engine()
    assert second.process.wait(30) == 0
    assert "running already" in second.log
    with first.client() as client:
        assert client.status().pid == first.process.pid


def test_two_programs_that_start_an_engine_at_once_share_one(tmp_path: Path) -> None:
    """Two plug-ins of two GIMP windows: both must work, and only one engine may stay."""
    command = EngineCommand(tuple(engine_program()), tmp_path / "engine.json", tmp_path / "engine.log")
    found: list[int] = []

    def start() -> None:
        with connect_or_start(command) as client:
            found.append(client.status().pid)

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert len(set(found)) == 1
    wait_for(lambda: _children_with(command.connection_file) == found[:1])
    with connect_or_start(command) as client:
        client.shutdown()
    wait_for(lambda: not _children_with(command.connection_file))


def _children_with(word: Path) -> list[int]:
    """Processes that this one has started with ``word`` in their command line."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            found += [child.pid] if str(word) in child.cmdline() else []
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_engine_its_worker_and_its_connection_file(make_engine: MakeEngine, number: int) -> None:
    engine = make_engine().wait_until_ready()
    worker = engine.worker()
    engine.process.send_signal(number)
    assert engine.process.wait(10) == 0, engine.log
    assert not engine.file.exists()
    assert not worker.is_running()


def test_a_shutdown_is_told_to_everybody_whose_job_it_ends(make_engine: MakeEngine) -> None:
    engine = make_engine().wait_until_ready()
    with engine.client() as client, engine.client() as other:
        job = Job(client, projection(ENDLESS))
        job.until(Progress)
        other.shutdown()
        assert job.until(FINAL_EVENTS) == SHUTDOWN
    assert engine.process.wait(10) == 0


def test_the_engine_ends_with_the_process_it_belongs_to(make_engine: MakeEngine) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as owner:
        engine = make_engine("--end-with", str(owner.pid)).wait_until_ready()
        with engine.client() as client:
            client.status()
        owner.kill()  # and nobody waits for it yet: a zombie counts as gone
        assert engine.process.wait(10) == 0
    assert not engine.file.exists()


def test_an_idle_engine_ends_after_its_timeout(make_engine: MakeEngine) -> None:
    engine = make_engine("--idle-timeout", "1").wait_until_ready()
    assert engine.process.wait(15) == 0
    assert not engine.file.exists()


def test_an_engine_whose_connection_file_is_deleted_ends_because_nobody_can_find_it(make_engine: MakeEngine) -> None:
    engine = make_engine().wait_until_ready()
    engine.file.unlink()
    assert engine.process.wait(15) == 0


def test_the_connection_file_of_another_engine_is_left_alone(make_engine: MakeEngine) -> None:
    engine = make_engine().wait_until_ready()
    other = replace(connection.read(engine.file), pid=1)
    connection.write(engine.file, other)
    assert engine.process.wait(15) == 0
    assert connection.read(engine.file) == other
