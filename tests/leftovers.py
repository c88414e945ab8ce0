"""Fails every test that leaves a thread, a process, a socket or a temporary file behind.

A pytest plug-in. What a wider fixture (of a module, of the session) has set up is there before the test's own fixtures
are, and is not the test's; when the session ends, all must be gone.
"""

from __future__ import annotations

import gc
import os
import stat
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

GRACE_SECONDS = 10.0
"""How long what is just ending may take."""
DESCRIPTORS = Path("/dev/fd")


@dataclass(frozen=True)
class Surroundings:
    """What there is at one moment. ``sockets``: the descriptor of each of this process's, by device and inode."""

    threads: frozenset[threading.Thread]
    processes: frozenset[int]
    sockets: dict[tuple[int, int], int]
    files: frozenset[str]

    @classmethod
    def now(cls, folder: Path) -> Surroundings:
        """``folder``: where temporary files of this test run lie."""
        # Native threads that once called Python, such as torch's, live as long as the process.
        threads = (each for each in threading.enumerate() if not isinstance(each, threading._DummyThread))
        return cls(frozenset(threads), frozenset(psutil.pids()), _sockets(), frozenset(os.listdir(folder)))


@pytest.fixture(scope="session", autouse=True)
def temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of this run's temporary files, for the processes that it starts as well."""
    folder = tmp_path_factory.mktemp("temporary")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        patch.setattr(tempfile, "tempdir", str(folder))
        before = Surroundings.now(folder)
        yield folder
        fail_if_left(before, folder, "the whole run")


@pytest.fixture(autouse=True)
def leaves_nothing_behind(temporary_folder: Path) -> Iterator[None]:
    """The first of a test's own fixtures, so that it looks again when all others are done."""
    before = Surroundings.now(temporary_folder)
    yield
    fail_if_left(before, temporary_folder, "the test")


def fail_if_left(before: Surroundings, folder: Path, who: str) -> None:
    if not leftovers(before, folder):
        return
    gc.collect()  # what only a cycle still holds is closed by now
    deadline = time.monotonic() + GRACE_SECONDS
    while left := leftovers(before, folder):
        if time.monotonic() > deadline:
            pytest.fail(f"{who} left behind: {'; '.join(left)}", pytrace=False)
        time.sleep(0.02)


def leftovers(before: Surroundings, folder: Path) -> list[str]:
    """What there is beyond ``before``, in words."""
    now = Surroundings.now(folder)
    left = [f"thread {thread.name}" for thread in now.threads - before.threads]
    left += filter(None, (_process_left(pid, before, folder) for pid in now.processes - before.processes))
    left += [f"socket with descriptor {now.sockets[each]}" for each in now.sockets.keys() - before.sockets.keys()]
    return left + [f"file {folder / name}" for name in now.files - before.files]


def _process_left(pid: int, before: Surroundings, folder: Path) -> str | None:
    """The process in words, if it is this run's and not started by one that was there before, such as an engine."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE or not _is_ours(process, folder):
            return None
        older = (each for each in process.parents() if each.pid in before.processes and each.pid != os.getpid())
        if any(_is_ours(each, folder) for each in older):
            return None
        return f"process {pid} ({' '.join(process.cmdline())})"
    except psutil.Error:
        return None


def _is_ours(process: psutil.Process, folder: Path) -> bool:
    """A descendant of this process, or one that has detached itself and inherited this run's temporary folder."""
    if any(parent.pid == os.getpid() for parent in process.parents()):
        return True
    try:
        return process.environ().get("TMPDIR", "").startswith(str(folder.parent))
    except psutil.AccessDenied:
        return False


def _sockets() -> dict[tuple[int, int], int]:
    """None on systems without /dev/fd."""
    found: dict[tuple[int, int], int] = {}
    for name in os.listdir(DESCRIPTORS) if DESCRIPTORS.exists() else ():
        try:
            status = os.fstat(int(name))
        except OSError:  # the listing's own descriptor
            continue
        if stat.S_ISSOCK(status.st_mode):
            found[status.st_dev, status.st_ino] = int(name)
    return found
