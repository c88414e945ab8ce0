"""A latent inside the PNG that was made of it: as JSON in a compressed text chunk, which other programs pass over."""

from __future__ import annotations

import json
import zlib

from gan_edit_engine.imaging.image_formats import decoding, open_image
from gan_edit_engine.imaging.picture_notes import chunk
from gan_edit_protocol.latent import Latent

_KEYWORD = "gan-edit-latent"
_PNG = b"\x89PNG\r\n\x1a\n"


def is_png(start: bytes) -> bool:
    """Whether a file that begins so is a PNG."""
    return start.startswith(_PNG)


def with_latent(png: bytes, latent: Latent) -> bytes:
    """The PNG with the latent behind its header, of always 33 bytes (PNG specification, third edition, 11.3.3.3)."""
    content = zlib.compress(json.dumps(latent.to_json()).encode())
    return png[:33] + chunk(b"zTXt", _KEYWORD.encode() + b"\0\0" + content) + png[33:]


def latent_in(png: bytes, name: str) -> Latent | None:
    """What :func:`with_latent` put in; None where there is none.

    GanEditError when the file ``name`` is damaged, and ValueError when its latent is.
    """
    with decoding(name):
        text = open_image(png, name).info.get(_KEYWORD)
    if not isinstance(text, str):
        return None
    values = json.loads(text)
    if not isinstance(values, dict):
        raise ValueError("no latent: not an object")
    return Latent.from_json(values)
