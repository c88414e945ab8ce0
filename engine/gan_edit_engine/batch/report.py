"""What a batch has done: a line of ``report.jsonl`` for each photo, by which it also goes on after a crash.

A line is written when the photo's files are whole and in their places, and waited for until it is on the disk. Where a
photo has several lines, tried again or done anew after it changed, the last one holds.
"""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from gan_edit_engine.batch.jobs import Job
from gan_edit_engine.system.atomic_write import PREFIX, make_folder, remove_leftovers, replacing, writing
from gan_edit_protocol.errors import GanEditError

NAME = "report.jsonl"
_LOCK = ".batch.lock"
_ROOM = 1 << 20

Line = dict[str, Any]


class UnwritableError(GanEditError):
    """Nothing can be written to the batch's folder: no photo's own fault."""


def check_writable(folder: Path) -> None:
    """UnwritableError unless a file of some size can be written to the folder."""
    probe = folder / f"{PREFIX}probe"
    try:
        with replacing(probe) as part:
            part.write_bytes(bytes(_ROOM))
        with writing(probe):
            probe.unlink()
    except GanEditError as error:
        raise UnwritableError(error.code, error.message, error.hint) from None


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """The folder, made if it is not there, for this batch alone; GanEditError (busy_folder) when another has it.

    The system releases the lock however its holder ends.
    """
    make_folder(folder)
    lock = FileLock(folder / _LOCK)
    with writing(folder):
        try:
            lock.acquire(timeout=0)
        except Timeout:  # which is an error of the system, too
            raise GanEditError(
                "busy_folder",
                f"Another batch is writing to {folder}.",
                "Wait until it has ended, or give another folder.",
            ) from None
    try:
        remove_leftovers(folder)
        yield
    finally:
        lock.release()


class Report:
    """The lines of a folder's report by their output, the last one of each; for several threads.

    GanEditError (bad_report) when the file is not one. A last line that is not whole is cut off: its writer was killed.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._lock = threading.Lock()
        self.lines: dict[str, Line] = {}
        with writing(self._path):
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            try:
                self._load()
            except BaseException:
                self.close()
                raise

    def _load(self) -> None:
        content = self._path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        *lines, last = whole.splitlines() or [b""]
        for number, text in enumerate(lines, start=1):
            if not self._take(text):
                raise GanEditError(
                    "bad_report", f"Line {number} of {self._path} is damaged.", "Delete that line, and try again."
                )
        if whole and not self._take(last):
            whole = whole[: -len(last) - 1]
        if len(whole) != len(content):
            os.ftruncate(self._file, len(whole))

    def _take(self, text: bytes) -> bool:
        try:
            line = json.loads(text)
            named = all(isinstance(line[name], str) for name in ("photo", "output", "job"))
        except (ValueError, TypeError, KeyError, RecursionError):
            named = False
        if named:
            self.lines[line["output"]] = line
        return named

    def add(self, job: Job, line: Line) -> None:
        """Append what became of a job, its names and identity before it; returns when it is on the disk."""
        names = {"photo": job.name, "output": job.output, "job": job.wanted.identity, "stamp": job.stamp}
        told = {name: _finite(value) for name, value in {**names, **line}.items()}
        text = json.dumps(told).encode("ascii") + b"\n"
        with self._lock, writing(self._path):
            self._append(text)
            self.lines[job.output] = told

    def _append(self, text: bytes) -> None:
        at = os.fstat(self._file).st_size
        try:
            while text:
                text = text[os.write(self._file, text) :]
            os.fsync(self._file)
        except OSError:
            with suppress(OSError):  # half a line of a full disk
                os.ftruncate(self._file, at)
            raise

    def close(self) -> None:
        os.close(self._file)

    def __enter__(self) -> Report:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _finite(value: Any) -> Any:
    """JSON has no other numbers."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def is_done(line: Line | None) -> bool:
    """Whether it says that there is a result."""
    return line is not None and "error" not in line


def left_of(jobs: Sequence[Job], report: Report, retry: bool, has_files: Callable[[Job], bool]) -> list[Job]:
    """The jobs that are still to be done: neither done, with files that are there, nor failed, unless ``retry``.

    Photos that have changed since are done anew. GanEditError (other_batch) when the report is of another batch.
    """
    _check_own(jobs, report)
    return [job for job in jobs if not _settled(job, report.lines.get(job.output), retry, has_files)]


def _settled(job: Job, line: Line | None, retry: bool, has_files: Callable[[Job], bool]) -> bool:
    if line is None or line["job"] != job.wanted.identity or line.get("stamp") != job.stamp:
        return False
    return has_files(job) if is_done(line) else not retry


def _check_own(jobs: Sequence[Job], report: Report) -> None:
    shared = False
    for job in jobs:
        line = report.lines.get(job.output)
        shared = shared or line is not None
        if line is None or not is_done(line) or (line["job"] == job.wanted.identity and line["photo"] == job.name):
            continue
        raise _other(report, f"{job.output} was made of {line['photo']} with other settings, or of another photo")
    if report.lines and not shared:
        raise _other(report, "it knows none of these photos")


def _other(report: Report, reason: str) -> GanEditError:
    return GanEditError(
        "other_batch",
        f"The output folder holds the report of another batch: {reason}.",
        "Give another --output, or ask for the same as before.",
    )
