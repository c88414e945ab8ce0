"""Transparency: where the pixels of an array or of a layer are see-through."""

from __future__ import annotations

import gi

gi.require_version("Gegl", "0.4")

from gi.repository import Gegl, Gimp  # noqa: E402  (after require_version)

from gan_edit_protocol.arrays import Array  # noqa: E402

OPAQUE = {"uint8": b"\xff", "uint16": b"\xff\xff", "float32": b"\x00\x00\x80\x3f"}
"""The alpha of an opaque pixel, as the protocol's little-endian bytes."""

PRESENT = bytes([0]) + bytes([255]) * 255
"""Translates a byte to 255 unless it is 0."""


def is_translucent(pixels: Array) -> bool:
    """Whether an array of h×w×3 or 4 has a pixel that is not opaque."""
    return pixels.shape[2] == 4 and any(
        plane.count(byte) < len(plane) for plane, byte in zip(_alpha_planes(pixels), OPAQUE[pixels.dtype], strict=True)
    )


def solid(pixels: Array) -> Array:
    """An array of h×w×4 with every pixel opaque that is not wholly transparent."""
    planes = [int.from_bytes(plane.translate(PRESENT), "little") for plane in _alpha_planes(pixels)]
    count = pixels.shape[0] * pixels.shape[1]
    present = 0
    for plane in planes:
        present |= plane
    flags = present.to_bytes(count, "little")
    data = bytearray(pixels.data)
    opaque = OPAQUE[pixels.dtype]
    for number, byte in enumerate(opaque):
        data[3 * len(opaque) + number :: 4 * len(opaque)] = flags.translate(bytes([0, *[byte] * 255]))
    return Array(pixels.dtype, pixels.shape, bytes(data))


def shows_through(layer: Gimp.Layer) -> bool:
    """Whether a pixel of the layer is not opaque, by its alpha channel."""
    if not layer.has_alpha():
        return False
    area = Gegl.Rectangle.new(0, 0, layer.get_width(), layer.get_height())
    alpha = bytes(layer.get_buffer().get(area, 1.0, "A u8", Gegl.AbyssPolicy.NONE))
    return alpha.count(b"\xff") < len(alpha)


def _alpha_planes(pixels: Array) -> list[bytes]:
    """The bytes of all pixels' alpha, the first ones, the second ones and so on."""
    size = len(OPAQUE[pixels.dtype])
    return [bytes(pixels.data[3 * size + number :: 4 * size]) for number in range(size)]
