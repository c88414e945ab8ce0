"""Image files for the command line: 8 and 16 bit, with alpha, colour profile and the orientation that cameras note."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from gan_edit_engine.atomic_write import replacing
from gan_edit_engine.image_formats import decoding, has_alpha, is_16_bit, open_image
from gan_edit_engine.photo import AnyImage
from gan_edit_protocol.errors import GanEditError

# OpenCV would tell of a damaged file on standard error, where people read one sentence.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

_EXIF_ORIENTATION = 0x0112
# How the stored picture is turned upright, by the Exif orientation (CIPA DC-008, table of tag 274).
_UPRIGHT: dict[int, Callable[[AnyImage], AnyImage]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


@dataclass(frozen=True)
class Picture:
    """``pixels``: [H, W, 3 or 4] uint8 or uint16, upright, R'G'B'(A). ``profile``: its ICC profile, an RGB one."""

    pixels: AnyImage
    profile: bytes | None = None


def read_picture(path: Path) -> Picture:
    """Read an image file; gray and indexed ones become RGB. :class:`GanEditError` when it cannot be read."""
    data = _read_bytes(path)
    with decoding(str(path)):
        image = open_image(data, str(path))
        turn = _UPRIGHT.get(_orientation(image), lambda a: a)
        pixels = _decode_16_bit(image, data) if is_16_bit(image, data) else _decode_8_bit(image)
        upright = np.ascontiguousarray(turn(pixels))
    profile = image.info.get("icc_profile")
    # Bytes 16-20 of an ICC profile name its colour space; a gray or CMYK one does not describe these RGB pixels.
    is_rgb = isinstance(profile, bytes) and profile[16:20] == b"RGB "
    return Picture(upright, profile if is_rgb else None)


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise GanEditError(
            "bad_image", f"The image {path} cannot be read ({error.strerror}).", "Check its name."
        ) from None


def _orientation(image: Image.Image) -> int:
    # TIFF files are turned by those who decode them, Pillow and OpenCV.
    return 1 if isinstance(image, TiffImageFile) else image.getexif().get(_EXIF_ORIENTATION, 1)


def _decode_8_bit(image: Image.Image) -> AnyImage:
    if image.mode.startswith(("I", "F")):
        raise ValueError("its kind of pixels is not supported")
    return np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB"))


def _decode_16_bit(image: Image.Image, data: bytes) -> AnyImage:
    # Pillow reduces 16-bit colour to 8 bits, OpenCV keeps it.
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise ValueError("its 16-bit pixels cannot be decoded")
    if pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2)
    if isinstance(image, TiffImageFile) and not has_alpha(image):
        pixels = pixels[..., :3]
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB))


def read_scribble(path: Path) -> NDArray[np.uint8]:
    """[H, W, 4] uint8; it counts where its alpha is above zero, so that a file without alpha is refused."""
    pixels = read_picture(path).pixels
    if pixels.shape[2] != 4:
        raise GanEditError(
            "bad_image",
            f"The scribble {path} has no transparency, so that nothing tells its strokes from the rest.",
            "Paint on a transparent layer of the photo's size and export that layer as PNG.",
        )
    return _to_8_bit(pixels)


def read_painting(path: Path) -> NDArray[np.uint8]:
    """[H, W, 4] uint8; a file without alpha is painted everywhere."""
    pixels = _to_8_bit(read_picture(path).pixels)
    if pixels.shape[2] == 4:
        return pixels
    return np.concatenate([pixels, np.full((*pixels.shape[:2], 1), 255, np.uint8)], axis=2)


def read_mask(path: Path) -> NDArray[np.uint8]:
    """[H, W] uint8: white is selected, black and what is transparent are not; colours count by their brightness."""
    pixels = _to_8_bit(read_picture(path).pixels)
    brightness = np.asarray(Image.fromarray(np.ascontiguousarray(pixels[..., :3])).convert("L"))
    if pixels.shape[2] == 3:
        return brightness
    return np.asarray((brightness.astype(np.uint16) * pixels[..., 3] + 127) // 255, dtype=np.uint8)


def _to_8_bit(pixels: AnyImage) -> NDArray[np.uint8]:
    if pixels.dtype == np.uint8:
        return np.asarray(pixels, dtype=np.uint8)
    return np.asarray((pixels.astype(np.uint32) + 128) // 257, dtype=np.uint8)


def write_png(path: Path, picture: Picture) -> None:
    """Write a PNG of the pixels' own depth with the colour profile, whole or not at all.

    :class:`GanEditError` (bad_output) when that is impossible.
    """
    content = encode_png(picture)
    with replacing(path) as part:
        part.write_bytes(content)


def check_output(path: Path) -> None:
    """Before any work: :class:`GanEditError` unless ``path`` is a PNG file in a folder that exists."""
    if path.suffix.lower() != ".png":
        raise GanEditError("bad_output", f"The output {path} is not a PNG file.", "Give a name that ends in .png.")
    if not path.parent.is_dir():
        raise GanEditError("bad_output", f"There is no folder {path.parent}.", "Make it first.")


def encode_png(picture: Picture) -> bytes:
    """The bytes of a PNG file."""
    if picture.pixels.dtype == np.uint8:
        out = io.BytesIO()
        Image.fromarray(picture.pixels).save(out, "PNG", icc_profile=picture.profile)
        return out.getvalue()
    code = cv2.COLOR_RGBA2BGRA if picture.pixels.shape[2] == 4 else cv2.COLOR_RGB2BGR
    _, encoded = cv2.imencode(".png", cv2.cvtColor(picture.pixels.astype(np.uint16, copy=False), code))
    return _with_profile(encoded.tobytes(), picture.profile)


def _with_profile(png: bytes, profile: bytes | None) -> bytes:
    """Put an iCCP chunk behind the header, which is always 33 bytes (PNG specification, sections 5.3 and 11.3.2.3)."""
    if profile is None:
        return png
    content = b"iCCP" + b"ICC Profile\0\0" + zlib.compress(profile)
    chunk = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
    return png[:33] + chunk + png[33:]
