"""What the service sees around it, also while the system gives it no descriptor to look with."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psutil
import pytest
import zmq
from engine_process import wait_for

from gan_edit_engine.library.models_folder import MODELS_DIR_VARIABLE
from gan_edit_engine.service import descriptors
from gan_edit_engine.service.surroundings import Surroundings, lives
from gan_edit_engine.service.worker_process import WorkerProcess
from gan_edit_protocol import connection
from gan_edit_protocol.connection import Connection

resource = pytest.importorskip("resource", reason="Windows sets no limit on descriptors")

KEY = "0" * 40
OWN = Connection("tcp://127.0.0.1:40000", KEY, KEY, KEY, os.getpid())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    connection.write(tmp_path / "engine.json", OWN)
    return tmp_path / "engine.json"


@contextmanager
def descriptor_limit(number: int) -> Iterator[None]:
    """This process's; what is open stays open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def no_descriptors_left() -> AbstractContextManager[None]:
    # The next one would have the lowest free number. A limit of 0 would break poll() on what is open, too.
    lowest_free = os.dup(0)
    os.close(lowest_free)
    return descriptor_limit(lowest_free)


def test_the_engine_is_published_while_its_file_leads_to_it(file: Path) -> None:
    surroundings = Surroundings(file, None)
    assert surroundings.is_published(OWN)
    connection.write(file, Connection("tcp://127.0.0.1:40001", KEY, KEY, KEY, 1))
    assert not surroundings.is_published(OWN)
    file.unlink()
    assert not surroundings.is_published(OWN)


def test_a_damaged_file_leads_nobody_to_the_engine(file: Path) -> None:
    file.write_text("{")
    assert not Surroundings(file, None).is_published(OWN)


def test_without_descriptors_everything_is_as_it_was(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(MODELS_DIR_VARIABLE, str(file.parent))
    (file.parent / "zebras.safetensors").touch()
    surroundings = Surroundings(file, os.getpid())
    with caplog.at_level(logging.WARNING), no_descriptors_left():
        for _ in range(3):
            assert surroundings.is_published(OWN)
            assert surroundings.is_used()
            surroundings.add_user(os.getppid())
            assert lives(os.getpid())
            assert surroundings.model_names() == ("default", "zebras")
    assert len([record for record in caplog.records if "Too many open files" in record.getMessage()]) == 4
    (file.parent / "zebras.safetensors").unlink()
    assert surroundings.model_names() == ("default",)


def test_a_user_that_may_not_be_looked_at_lives(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(process: psutil.Process) -> str:
        raise psutil.AccessDenied(process.pid)

    surroundings = Surroundings(file, os.getpid())
    monkeypatch.setattr(psutil.Process, "status", denied)
    assert surroundings.is_used()


def test_the_engine_is_used_until_the_last_of_its_users_has_ended(file: Path) -> None:
    waiting = [sys.executable, "-c", "input()"]
    with subprocess.Popen(waiting, stdin=subprocess.PIPE) as first:
        surroundings = Surroundings(file, first.pid)
        with subprocess.Popen(waiting, stdin=subprocess.PIPE) as second:
            surroundings.add_user(second.pid)
            first.kill()
            wait_for(lambda: not lives(first.pid))
            assert surroundings.is_used()
            second.kill()
        assert not surroundings.is_used()
    surroundings.add_user(second.pid)
    assert not surroundings.is_used()
    surroundings.add_user(os.getpid())
    assert surroundings.is_used()


def test_users_do_not_count_where_none_was_named_at_the_start(file: Path) -> None:
    surroundings = Surroundings(file, None)
    with subprocess.Popen([sys.executable, "-c", ""]) as user:
        surroundings.add_user(user.pid)
    assert surroundings.is_used()


def test_a_worker_that_cannot_be_heard_is_not_started() -> None:
    with zmq.Context() as context:
        context.socket(zmq.PULL).close()  # the context's own descriptors are taken with its first socket
        with no_descriptors_left(), pytest.raises(OSError, match="Too many open files"):
            WorkerProcess(context, 1, None)


def test_the_engine_takes_more_descriptors_where_it_may() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = descriptors.ENOUGH if hard == resource.RLIM_INFINITY else min(descriptors.ENOUGH, hard)
    with descriptor_limit(most // 2):
        descriptors.allow_many()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (most, hard)
        descriptors.allow_many()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (most, hard)
