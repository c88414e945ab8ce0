"""What was used last, and no more than so many."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")


class Recent(Generic[KeyT, ValueT]):
    """Values by key, of which the ``most`` that were used last are kept."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[KeyT, ValueT] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: KeyT, make: Callable[[], ValueT]) -> ValueT:
        """The value of ``key``; what ``make`` gives where it is not kept. Nothing is kept when that raises."""
        if key not in self._values:
            while len(self._values) >= self._most:  # before making: there need never be room for one more
                self._values.popitem(last=False)
            self._values[key] = make()
        self._values.move_to_end(key)
        return self._values[key]

    def put(self, key: KeyT, value: ValueT) -> None:
        """Keep ``value`` in the place of the one that :meth:`get` gave for ``key``."""
        self._values[key] = value
