"""Which files are opened as pictures, and by which of Pillow's decoders; what the others are called when refused.

Pillow left to itself tries every decoder it has, and that of PostScript starts Ghostscript on the file.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import struct
import threading
import warnings
from collections.abc import Iterator
from pathlib import PurePath

from PIL import Image, PngImagePlugin, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from gan_edit_engine.system.out_of_memory import is_out_of_memory
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.geometry import MAX_PHOTO_SIDE

# Pillow refuses large pictures as possible decompression bombs; here _check_size() sets the limit before decoding.
Image.MAX_IMAGE_PIXELS = None
# Nor is a profile or a description of some MB a sign of an attack: editors write such ones.
PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY = 1 << 27, 1 << 28

_MAX_PIXELS = 500_000_000

_RAW = "a camera's raw file"
# How the files begin that are opened, by Pillow's name of the format, and how others do, by what people call them.
_OPENED = {
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "JPEG": rb"\xff\xd8\xff",
    "WEBP": rb"RIFF....WEBP",
    "TIFF": rb"II[*+]\0|MM\0[*+]",
}
_REFUSED = {
    _RAW: rb"FUJIFILMCCD-RAW|II\*\0....CR|IIU\0|IIR[OS]|MMOR|\0MRM|FOVb|....ftypcrx",
    "a PostScript file": rb"%!PS|\xc5\xd0\xd3\xc6",
    "a PDF file": rb"%PDF-",
    "a GIF picture": rb"GIF8",
    "a BMP picture": rb"BM....\0\0\0\0",
    "a Photoshop file": rb"8BPS",
    "a GIMP file": rb"gimp xcf",
    # A file of ISO/IEC 14496-12 begins with its brands, four letters each.
    "an AVIF picture": rb"....ftyp(?:....){0,12}?avi[fs]",
    "a HEIC picture": rb"....ftyp(?:hei[cxms]|hev[cxms]|mif1|msf1)",
    "a video": rb"....ftyp|RIFF....AVI |\x1aE\xdf\xa3",
    "a JPEG XL picture": rb"\xff\x0a|\0\0\0\x0cJXL ",
    "a JPEG 2000 picture": rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51",
    "an OpenEXR picture": rb"v/1\x01",
    "an SVG drawing": rb"(?:\xef\xbb\xbf)?\s*<(?:[^\0]{0,1000}<)?svg\s",
    "a web page": rb"\s*<(?:!doctype |!DOCTYPE )?(?:html|HTML)",
}
# These begin as TIFF files do, with a small preview that would be taken for the photo.
_RAW_SUFFIXES = frozenset(
    (".3fr", ".arw", ".cr2", ".dcr", ".dng", ".erf", ".iiq", ".kdc")
    + (".mef", ".mos", ".nef", ".nrw", ".pef", ".sr2", ".srf", ".srw")
)

# Tags of TIFF 6.0, and one of DNG.
_NEW_SUBFILE_TYPE, _BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLES_PER_PIXEL = 254, 258, 262, 277
_PLANAR_CONFIGURATION, _EXTRA_SAMPLES, _SAMPLE_FORMAT = 284, 338, 339
_DNG_VERSION = 50706
_PLAIN = {(1, 1), (2, 3), (2, 4)}  # gray that grows with the number, RGB, and RGB with one channel more
_ALPHA = (2,)  # an extra sample that is transparency, with colours that are not multiplied by it


@contextlib.contextmanager
def decoding(name: str) -> Iterator[None]:
    """Whatever a decoder raises inside becomes one sentence about the picture ``name``: bad_image or out_of_memory.

    A damaged file makes Pillow and OpenCV raise nearly anything. :class:`GanEditError` passes as it is.
    """
    try:
        with _quiet:
            yield
    except GanEditError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            message = f"There is not enough memory to open {name}."
            raise GanEditError("out_of_memory", message, "Close other programs or make the picture smaller.") from None
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")
        raise GanEditError("bad_image", f"The image {name} is damaged: {reason}.", "Save it again as PNG.") from None


class _Quiet:
    """While any thread is inside, Python's warnings and what is written to standard error are dropped.

    libtiff and libpng tell of damage on standard error, where people read the one sentence about it; the warnings are
    about entries that do not matter here. Both are the process's, so that the last thread that leaves gives them back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before = contextlib.ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._before.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore")
                self._before.enter_context(_muted())
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._before.close()


@contextlib.contextmanager
def _muted() -> Iterator[None]:
    try:
        before = os.dup(2)
    except OSError:  # a program without a standard error
        yield
        return
    try:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


_quiet = _Quiet()


def open_image(data: bytes, name: str) -> Image.Image:
    """Pillow's image, of which only the header has been read; use it inside :func:`decoding`.

    ``name`` is what the person calls the file, its suffix included. :class:`GanEditError` (bad_image) says what the
    file is when it is of no format that is opened, or (too_large) how many pixels it has.
    """
    form, other = _kind(data, _OPENED), _kind(data, _REFUSED)
    if form in ("TIFF", None) and PurePath(name).suffix.lower() in _RAW_SUFFIXES:
        other = _RAW
    if other:
        raise _refused(name, other)
    if form is None:
        raise GanEditError("bad_image", f"{name} is not an image.", "Use a PNG, JPEG, WebP or TIFF file.")
    try:
        image = Image.open(io.BytesIO(data), formats=[form])
    except UnidentifiedImageError:
        if form == "TIFF":
            raise _unusual_tiff(name) from None
        raise ValueError(f"it begins as a {form} file and does not go on as one") from None
    _check_size(image, name)
    if isinstance(image, TiffImageFile):
        _check_tiff(image, name)
    return image


def is_16_bit(image: Image.Image, data: bytes) -> bool:
    """Whether the ``data`` of an image of :func:`open_image` has 16 bits a channel, which Pillow reduces to 8."""
    if isinstance(image, TiffImageFile):
        return max(image.tag_v2.get(_BITS_PER_SAMPLE, (1,))) == 16
    return image.format == "PNG" and data[24:25] == b"\x10"


def pixels_only(png: bytes) -> bytes:
    """A PNG without the chunks that are not needed for its pixels, whose size or number OpenCV may refuse."""
    kept, position = [png[:8]], 8
    while position + 8 <= len(png):
        size, kind = struct.unpack_from(">I4s", png, position)
        end = position + 12 + size
        if kind == b"tRNS" or kind[:1].isupper():  # which marks the critical ones (PNG specification, 5.4)
            kept.append(png[position:end])
        position = end
    return b"".join(kept)


def transparent_gray(image: Image.Image, data: bytes) -> int | None:
    """The value that is transparent in a gray PNG, as its decoded pixels have it; None where none is.

    OpenCV forgets it, and Pillow takes that of pixels of 2 or 4 bits for one of the 8 bits that it makes of them.
    """
    value = image.info.get("transparency")
    if image.format != "PNG" or not image.mode.startswith(("L", "I")) or not isinstance(value, int):
        return None
    bits = data[24]
    value &= (1 << bits) - 1
    return value * 255 // ((1 << bits) - 1) if bits < 8 else value


def has_alpha(image: TiffImageFile) -> bool:
    """Whether the fourth channel of a TIFF of 16 bits is said to be transparency."""
    return bool(image.tag_v2.get(_EXTRA_SAMPLES) == _ALPHA)


def _kind(data: bytes, kinds: dict[str, bytes]) -> str | None:
    return next((kind for kind, start in kinds.items() if re.match(start, data[:2048], re.DOTALL)), None)


def _check_size(image: Image.Image, name: str) -> None:
    width, height = image.size
    if width * height > _MAX_PIXELS or max(width, height) > MAX_PHOTO_SIDE:
        raise GanEditError(
            "too_large",
            f"{name} has {width}×{height} pixels; up to {_MAX_PIXELS // 1_000_000} megapixels, and {MAX_PHOTO_SIDE} "
            "pixels a side, can be opened.",
            "Make it smaller, or cut out the part to edit.",
        )


def _refused(name: str, kind: str) -> GanEditError:
    return GanEditError(
        "bad_image", f"{name} is {kind}, which GAN Edit does not open.", "Export it as PNG, JPEG, WebP or TIFF."
    )


def _unusual_tiff(name: str) -> GanEditError:
    return GanEditError(
        "bad_image",
        f"{name} is damaged or a TIFF of another kind than RGB or gray with 8 or 16 bits.",
        "Export it as PNG, or as TIFF of such a kind.",
    )


def _check_tiff(image: TiffImageFile, name: str) -> None:
    """Pillow and OpenCV also open TIFFs whose numbers they misunderstand; and many a raw file is a TIFF."""
    tags = image.tag_v2
    if _DNG_VERSION in tags or tags.get(_NEW_SUBFILE_TYPE, 0) & 1:
        raise _refused(name, _RAW)
    bits = set(tags.get(_BITS_PER_SAMPLE, (1,)))
    deep_and_plain = (
        bits == {16}
        and (tags.get(_PHOTOMETRIC), tags.get(_SAMPLES_PER_PIXEL, 1)) in _PLAIN
        and tags.get(_PLANAR_CONFIGURATION, 1) == 1
        and tags.get(_EXTRA_SAMPLES, _ALPHA) in (_ALPHA, (0,))
    )
    whole_numbers = set(tags.get(_SAMPLE_FORMAT, (1,))) <= {1, 4}
    if not (deep_and_plain or max(bits) <= 8) or not whole_numbers:
        raise _unusual_tiff(name)
