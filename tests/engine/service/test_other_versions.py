"""Engines, workers and connection files that an upgrade or a crash has left behind."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_process import EngineProcess, Job, MakeEngine, projection, wait_for

from gan_edit_engine.cli import session
from gan_edit_engine.cli.install import engine_program
from gan_edit_protocol import PROTOCOL_VERSION, connection, launch, wire
from gan_edit_protocol.client import Client
from gan_edit_protocol.connection import Connection
from gan_edit_protocol.errors import EngineSilentError, EngineUnavailableError, JobFailedError
from gan_edit_protocol.events import ResultReady
from gan_edit_protocol.launch import EngineCommand, clean_environment, connect, connect_or_start
from gan_edit_protocol.requests import RandomRequest
from gan_edit_protocol.transport import PipeTransport, SocketTransport

OLDER, NEWER = PROTOCOL_VERSION - 1, PROTOCOL_VERSION + 1
KEY = "0" * 40


@pytest.fixture
def command(tmp_path: Path) -> EngineCommand:
    return EngineCommand(tuple(engine_program()), tmp_path / "engine.json", tmp_path / "engine.log")


@pytest.fixture
def sleeping_worker(tmp_path: Path) -> dict[str, str]:
    """An environment in which a worker never becomes ready: one of this version would not fit the engine's."""
    (tmp_path / "sleeping").mkdir()
    (tmp_path / "sleeping" / "torch.py").write_text("import time\ntime.sleep(600)\n")
    return {"PYTHONPATH": str(tmp_path / "sleeping")}


def submit(engine: EngineProcess, version: int) -> SocketTransport:
    """A client of another version whose job waits in the engine."""
    transport = SocketTransport(connection.read(engine.file))
    transport.send(wire.encode("a" * 32, RandomRequest(), version))
    assert transport.receive(30.0) is not None
    return transport


# --- another version ----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("version", [OLDER, NEWER])
def test_status_and_stop_work_with_an_engine_of_another_version(
    make_engine: MakeEngine, sleeping_worker: dict[str, str], version: int
) -> None:
    engine = make_engine(protocol=version, **sleeping_worker).wait_until_ready()
    words = ["--connection", str(engine.file)]
    told = subprocess.check_output([*engine_program(), "status", *words], text=True)
    assert f"process {engine.process.pid}: starting, 0 jobs" in told
    assert "another version" in told
    assert "The engine has ended." in subprocess.check_output([*engine_program(), "stop", *words], text=True)
    assert engine.process.wait(30) == 0


@pytest.mark.slow
def test_an_engine_of_another_version_is_ended_over_the_relay(
    make_engine: MakeEngine, sleeping_worker: dict[str, str]
) -> None:
    engine = make_engine(protocol=OLDER, **sleeping_worker).wait_until_ready()
    words = [*engine_program(), "relay", "--connection", str(engine.file)]
    with Client(PipeTransport(words, clean_environment())) as client:
        assert client.status().pid == engine.process.pid
        client.shutdown()
    assert engine.process.wait(30) == 0


@pytest.mark.slow
def test_an_older_engine_without_a_job_makes_way(
    make_engine: MakeEngine, sleeping_worker: dict[str, str], command: EngineCommand
) -> None:
    older = make_engine(protocol=OLDER, **sleeping_worker).wait_until_ready()
    with connect_or_start(command, os.getpid()) as client:
        assert client.status().pid != older.process.pid
        assert isinstance(client.run(RandomRequest()), ResultReady)
        client.shutdown()
    assert older.process.wait(30) == 0
    launch.wait_for_end(command.connection_file)


@pytest.mark.slow
def test_an_older_engine_at_work_is_left_alone_and_commands_use_one_of_their_own(
    make_engine: MakeEngine, sleeping_worker: dict[str, str], command: EngineCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = make_engine(protocol=OLDER, **sleeping_worker).wait_until_ready()
    waiting = submit(older, OLDER)
    with pytest.raises(EngineUnavailableError, match=r"older GAN Edit \(.*\) is still at work"):
        connect_or_start(command)
    monkeypatch.setenv(connection.ENVIRONMENT_VARIABLE, str(older.file))
    with session.engine() as client:
        assert isinstance(client.run(RandomRequest()), ResultReady)
    assert older.process.poll() is None
    waiting.close()


@pytest.mark.slow
def test_a_newer_engine_is_never_ended_by_an_older_program(
    make_engine: MakeEngine, sleeping_worker: dict[str, str], command: EngineCommand
) -> None:
    newer = make_engine(protocol=NEWER, **sleeping_worker).wait_until_ready()
    with pytest.raises(EngineUnavailableError, match="newer GAN Edit.*Run gan-edit install-plugin again"):
        connect_or_start(command)
    assert newer.process.poll() is None


@pytest.mark.slow
def test_an_engine_whose_worker_is_of_a_newer_version_says_so_and_ends(make_engine: MakeEngine) -> None:
    """GAN Edit was installed anew while it ran; all of the worker's version is this one's."""
    engine = make_engine(protocol=OLDER).wait_until_ready()
    assert engine.process.wait(60) == 0
    assert "installed anew" in engine.log
    assert "Traceback" not in engine.log


@pytest.mark.slow
def test_a_job_whose_worker_is_of_a_newer_version_fails_with_what_to_do(
    make_engine: MakeEngine, tmp_path: Path
) -> None:
    header = json.dumps({"version": NEWER, "job": "0" * 32, "type": "EngineStatus", "body": {}, "arrays": []})
    (tmp_path / "new").mkdir()
    lines = [
        "import os, struct, time",
        f"while not os.path.exists({str(tmp_path / 'go')!r}): time.sleep(0.02)",
        f"header = {header.encode()!r}",
        "os.write(1, struct.pack('<IQ', 1, len(header)) + header)",
        "time.sleep(600)",
    ]
    (tmp_path / "new" / "torch.py").write_text("\n".join(lines))
    engine = make_engine(PYTHONPATH=str(tmp_path / "new")).wait_until_ready()
    with engine.client() as client:
        job = Job(client, projection())
        next(job.events)
        wait_for(lambda: client.status().jobs == 1)
        (tmp_path / "go").touch()
        with pytest.raises(JobFailedError, match="installed anew while its engine ran. Try again") as caught:
            client.run(RandomRequest())
    assert caught.value.code == "version_mismatch"
    assert engine.process.wait(30) == 0


# --- what is left of engines that are gone ------------------------------------------------------------------------


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port at which somebody listens who is no engine."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


@pytest.fixture
def ended() -> int:
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        return process.pid


def write_stale(command: EngineCommand, port: int, pid: int) -> None:
    connection.write(command.connection_file, Connection(f"tcp://127.0.0.1:{port}", KEY, KEY, KEY, pid))


@pytest.mark.skipif(sys.platform == "win32", reason="there the process is not looked at")
def test_the_file_of_an_engine_whose_process_is_gone_costs_no_greeting(
    command: EngineCommand, silent_port: int, ended: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "GREETING_SECONDS", 3600.0)
    write_stale(command, silent_port, ended)
    with pytest.raises(EngineUnavailableError, match="No GAN Edit engine is running"):
        connect(command)


def test_a_port_at_which_nobody_listens_costs_no_greeting(
    command: EngineCommand, silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process's number was given to another one."""
    monkeypatch.setattr(launch, "GREETING_SECONDS", 3600.0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # and not listen()
        write_stale(command, free.getsockname()[1], os.getpid())
        with pytest.raises(EngineUnavailableError, match="has ended"):
            connect(command)


@pytest.mark.skipif(sys.platform == "win32", reason="there the process is not looked at")
def test_the_relay_looks_at_the_process_first(command: EngineCommand, silent_port: int, ended: int) -> None:
    write_stale(command, silent_port, ended)
    words = [*engine_program(), "relay", "--connection", str(command.connection_file)]
    with (
        Client(PipeTransport(words, clean_environment())) as client,
        pytest.raises(EngineUnavailableError, match="No GAN Edit engine is running"),
    ):
        client.status(timeout=3600.0)


def test_an_engine_that_runs_but_is_silent_is_not_called_dead(
    command: EngineCommand, silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "GREETING_SECONDS", 0.3)
    write_stale(command, silent_port, os.getpid())
    with pytest.raises(EngineSilentError, match="runs but does not answer"):
        connect(command)
    words = [*engine_program(), "status", "--connection", str(command.connection_file)]
    assert "runs but does not answer" in subprocess.check_output(words, text=True)


def test_an_engine_that_does_not_end_is_not_said_to_have_ended(
    command: EngineCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "END_SECONDS", 0.1)
    write_stale(command, 1, os.getpid())
    assert not launch.wait_for_end(command.connection_file)
    command.connection_file.unlink()
    assert launch.wait_for_end(command.connection_file)
