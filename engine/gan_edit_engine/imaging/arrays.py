"""numpy arrays to and from the protocol's arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gan_edit_protocol.arrays import Array


def to_message(values: NDArray[np.generic]) -> Array:
    """uint8, uint16 or float32 values as the protocol carries them; WireError for other types."""
    little_endian = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"), copy=False)
    return Array(values.dtype.name, tuple(values.shape), little_endian.tobytes())


def from_message(array: Array) -> NDArray[np.generic]:
    """The values of a protocol's array, read-only."""
    return np.frombuffer(array.data, dtype=np.dtype(array.dtype).newbyteorder("<")).reshape(array.shape)
