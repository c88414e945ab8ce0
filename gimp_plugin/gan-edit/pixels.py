"""Pixels between GIMP's buffers and the protocol's arrays, in the image's own colour space and depth.

Engine arrays are gamma-encoded R'G'B'(A). A layer whose own format is one of those is copied as it is, bit for bit;
everything else (gray, indexed, linear, half or 32-bit integer) is converted by babl to the nearest of them.
"""

from __future__ import annotations

import gi

gi.require_version("Babl", "0.1")
gi.require_version("Gegl", "0.4")

from gi.repository import Babl, Gegl, Gimp  # noqa: E402  (after require_version)

from gan_edit_protocol.errors import GanEditError  # noqa: E402
from gan_edit_protocol.messages import Array  # noqa: E402

BABL_TYPES = {"uint8": "u8", "uint16": "u16", "float32": "float"}
DTYPES = {
    Gimp.Precision.U8_NON_LINEAR: "uint8",
    Gimp.Precision.U8_PERCEPTUAL: "uint8",
    Gimp.Precision.U16_NON_LINEAR: "uint16",
    Gimp.Precision.U16_PERCEPTUAL: "uint16",
}
"""Image precisions that fit an integer array; linear, floating-point and 32-bit ones need float32."""

SELECTION_FORMAT = "Y u8"
"""How selections and layer masks are stored; Y' would bend feathered edges."""


def read_photo(layer: Gimp.Layer) -> Array:
    """The whole layer, H×W×3, or ×4 when it has an alpha channel, at the depth of its image."""
    width, height = layer.get_width(), layer.get_height()
    dtype = DTYPES.get(layer.get_image().get_precision(), "float32")
    channels = 4 if layer.has_alpha() else 3
    data = _read(layer, (0, 0, width, height), color_format(layer, dtype, channels))
    return Array(dtype, (height, width, channels), data)


def read_scribble(scribble: Gimp.Layer, photo: Gimp.Layer) -> Array:
    """The scribble over the photo's rectangle, H×W×4 uint8; transparent where the scribble layer does not reach."""
    return read_paint(scribble, (*offsets(photo), photo.get_width(), photo.get_height()))


def read_paint(scribble: Gimp.Layer, rectangle: tuple[int, int, int, int]) -> Array:
    """The same over a rectangle (x, y, width, height) of the image."""
    left, top, width, height = rectangle
    scribble_x, scribble_y = offsets(scribble)
    inside = (left - scribble_x, top - scribble_y, width, height)
    return Array("uint8", (height, width, 4), _read(scribble, inside, color_format(scribble, "uint8", 4)))


def read_selection(image: Gimp.Image, photo: Gimp.Layer) -> Array | None:
    """The selection over the photo's rectangle, H×W uint8 with its feather; None when nothing is selected."""
    if Gimp.Selection.is_empty(image):
        return None
    width, height = photo.get_width(), photo.get_height()
    data = _read(image.get_selection(), (*offsets(photo), width, height), SELECTION_FORMAT)
    return Array("uint8", (height, width), data)


def write_colors(layer: Gimp.Layer, pixels: Array) -> None:
    """Fill ``layer``, which has the size of ``pixels`` (h×w×3 or 4), converting to the layer's own format."""
    _write(layer, pixels.data, color_format(layer, pixels.dtype, pixels.shape[2]), pixels.shape)


def write_mask(mask: Gimp.LayerMask, pixels: Array) -> None:
    """Fill a layer mask, which has the size of ``pixels`` (h×w uint8)."""
    _write(mask, pixels.data, SELECTION_FORMAT, (*pixels.shape, 1))


def any_painted(scribble: Array, mask: Array | None) -> bool:
    """Whether a pixel with alpha above zero lies where the mask is above zero."""
    present = bytes([0]) + bytes([255]) * 255
    alpha = scribble.data[3::4].translate(present)
    if mask is None:
        return any(alpha)
    both = int.from_bytes(alpha, "little") & int.from_bytes(mask.data.translate(present), "little")
    return both != 0


def offsets(drawable: Gimp.Drawable) -> tuple[int, int]:
    """Where the drawable's top left corner lies in its image."""
    _, x, y = drawable.get_offsets()
    return x, y


def color_format(layer: Gimp.Layer, dtype: str, channels: int) -> str:
    """babl's name of a gamma-encoded colour format in the colour space of the layer's image.

    Gray images have a gray space, in which colours mean nothing: those are converted from and to sRGB.
    """
    encoding = f"R'G'B'{'A' if channels == 4 else ''} {BABL_TYPES[dtype]}"
    if layer.is_gray():
        return encoding
    space = Babl.format_get_space(layer.get_format())
    return str(Babl.get_name(Babl.format_with_space(encoding, space)))


def _read(drawable: Gimp.Drawable, rectangle: tuple[int, int, int, int], babl_format: str) -> bytes:
    data = drawable.get_buffer().get(
        Gegl.Rectangle.new(*rectangle), 1.0, babl_format, Gegl.AbyssPolicy.NONE
    )  # fmt: skip
    return bytes(data)


def _write(drawable: Gimp.Drawable, data: bytes, babl_format: str, shape: tuple[int, ...]) -> None:
    height, width = shape[:2]
    buffer = drawable.get_buffer()
    # GEGL ignores data of a wrong length without a word, so the size is checked here.
    if (drawable.get_width(), drawable.get_height()) != (width, height):
        raise GanEditError(
            "bad_result", f"The engine's image of {width}×{height} pixels does not fit the new layer.", "Try again."
        )
    buffer.set(Gegl.Rectangle.new(0, 0, width, height), babl_format, data)
    buffer.flush()
    drawable.update(0, 0, width, height)
