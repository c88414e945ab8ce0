"""What the service sees of the world around it: its connection file, the processes that use it, the models folder.

To look takes a file descriptor, and anybody on the machine can take them all for a while by opening connections. So
what cannot be looked at counts as it was: only what is seen to have changed has changed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil

from gan_edit_engine.library.models_folder import model_names
from gan_edit_protocol import connection
from gan_edit_protocol.connection import Connection
from gan_edit_protocol.errors import EngineUnavailableError

_Seen = TypeVar("_Seen")
_log = logging.getLogger("gan_edit.surroundings")


class Surroundings:
    """``connection_file``: where clients look for the engine. ``end_with``: its first user; None: they don't count."""

    def __init__(self, connection_file: Path, end_with: int | None) -> None:
        self._connection_file = connection_file
        self._users_count = end_with is not None
        self._users: dict[int, psutil.Process] = {}
        self._hidden: set[str] = set()
        self._models: tuple[str, ...] = ()
        self.add_user(end_with)
        self.model_names()  # known from the start, should the first who asks do so when the folder is out of sight

    def is_published(self, own: Connection) -> bool:
        """Whether the connection file still leads clients to ``own``."""

        def look() -> bool:
            try:
                return connection.load(self._connection_file) == own
            except (FileNotFoundError, NotADirectoryError, EngineUnavailableError):
                return False

        return self._look("the connection file", look, as_it_was=True)

    def add_user(self, pid: int | None) -> None:
        """A process for whose sake the engine goes on, where it ends with the last of its users; None is none."""
        if pid is not None and self._users_count:
            process = self._look("a user", lambda: _process(pid), as_it_was=None)
            self._users.update({} if process is None else {pid: process})

    def is_used(self) -> bool:
        """Whether the process of any user runs, which counts as so where users do not count."""
        return not self._users_count or self._look("the users", self._any_user_lives, as_it_was=True)

    def _any_user_lives(self) -> bool:
        self._users = {pid: process for pid, process in self._users.items() if _lives(process)}
        return bool(self._users)

    def model_names(self) -> tuple[str, ...]:
        """As of ``models_folder``."""
        self._models = self._look("the models folder", model_names, as_it_was=self._models)
        return self._models

    def _look(self, at: str, look: Callable[[], _Seen], as_it_was: _Seen) -> _Seen:
        try:
            seen = look()
        except (OSError, psutil.Error) as error:
            if at not in self._hidden:  # once, for this may go on for as long as somebody likes
                _log.warning("%s cannot be looked at and counts as it was: %s", at, error)
            self._hidden.add(at)
            return as_it_was
        self._hidden.discard(at)
        return seen


def lives(pid: int) -> bool:
    """Whether a process of this number runs, which counts as so where it cannot be looked at."""
    try:
        process = _process(pid)
        return process is not None and _lives(process)
    except (OSError, psutil.Error):
        return True


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


def _lives(process: psutil.Process) -> bool:
    # is_running() compares start times too, so that a number given to a new process does not deceive it.
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
