"""Messages on a byte stream, as the relay and the worker's pipes carry them."""

from __future__ import annotations

import io
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan_edit_protocol.errors import WireError
from gan_edit_protocol.transport import read_message, write_message
from gan_edit_protocol.wire import FRAME_BYTES

messages = st.lists(st.binary(max_size=100), min_size=1, max_size=9)


def written(*all_frames: list[bytes]) -> io.BytesIO:
    stream = io.BytesIO()
    for frames in all_frames:
        write_message(stream, frames)
    stream.seek(0)
    return stream


@given(st.lists(messages, max_size=4))
def test_messages_are_read_as_they_were_written(all_frames: list[list[bytes]]) -> None:
    stream = written(*all_frames)
    assert [read_message(stream) for _ in all_frames] == all_frames
    assert read_message(stream) is None


@given(messages, st.data())
def test_a_stream_that_ends_inside_a_message_is_an_error(frames: list[bytes], data: st.DataObject) -> None:
    whole = written(frames).getvalue()
    cut = data.draw(st.integers(1, len(whole) - 1))
    with pytest.raises(WireError):
        read_message(io.BytesIO(whole[:cut]))


@pytest.mark.parametrize("count", [0, 130, 2**32 - 1])
def test_an_impossible_number_of_frames_is_an_error(count: int) -> None:
    with pytest.raises(WireError, match="number of frames"):
        read_message(io.BytesIO(struct.pack("<I", count) + bytes(1000)))


def test_an_impossible_length_is_an_error_before_anything_is_read() -> None:
    with pytest.raises(WireError, match="length"):
        read_message(io.BytesIO(struct.pack("<IQ", 1, FRAME_BYTES + 1)))


@given(st.binary(max_size=300))
def test_a_random_stream_never_raises_anything_but_a_named_error(data: bytes) -> None:
    stream = io.BytesIO(data)
    with suppress(WireError):
        while read_message(stream) is not None:
            pass
    assert stream.tell() <= len(data)
