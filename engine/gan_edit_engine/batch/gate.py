"""How much may go on at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gan_edit_protocol.errors import JobCancelledError

_LOOK_SECONDS = 0.1


class Gate:
    """Lets through what is within ``limit`` in all; one that is alone may be larger. For several threads."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._inside = 0
        self._changed = threading.Condition()

    @property
    def inside(self) -> int:
        """How much there is at the moment."""
        return self._inside

    @contextmanager
    def passed(self, amount: int, cancelled: Callable[[], bool]) -> Iterator[None]:
        """Wait until there is room for ``amount``, which is taken inside; JobCancelledError when ``cancelled``."""
        with self._changed:
            while self._inside and self._inside + amount > self.limit:
                if cancelled():
                    raise JobCancelledError
                self._changed.wait(_LOOK_SECONDS)
            self._inside += amount
        try:
            yield
        finally:
            with self._changed:
                self._inside -= amount
                self._changed.notify_all()
