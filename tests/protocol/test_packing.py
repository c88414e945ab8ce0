"""Whole messages as texts, and what is none."""

from __future__ import annotations

import base64
import zlib

import pytest

from gan_edit_protocol.errors import WireError
from gan_edit_protocol.packing import packed, unpacked

FRAMES = [b'{"version": 2}', b"", bytes(range(256)) * 100]


def test_a_message_comes_back_as_it_was() -> None:
    text = packed(FRAMES)
    assert text.isascii()
    assert unpacked(text, 1 << 20) == FRAMES
    assert len(text) < sum(map(len, FRAMES)) / 10


def test_a_message_is_not_unpacked_further_than_allowed() -> None:
    bomb = packed([bytes(50_000_000)])
    assert len(bomb) < 400_000
    with pytest.raises(WireError) as caught:
        unpacked(bomb, 1_000_000)
    assert caught.value.code == "too_large"


def test_what_is_no_message_is_refused() -> None:
    good = packed(FRAMES)
    inner = zlib.decompress(base64.b64decode(good))
    wrong = [
        "",
        "x",
        "é",
        good[:-8],
        good + good,
        good.lower(),
        *map(_text, (b"", inner[:-1], inner + b"x", b"\xff" * 9)),
    ]
    for text in wrong:
        with pytest.raises(WireError):
            unpacked(text, 1 << 20)


def _text(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content)).decode()
