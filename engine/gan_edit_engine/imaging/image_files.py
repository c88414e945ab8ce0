"""Image files for the command line: 8 and 16 bit, upright, with alpha and with what the file notes besides."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from gan_edit_engine.imaging.colour_profiles import converted
from gan_edit_engine.imaging.crop import WHITE, AnyImage
from gan_edit_engine.imaging.image_formats import (
    decoding,
    has_alpha,
    is_16_bit,
    open_image,
    pixels_only,
    transparent_gray,
)
from gan_edit_engine.imaging.picture_notes import Notes, noted_in_png, notes_of, orientation
from gan_edit_engine.system.atomic_write import check_place, replacing
from gan_edit_protocol.errors import GanEditError

# OpenCV would tell of a damaged file on standard error, where people read one sentence.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

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

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")

_LEAST_SHARE = 0.25
"""Of its pixels' bytes a photo hardly makes a smaller PNG."""
_FAINTEST = 13
"""A mask that is nowhere brighter than 5 % is no mask of this kind: one of labels, say, or of another depth."""


@dataclass(frozen=True)
class Picture:
    """``pixels``: [H, W, 3 or 4] uint8 or uint16, upright, R'G'B'(A); the rest as of :class:`Notes`."""

    pixels: AnyImage
    profile: bytes | None = None
    exif: bytes | None = None
    resolution: tuple[float, float] | None = None

    @property
    def notes(self) -> Notes:
        """What the file says besides the pixels."""
        return Notes(self.profile, self.exif, self.resolution)


def photo_files(folder: Path) -> list[Path]:
    """The pictures of a folder by name; GanEditError when there are none, or no such folder that can be read."""
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    except OSError as error:
        raise GanEditError(
            "no_photos", f"The folder {folder} cannot be read ({error.strerror}).", "Check its name."
        ) from None
    files = [file for file in files if file.is_file() or not file.exists()]  # a link that leads nowhere is told of
    if not files:
        raise GanEditError(
            "no_photos", f"There are no photos in {folder}.", f"It may hold {', '.join(SUFFIXES)} files."
        )
    return files


def pixel_bytes(path: Path) -> int:
    """What the pixels of a picture file will take, by its header; GanEditError when it cannot be read."""
    data = _read_bytes(path)
    with decoding(str(path)):
        image = open_image(data, str(path))
        return image.width * image.height * (8 if is_16_bit(image, data) else 4)


def read_picture(path: Path, name: str | None = None) -> Picture:
    """Read an image file; gray and indexed ones become RGB. :class:`GanEditError` when it cannot be read.

    ``name``: what the person calls the file, if not by its path.
    """
    name = name or str(path)
    data = _read_bytes(path)
    with decoding(name):
        image = open_image(data, name)
        stored = orientation(image)
        # TIFF files are turned by those who decode them, Pillow and OpenCV.
        turn = _UPRIGHT.get(1 if isinstance(image, TiffImageFile) else stored, lambda a: a)
        pixels = _decode_16_bit(image, data) if is_16_bit(image, data) else _decode_8_bit(image, data)
        upright = np.ascontiguousarray(turn(pixels))
        height, width = upright.shape[:2]
        return Picture(upright, **vars(notes_of(image, width, height, turned=stored > 4)))


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise GanEditError(
            "bad_image", f"The image {path} cannot be read ({error.strerror}).", "Check its name."
        ) from None


def _decode_8_bit(image: Image.Image, data: bytes) -> AnyImage:
    if image.mode.startswith(("I", "F")):
        raise ValueError("its kind of pixels is not supported")
    if (value := transparent_gray(image, data)) is not None:
        image.info["transparency"] = value
    return np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB"))


def _decode_16_bit(image: Image.Image, data: bytes) -> AnyImage:
    # Pillow reduces 16-bit colour to 8 bits, OpenCV keeps it.
    stored = data if isinstance(image, TiffImageFile) else pixels_only(data)
    pixels = cv2.imdecode(np.frombuffer(stored, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise ValueError("its 16-bit pixels cannot be decoded")
    if pixels.ndim == 2:
        gray, transparent = np.repeat(pixels[..., None], 3, axis=2), transparent_gray(image, data)
        if transparent is None:
            return gray
        return np.dstack([gray, np.where(pixels == transparent, 0, 65535).astype(np.uint16)])
    if isinstance(image, TiffImageFile) and not has_alpha(image):
        pixels = pixels[..., :3]
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB))


def read_scribble(path: Path, photo: Picture | None = None) -> NDArray[np.uint8]:
    """[H, W, 4] uint8 in the photo's colour space, without one in sRGB; it counts where its alpha is above zero.

    :class:`GanEditError` refuses a file without alpha or of another size, and one that cannot be read.
    """
    picture = read_picture(path)
    if picture.pixels.shape[2] != 4:
        raise GanEditError(
            "bad_image",
            f"The scribble {path} has no transparency, so that nothing tells its strokes from the rest.",
            "Paint on a transparent layer of the photo's size and export that layer as PNG.",
        )
    _check_size(picture, photo, path)
    pixels = to_8_bit(picture.pixels)
    target = None if photo is None else photo.profile
    colours = converted(pixels[..., :3], picture.profile, target, f"the scribble {path}")
    return np.dstack([colours, pixels[..., 3]])


def read_painting(path: Path) -> NDArray[np.uint8]:
    """[H, W, 4] uint8; a file without alpha is painted everywhere."""
    pixels = to_8_bit(read_picture(path).pixels)
    if pixels.shape[2] == 4:
        return pixels
    return np.concatenate([pixels, np.full((*pixels.shape[:2], 1), 255, np.uint8)], axis=2)


def read_mask(path: Path, photo: Picture | None = None) -> NDArray[np.uint8]:
    """[H, W] uint8: white is selected, black and what is transparent are not; colours count by their brightness.

    A mask of 0 and 1 is taken as one of black and white. :class:`GanEditError` when it is not of the photo's size, when
    nothing is selected, or so little that nobody would see the edit.
    """
    picture = read_picture(path)
    _check_size(picture, photo, path)
    pixels = picture.pixels
    colours, alpha = to_8_bit(_spread(pixels[..., :3])), to_8_bit(_spread(pixels[..., 3:]))
    mask = np.asarray(Image.fromarray(np.ascontiguousarray(colours)).convert("L"))
    if not mask.any():
        raise _empty(f"The mask {path} is black, so that nothing may change.")
    if alpha.size:
        mask = np.asarray((mask.astype(np.uint16) * alpha[..., 0] + 127) // 255, dtype=np.uint8)
    if not mask.any():
        raise _empty(f"The mask {path} is transparent or black everywhere, so that nothing may change.")
    if mask.max() < _FAINTEST:
        raise _empty(f"The mask {path} is nearly black: its brightest pixel is {mask.max()} of 255.")
    return mask


def _check_size(picture: Picture, photo: Picture | None, path: Path) -> None:
    (h, w), (height, width) = picture.pixels.shape[:2], (picture if photo is None else photo).pixels.shape[:2]
    if (h, w) != (height, width):
        raise GanEditError(
            "bad_image", f"{path} is {w}×{h} pixels, the photo {width}×{height}.", "Make it of the photo's size."
        )


def _spread(pixels: AnyImage) -> AnyImage:
    """Pixels that are all 0 or 1, as many programs write masks, as 0 and the type's greatest value."""
    if not pixels.size or pixels.max() != 1:
        return pixels
    return np.asarray(np.where(pixels == 1, WHITE[pixels.dtype.name], 0), dtype=pixels.dtype)


def _empty(message: str) -> GanEditError:
    return GanEditError("empty_mask", message, "Paint white where the photo may change.")


def to_8_bit(pixels: AnyImage) -> NDArray[np.uint8]:
    """uint8 or uint16 pixels as uint8, rounded."""
    if pixels.dtype == np.uint8:
        return np.asarray(pixels, dtype=np.uint8)
    return np.asarray((pixels.astype(np.uint32) + 128) // 257, dtype=np.uint8)


def write_png(path: Path, picture: Picture) -> None:
    """Write a PNG of the pixels' own depth with what is noted of the picture, whole or not at all.

    :class:`GanEditError` (bad_output) when that is impossible.
    """
    content = encode_png(picture)
    with replacing(path) as part:
        part.write_bytes(content)


def check_output(path: Path, picture: Picture | None = None) -> None:
    """Before any work: GanEditError unless ``path`` can become a PNG, of about the size of ``picture``."""
    if path.suffix.lower() != ".png":
        raise GanEditError("bad_output", f"The output {path} is not a PNG file.", "Give a name that ends in .png.")
    check_place(path, 0 if picture is None else int(picture.pixels.nbytes * _LEAST_SHARE))


def encode_png(picture: Picture) -> bytes:
    """The bytes of a PNG file."""
    if picture.pixels.dtype == np.uint8:
        out = io.BytesIO()
        Image.fromarray(picture.pixels).save(out, "PNG")
        return noted_in_png(out.getvalue(), picture.notes)
    code = cv2.COLOR_RGBA2BGRA if picture.pixels.shape[2] == 4 else cv2.COLOR_RGB2BGR
    _, encoded = cv2.imencode(".png", cv2.cvtColor(picture.pixels.astype(np.uint16, copy=False), code))
    return noted_in_png(encoded.tobytes(), picture.notes)
