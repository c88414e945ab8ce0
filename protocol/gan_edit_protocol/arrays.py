"""Photos, masks and latents as they travel: raw bytes with a dtype and a shape.

Neither side needs the other's array library.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from .errors import WireError

ITEM_SIZES = {"uint8": 1, "uint16": 2, "float32": 4}
MAX_SIDE = 65_536
"""Longest side of an array."""
MAX_ARRAY_BYTES = 1 << 30


@dataclass(frozen=True)
class Array:
    """``data`` is C-contiguous, little-endian, of ``dtype`` (uint8, uint16, float32) and ``shape``.

    Raises :class:`WireError` when made with a length that does not fit its shape.
    """

    dtype: str
    shape: tuple[int, ...]
    data: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if array_bytes(self.dtype, self.shape) != len(self.data):
            raise WireError(f"An array of shape {self.shape} and type {self.dtype} came with {len(self.data)} bytes.")

    def parts(self) -> list[Array]:
        """An array [N, …] as N arrays."""
        count, *shape = self.shape
        size = len(self.data) // count
        return [Array(self.dtype, tuple(shape), self.data[n * size : (n + 1) * size]) for n in range(count)]


def array_bytes(dtype: str, shape: tuple[int, ...]) -> int:
    """The number of bytes an array must have; :class:`WireError` when dtype or shape are not allowed."""
    if dtype not in ITEM_SIZES:
        raise WireError(f"The array type {reprlib.repr(dtype)} is unknown.")
    if not 1 <= len(shape) <= 4 or any(not 1 <= side <= MAX_SIDE for side in shape):
        raise WireError(f"The array shape {reprlib.repr(shape)} is not allowed.")
    size = math.prod(shape) * ITEM_SIZES[dtype]
    if size > MAX_ARRAY_BYTES:
        raise WireError(f"An array of shape {shape} is larger than {MAX_ARRAY_BYTES >> 20} MiB.")
    return size


def stacked(parts: Sequence[Array]) -> Array:
    """Arrays of one type and shape as one array [N, …]."""
    return Array(parts[0].dtype, (len(parts), *parts[0].shape), b"".join(part.data for part in parts))
