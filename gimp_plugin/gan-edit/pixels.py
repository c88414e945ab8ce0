"""Pixels between GIMP's buffers and the protocol's arrays, in the image's own colour space and depth.

Engine arrays are gamma-encoded R'G'B'(A). A layer whose own format is one of those is copied as it is, bit for bit;
everything else (gray, indexed, linear, half or 32-bit integer) is converted by babl to the nearest of them.
"""

from __future__ import annotations

import math

import gi

gi.require_version("Babl", "0.1")
gi.require_version("Gegl", "0.4")

from gi.repository import Babl, Gegl, Gimp  # noqa: E402  (after require_version)

from gan_edit_protocol.arrays import Array  # noqa: E402
from gan_edit_protocol.errors import GanEditError  # noqa: E402
from gan_edit_protocol.geometry import Box  # noqa: E402

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


def read_photo(layer: Gimp.Layer, part: Box) -> Array:
    """A part of the layer, H×W×3, or ×4 when it has an alpha channel, at the depth of its image."""
    dtype, channels = photo_format(layer)
    data = _read(layer, (part.x, part.y, part.width, part.height), color_format(layer, dtype, channels))
    return Array(dtype, (part.height, part.width, channels), data)


def photo_format(layer: Gimp.Layer) -> tuple[str, int]:
    """The dtype and number of channels as which a layer is read."""
    return DTYPES.get(layer.get_image().get_precision(), "float32"), 4 if layer.has_alpha() else 3


def read_scribble(scribble: Gimp.Layer, photo: Gimp.Layer, part: Box) -> Array:
    """The scribble over a part of the photo, H×W×4 uint8; transparent where the scribble layer does not reach."""
    left, top = offsets(photo)
    return read_paint(scribble, (left + part.x, top + part.y, part.width, part.height))


def read_paint(scribble: Gimp.Layer, rectangle: tuple[int, int, int, int]) -> Array:
    """The same over a rectangle (x, y, width, height) of the image."""
    left, top, width, height = rectangle
    scribble_x, scribble_y = offsets(scribble)
    inside = (left - scribble_x, top - scribble_y, width, height)
    return Array("uint8", (height, width, 4), _read(scribble, inside, color_format(scribble, "uint8", 4)))


def read_selection(image: Gimp.Image, photo: Gimp.Layer, part: Box) -> Array:
    """The selection over a part of the photo, H×W uint8 with its feather."""
    left, top = offsets(photo)
    rectangle = (left + part.x, top + part.y, part.width, part.height)
    data = _read(image.get_selection(), rectangle, SELECTION_FORMAT)
    return Array("uint8", (part.height, part.width), data)


def selected_box(image: Gimp.Image, photo: Gimp.Layer) -> Box | None:
    """The smallest box of the photo's pixels around all of the selection on it; None when none of it lies there."""
    _, _, x1, y1, x2, y2 = Gimp.Selection.bounds(image)
    left, top = offsets(photo)
    x1, y1 = max(x1 - left, 0), max(y1 - top, 0)
    x2, y2 = min(x2 - left, photo.get_width()), min(y2 - top, photo.get_height())
    if x1 >= x2 or y1 >= y2:
        return None
    # GIMP's bounds may hold pixels that are selected so faintly that as a byte they are not.
    bounds = Box(x1, y1, x2 - x1, y2 - y1)
    return _used_box(bounds, read_selection(image, photo, bounds).data)


def painted_box(scribble: Gimp.Layer, photo: Gimp.Layer) -> Box | None:
    """The smallest box of the photo's pixels around all that is painted over it; None when nothing is."""
    (left, top), (scribble_x, scribble_y) = offsets(photo), offsets(scribble)
    x1, y1 = max(scribble_x - left, 0), max(scribble_y - top, 0)
    x2 = min(scribble_x - left + scribble.get_width(), photo.get_width())
    y2 = min(scribble_y - top + scribble.get_height(), photo.get_height())
    if x1 >= x2 or y1 >= y2:
        return None
    inside = (x1 + left - scribble_x, y1 + top - scribble_y, x2 - x1, y2 - y1)
    return _used_box(Box(x1, y1, x2 - x1, y2 - y1), _read(scribble, inside, "A u8"))


def _used_box(bounds: Box, data: bytes) -> Box | None:
    """Of ``bounds`` the part with bytes of ``data``, one for each pixel, above zero."""
    rows = [data[start : start + bounds.width] for start in range(0, len(data), bounds.width)]
    used = [number for number, row in enumerate(rows) if row.strip(b"\0")]
    if not used:
        return None
    begin = min(bounds.width - len(rows[number].lstrip(b"\0")) for number in used)
    end = max(len(rows[number].rstrip(b"\0")) for number in used)
    return Box(bounds.x + begin, bounds.y + used[0], end - begin, used[-1] + 1 - used[0])


def write_colors(layer: Gimp.Layer, pixels: Array) -> None:
    """Fill ``layer``, which has the size of ``pixels`` (h×w×3 or 4), converting to the layer's own format."""
    _write(layer, pixels.data, color_format(layer, pixels.dtype, pixels.shape[2]), pixels.shape)


def write_mask(mask: Gimp.LayerMask, pixels: Array) -> None:
    """Fill a layer mask, which has the size of ``pixels`` (h×w uint8)."""
    _write(mask, pixels.data, SELECTION_FORMAT, (*pixels.shape, 1))


def read_reduced(layer: Gimp.Layer, scale: float) -> Array:
    """All of the layer, ``scale`` (0 to 1) times as large, as H×W×3 or 4 uint8 in sRGB."""
    channels = 4 if layer.has_alpha() else 3
    return _reduced(layer, (0, 0, layer.get_width(), layer.get_height()), scale, f"R'G'B'{'A' * (channels == 4)} u8")


def read_reduced_selection(image: Gimp.Image, photo: Gimp.Layer, scale: float) -> Array:
    """The selection over such a photo, H×W uint8."""
    return _reduced(
        image.get_selection(), (*offsets(photo), photo.get_width(), photo.get_height()), scale, SELECTION_FORMAT
    )


def read_reduced_paint(scribble: Gimp.Layer, photo: Gimp.Layer, scale: float) -> Array:
    """Where the scribble is painted over such a photo, H×W uint8: its alpha."""
    (left, top), (scribble_x, scribble_y) = offsets(photo), offsets(scribble)
    inside = (left - scribble_x, top - scribble_y, photo.get_width(), photo.get_height())
    return _reduced(scribble, inside, scale, "A u8")


def _reduced(drawable: Gimp.Drawable, rectangle: tuple[int, int, int, int], scale: float, babl_format: str) -> Array:
    x, y = (math.floor(offset * scale) for offset in rectangle[:2])
    width, height = (max(1, round(side * scale)) for side in rectangle[2:])
    data = _read(drawable, (x, y, width, height), babl_format, scale)
    channels = len(data) // (width * height)
    return Array("uint8", (height, width, channels) if channels > 1 else (height, width), data)


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


def _read(drawable: Gimp.Drawable, rectangle: tuple[int, int, int, int], babl_format: str, scale: float = 1.0) -> bytes:
    """``rectangle``: in pixels of the drawable at that scale."""
    data = drawable.get_buffer().get(Gegl.Rectangle.new(*rectangle), scale, babl_format, Gegl.AbyssPolicy.NONE)
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
