"""Whole messages as texts, and what is none."""

from __future__ import annotations

import base64
import math
import random
import struct
import zlib

import pytest

from gan_edit_protocol import wire
from gan_edit_protocol.arrays import ITEM_SIZES, Array
from gan_edit_protocol.errors import WireError
from gan_edit_protocol.events import ResultReady
from gan_edit_protocol.latent import Latent
from gan_edit_protocol.packing import packed, unpacked
from gan_edit_protocol.requests import FindRequest

FRAMES = [b'{"version": 2}', b"", bytes(range(256)) * 100]


def test_a_message_comes_back_as_it_was() -> None:
    text = packed(FRAMES)
    assert text.isascii()
    assert unpacked(text, 1 << 20) == FRAMES
    assert len(text) < sum(map(len, FRAMES)) / 10


@pytest.mark.parametrize(("dtype", "shape"), [
    ("uint8", (61, 47, 3)), ("uint8", (400, 3)), ("uint8", (3, 40, 50, 3)), ("uint16", (300, 400, 4)), ("uint8", (9,)),
    ("uint8", (65_000,)), ("float32", (14, 512)), ("uint8", (2, 600_000 // 12, 3)), ("uint16", (9, 50_000, 3)),
])  # fmt: skip
@pytest.mark.parametrize("seed", [None, 5])
def test_pictures_come_back_as_they_were(dtype: str, shape: tuple[int, ...], seed: int | None) -> None:
    picture = Array(dtype, shape, _content(math.prod(shape) * ITEM_SIZES[dtype], seed))
    frames = wire.encode("a" * 32, FindRequest(picture) if len(shape) == 3 else _holding(picture))
    assert unpacked(packed(frames), 1 << 26) == frames


def test_a_photo_takes_a_fifth_less_than_by_zlib() -> None:
    skimage = pytest.importorskip("skimage.data")
    for photo in (skimage.astronaut(), skimage.coffee(), skimage.chelsea()):
        frames = wire.encode("a" * 32, FindRequest(Array(str(photo.dtype), photo.shape, photo.tobytes())))
        plain = len(base64.b64encode(zlib.compress(photo.tobytes(), 1)))
        assert len(packed(frames)) < 0.8 * plain
        assert unpacked(packed(frames), 1 << 26) == frames


def test_a_picture_that_rows_do_not_make_smaller_is_left_as_it_is() -> None:
    noise = random.Random(3)
    rows = [bytes(noise.randrange(256) for _ in range(60)) * 5 for _ in range(100)]
    picture = wire.encode("a" * 32, FindRequest(Array("uint8", (100, 100, 3), b"".join(rows))))
    assert len(packed(picture)) < 1.1 * len(base64.b64encode(zlib.compress(b"".join(rows), 1))) + 1000


def _content(size: int, seed: int | None) -> bytes:
    """A slope, whose values go over the highest one and begin again; or noise."""
    if seed is None:
        return bytes(number * 7 // 5 % 256 for number in range(size))
    return random.Random(seed).randbytes(size)


def _holding(array: Array) -> ResultReady:
    return ResultReady(Array("uint8", (1, 1, 3), b"abc"), Latent(Array("float32", (1, 1), bytes(4))), mask=array)


def test_a_message_is_not_unpacked_further_than_allowed() -> None:
    bomb = packed([bytes(50_000_000)])
    assert len(bomb) < 400_000
    with pytest.raises(WireError) as caught:
        unpacked(bomb, 1_000_000)
    assert caught.value.code == "too_large"


def test_what_is_no_message_is_refused() -> None:
    good = packed(FRAMES)
    inner = base64.b64decode(good)
    wrong = ["", "x", "é", good[:-8], good.lower(), *map(_text, (b"", inner[:-1], inner + b"x", b"\x02", b"\xff" * 99))]
    wrong += [base64.b64encode(zlib.compress(inner)).decode()]
    for text in wrong:
        with pytest.raises(WireError):
            unpacked(text, 1 << 20)


@pytest.mark.parametrize(("item", "row"), [(1, 1), (0, 30), (3, 30), (2, 15), (1, 100_001), (1, 1 << 31)])
def test_rows_that_no_picture_has_are_refused(item: int, row: int) -> None:
    content = zlib.compress(bytes(100_000))
    with pytest.raises(WireError):
        unpacked(_text(b"\x02" + struct.pack("<QQBI", len(content), 100_000, item, row) + content), 1 << 20)


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
