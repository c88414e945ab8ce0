"""The engines that do the work: this computer's, and those of the servers that ``gan-edit connect`` knows."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gan_edit_protocol import launch, remote
from gan_edit_protocol.client import Client

LOCAL = "local"
LOCAL_SHOWN = "This computer"


def meant_engine(text: str) -> str:
    """``LOCAL``, or a server's address as ``gan-edit connect`` keeps it."""
    return text.strip().rstrip("/") or LOCAL


class Engines:
    """Clients of any of them, for as many threads as there are.

    The way to a server takes seconds, so it is kept for the next who asks, until the plug-in ends.
    """

    def __init__(self, command: launch.EngineCommand) -> None:
        self.command = command
        self._idle: dict[str, Client] = {}
        self._lock = threading.Lock()

    def servers(self) -> tuple[str, ...]:
        """The addresses of those known here; GanEditError when the file that keeps them cannot be trusted."""
        return remote.known(remote.path_beside(self.command.connection_file))

    @contextmanager
    def client(self, engine: str, waiting: Callable[[float], None] = lambda seconds: None) -> Iterator[Client]:
        """A client of ``engine``, for one thread.

        This computer's engine is started when none answers; it ends with GIMP and its other users.
        ``waiting(seconds)`` is called a few times a second until it is there; an exception from it stops the wait.
        """
        if engine == LOCAL:
            with launch.connect_or_start(self.command, os.getppid(), waiting) as client:
                yield client
            return
        with self._lock:
            kept = self._idle.pop(engine, None)
        client = kept or launch.connect_to_server(self.command, engine, waiting)
        try:
            yield client
        except BaseException:
            client.close()
            raise
        with self._lock:
            spare = self._idle.get(engine)
            self._idle[engine] = client
        if spare is not None:
            spare.close()
