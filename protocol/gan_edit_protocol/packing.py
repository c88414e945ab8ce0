"""A whole message as one text, for ways that carry texts: its frames as a relay carries them, compressed, in base64."""

from __future__ import annotations

import base64
import binascii
import io
import zlib

from .errors import WireError
from .transport import read_message, write_message

_LEVEL = 1  # photos hardly get smaller by more work


def packed(frames: list[bytes]) -> str:
    """The text of a message."""
    stream = io.BytesIO()
    write_message(stream, frames)
    return base64.b64encode(zlib.compress(stream.getbuffer(), _LEVEL)).decode("ascii")


def unpacked(text: str, most: int) -> list[bytes]:
    """The frames that :func:`packed` was given; :class:`WireError` when it gave no such text.

    Also when they would take more than ``most`` bytes, before there are more.
    """
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(base64.b64decode(text, validate=True), most + 1)
    except (binascii.Error, ValueError, zlib.error):
        raise WireError("The text is no packed message.") from None
    if len(content) > most:
        raise WireError(f"The message takes more than {most / 1e6:.0f} MB.", code="too_large")
    if not unpacker.eof or unpacker.unused_data:
        raise WireError("The packed message ends early or goes on.")
    stream = io.BytesIO(content)
    frames = read_message(stream)
    if frames is None or stream.read(1):
        raise WireError("The text is not one packed message.")
    return frames
