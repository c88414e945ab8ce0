"""Of finds that lie on one another the best alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TypeVar

FindT = TypeVar("FindT")

_APART = 0.5  # sizes, of the larger one, by which the centres of two finds differ at least


def apart(
    finds: Iterable[FindT], worth: Callable[[FindT], float], place: Callable[[FindT], tuple[float, float, float]]
) -> list[FindT]:
    """Best first by their ``worth``. ``place``: x and y of a find's centre, and its size."""
    kept: list[tuple[FindT, tuple[float, float, float]]] = []
    for one in sorted(finds, key=lambda find: -worth(find)):
        x, y, size = place(one)
        if all(math.hypot(x - u, y - v) >= _APART * max(size, other) for _, (u, v, other) in kept):
            kept.append((one, (x, y, size)))
    return [one for one, _ in kept]
