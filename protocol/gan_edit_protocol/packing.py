"""A whole message as one text, for ways that carry texts: its frames, compressed, in base64.

Pictures are compressed as PNG does it where that is smaller: each row less the one above it (the filter "Up" of the PNG
specification, third edition, 9.2), and of what is left only runs are looked for. A million bytes are one number here,
because Python's own whole numbers are the one fast arithmetic that every Python has.
"""

from __future__ import annotations

import base64
import binascii
import functools
import itertools
import json
import math
import struct
import zlib
from collections.abc import Iterator

from .arrays import ITEM_SIZES, MAX_SIDE, array_bytes
from .errors import GanEditError, WireError
from .wire import FRAME_BYTES, MAX_FRAMES

_VERSION = b"\x02"
"""The first byte of what was packed so; that of the first version was zlib's."""
_FRAME = struct.Struct("<QQBI")
"""Before each frame: its packed length, its length, the bytes of an item and of a row (0: rows were not filtered)."""
_PLAIN = (1, 0)
_LEVEL = 1  # photos hardly get smaller by more work
_CHUNK = 1 << 20
_SAMPLE = 1 << 16


def packed(frames: list[bytes]) -> str:
    """The text of a message."""
    parts = [_VERSION]
    rows = itertools.chain([_PLAIN], _rows(frames), itertools.repeat(_PLAIN))
    for frame, (item, row) in zip(frames, rows, strict=False):
        used = row if _filters_well(frame, item, row) else 0
        content = b"".join(_compressed(frame, item, used))
        parts += [_FRAME.pack(len(content), len(frame), item, used), content]
    return base64.b64encode(b"".join(parts)).decode("ascii")


def unpacked(text: str, most: int) -> list[bytes]:
    """The frames that :func:`packed` was given; :class:`WireError` when it gave no such text.

    Also when they would take more than ``most`` bytes, before there are more.
    """
    try:
        content = memoryview(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        content = memoryview(b"")
    if content[:1] != _VERSION:
        raise WireError("The text is no packed message.")
    frames: list[bytes] = []
    left, at = most, len(_VERSION)
    while at < len(content):
        if len(frames) == MAX_FRAMES or len(content) - at < _FRAME.size:
            raise WireError("The text is not one packed message.")
        length, size, item, row = _FRAME.unpack_from(content, at)
        at += _FRAME.size
        if size > left:
            raise WireError(f"The message takes more than {most / 1e6:.0f} MB.", code="too_large")
        if size > FRAME_BYTES or length > len(content) - at or not _is_row(size, item, row):
            raise WireError("The packed message ends early or goes on.")
        frames.append(_decompressed(content[at : at + length], size, item, row))
        at, left = at + length, left - size
    if not frames:
        raise WireError("The text is not one packed message.")
    return frames


def _rows(frames: list[bytes]) -> Iterator[tuple[int, int]]:
    """Of each frame behind the header: the bytes of an item and of a row, as the header says; row 0 where none is."""
    try:
        announced = json.loads(bytes(frames[0]))["arrays"]
        for _, dtype, shape in announced:
            count = -(-array_bytes(dtype, tuple(shape)) // FRAME_BYTES)
            item = ITEM_SIZES[dtype]
            row = math.prod(shape[max(1, len(shape) - 2) :]) * item
            is_picture = dtype != "float32" and len(shape) > 1
            yield from [(item, row if is_picture else 0)] * count
    except (ValueError, KeyError, TypeError, GanEditError):
        return  # no message of the protocol, which has other frames


def _is_row(size: int, item: int, row: int) -> bool:
    """Whether rows of so many bytes can be put together again, one after the other, in good time."""
    return row == 0 or (item in (1, 2) and row % item == 0 and 0 < row <= min(size, _CHUNK) and size <= row * MAX_SIDE)


def _filters_well(frame: bytes, item: int, row: int) -> bool:
    """Whether it is the better way for a part of the frame's middle."""
    if row == 0 or not _is_row(len(frame), item, row):
        return False
    start = max(row, len(frame) // 2 // row * row)
    part = frame[start - row : start + max(row, _SAMPLE // row * row)]
    filtered = sum(map(len, _compressed(part, item, row)))
    return filtered < sum(map(len, _compressed(part, item, 0)))


def _compressed(frame: bytes, item: int, row: int) -> Iterator[bytes]:
    if row == 0:
        yield zlib.compress(frame, _LEVEL)
        return
    packer = zlib.compressobj(_LEVEL, strategy=zlib.Z_RLE)
    for start in range(0, len(frame), _CHUNK):
        part = frame[start : start + _CHUNK]
        above = frame[max(0, start - row) : max(0, start - row + len(part))]
        # The first row has nothing above it.
        yield packer.compress(_differences(part, bytes(max(0, row - start))[: len(part)] + bytes(above), item))
    yield packer.flush()


def _decompressed(content: memoryview, size: int, item: int, row: int) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        frame = unpacker.decompress(content, size + 1)
    except zlib.error:
        raise WireError("The text is no packed message.") from None
    if len(frame) != size or not unpacker.eof or unpacker.unused_data:
        raise WireError("The packed message ends early or goes on.")
    return frame if row == 0 else b"".join(_summed(frame, item, row))


def _differences(these: bytes, those: bytes, item: int) -> bytes:
    """Each item less the other one, in its own bits: the borrow of its highest bit is kept from the next item."""
    count = len(these)
    a, b, top = int.from_bytes(these, "little"), int.from_bytes(those, "little"), _top_bits(count, item)
    rest = _lower_bits(count, item)
    return ((a | top) - (b & rest) ^ ((a ^ b ^ top) & top)).to_bytes(count, "little")


def _summed(frame: bytes, item: int, row: int) -> Iterator[bytes]:
    """Each row with the one above it added, in the items' own bits."""
    above = 0
    for start in range(0, len(frame), row):
        part = frame[start : start + row]
        top, rest = _top_bits(row, item), _lower_bits(row, item)
        these = int.from_bytes(part, "little")
        above = (these & rest) + (above & rest) ^ ((these ^ above) & top)
        yield above.to_bytes(row, "little")[: len(part)]


@functools.lru_cache(4)
def _top_bits(count: int, item: int) -> int:
    """The highest bit of each item in ``count`` bytes."""
    return int.from_bytes((bytes(item - 1) + b"\x80") * (count // item), "little")


@functools.lru_cache(4)
def _lower_bits(count: int, item: int) -> int:
    return int.from_bytes((b"\xff" * (item - 1) + b"\x7f") * (count // item), "little")
