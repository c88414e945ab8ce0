"""Each visitor's one way to the engine, which lets its clients take turns: so it is visitors who do, not their jobs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from gan_edit_protocol.client import Client
from gan_edit_protocol.errors import EngineUnavailableError


@dataclass(eq=False)
class _Line:
    """Open while it has ``users``; connected by the first of them. ``part`` makes each a client of its own."""

    users: int = 0
    part: Callable[[], Client] | None = None
    connecting: threading.Lock = field(default_factory=threading.Lock)
    open: ExitStack = field(default_factory=ExitStack)


class Lines:
    """``connect`` gives a client of the engine. For several threads."""

    def __init__(self, connect: Callable[[], Client]) -> None:
        self._connect = connect
        self._lines: dict[str, _Line] = {}
        self._lock = threading.Lock()

    @contextmanager
    def client_of(self, visitor: str) -> Iterator[Client]:
        """A client for one job; with the last one of a visitor's at the same time the way is closed.

        A way that is lost fails all the jobs that use it; the next one goes by another.
        """
        with self._lock:
            line = self._lines.setdefault(visitor, _Line())
            line.users += 1
        try:
            with self._part(line) as client:
                yield client
        except EngineUnavailableError:
            with self._lock:
                self._forget(visitor, line)
            raise
        finally:
            with self._lock:
                line.users -= 1
                if is_last := not line.users:
                    self._forget(visitor, line)
            if is_last:
                line.open.close()

    def _part(self, line: _Line) -> Client:
        with line.connecting:
            if line.part is None:
                client = line.open.enter_context(self._connect())
                line.part = line.open.enter_context(client.shared())
            return line.part()

    def _forget(self, visitor: str, line: _Line) -> None:
        if self._lines.get(visitor) is line:
            del self._lines[visitor]
