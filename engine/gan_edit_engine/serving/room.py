"""How much of the server's disk visitors' pictures take, so that nobody fills it."""

from __future__ import annotations

import collections
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gan_edit_engine.serving.limits import Limits
from gan_edit_protocol.errors import GanEditError

KEPT_SECONDS = 2400.0
"""Files are gone after that. Gradio itself looks each 300 s for what it has kept for 1800 s, and does not know all."""
_LEAST = 1 << 16
"""A file counts at least so much: there may not be any number of small ones."""


class Room:
    """Visitors' files below ``folder``, of which the jobs' own in ``jobs`` are somebody else's to take away."""

    def __init__(self, folder: Path, jobs: Path, limits: Limits) -> None:
        self._folder, self._jobs = folder, jobs
        self._limits = limits
        self._lock = threading.Lock()
        self._brought: dict[str, collections.deque[list[float]]] = {}
        self._measured = 0
        self._coming = 0

    def check(self, more: int = 0) -> None:
        """GanEditError (server_full) when there is no room for so many bytes."""
        if self._measured + self._coming + more > self._limits.disk:
            raise GanEditError(
                "server_full", "There is no room for more pictures on this server.", "Try again in half an hour."
            )

    @contextmanager
    def bringing(self, visitor: str, size: int) -> Iterator[list[float]]:
        """While a visitor sends a file of up to ``size`` bytes; ``[1]`` of what is given is set to what came.

        GanEditError (too_much_kept, server_full) when there is no room for it.
        """
        entry = [time.monotonic(), float(max(size, _LEAST))]
        with self._lock:
            self._check_visitor(visitor, entry[1])
            self.check(int(entry[1]))
            coming = int(entry[1])
            self._coming += coming
            self._brought.setdefault(visitor, collections.deque()).append(entry)
        try:
            yield entry
        finally:
            with self._lock:
                entry[1] = max(entry[1], _LEAST)
                self._coming -= coming
                self._measured += int(entry[1])  # until it is measured

    def measure(self) -> None:
        """See how much there is, and take away what is old."""
        total, now = 0, time.time()
        for folder, _, names in os.walk(self._folder, topdown=False):
            is_jobs = self._jobs in (Path(folder), *Path(folder).parents)
            for name in names:
                with suppress(OSError):
                    total += self._size(os.path.join(folder, name), now, keep=is_jobs)
            if not names and not is_jobs and Path(folder) != self._folder:
                with suppress(OSError):  # there is something in it again
                    if now - os.stat(folder).st_mtime > KEPT_SECONDS:
                        os.rmdir(folder)
        before = time.monotonic() - KEPT_SECONDS
        with self._lock:
            self._measured = total
            for visitor, entries in list(self._brought.items()):
                while entries and entries[0][0] < before:
                    entries.popleft()
                if not entries:
                    del self._brought[visitor]

    @staticmethod
    def _size(path: str, now: float, keep: bool) -> int:
        status = os.stat(path, follow_symlinks=False)
        if not keep and now - status.st_ctime > KEPT_SECONDS:
            os.unlink(path)
            return 0
        return max(status.st_size, _LEAST)

    def _check_visitor(self, visitor: str, more: float) -> None:
        kept = sum(size for _, size in self._brought.get(visitor, ()))
        if kept + more > self._limits.kept:
            raise GanEditError(
                "too_much_kept",
                f"This server keeps {self._limits.kept / 1e6:.0f} MB of each visitor's pictures; with this one yours "
                "would be more.",
                "Try a smaller one, or again in half an hour, when the others are gone.",
            )
