"""What a picture's file notes besides its pixels: colour profile, Exif, resolution; and how a PNG carries them on."""

from __future__ import annotations

import math
import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from PIL import Image, ImageCms
from PIL.ExifTags import IFD, Base

# What of a file's first directory tells of the picture (Exif 2.32, tables 4 and 5, and Windows' own entries). The rest
# tells how it was stored, as which it is not stored again; or which way is up, and the pixels are upright by now.
_DESCRIBING = (
    *(Base.ImageDescription, Base.Make, Base.Model, Base.Software, Base.DateTime, Base.Artist, Base.HostComputer),
    *(Base.Copyright, Base.Rating, Base.RatingPercent, Base.XPTitle, Base.XPComment, Base.XPAuthor, Base.XPKeywords),
    *(Base.XPSubject, Base.XResolution, Base.YResolution, Base.ResolutionUnit, IFD.Exif, IFD.GPSInfo),
)
_DOTS_AN_INCH = {2: 1.0, 3: 2.54}  # by the ResolutionUnit
_METRES_AN_INCH = 0.0254
_MAX_DOTS_A_METRE = (1 << 31) - 1
_CREATED = struct.pack(">6H", 1998, 12, 1, 0, 0, 0)


@dataclass(frozen=True)
class Notes:
    """``profile``: an ICC profile of RGB. ``exif``: a TIFF structure. ``resolution``: dots per inch in x and y."""

    profile: bytes | None = None
    exif: bytes | None = None
    resolution: tuple[float, float] | None = None


def orientation(image: Image.Image) -> int:
    """How the picture was stored, 1 to 8 (CIPA DC-008, table of tag 274); asked before it is decoded."""
    found = _exif_in(image).get(Base.Orientation, 1)
    return found if found in range(1, 9) else 1


def notes_of(image: Image.Image, width: int, height: int, turned: bool) -> Notes:
    """What the file of ``image`` notes, for its upright pixels; ``turned``: stored with the sides exchanged."""
    found = _exif_in(image)
    resolution = _resolution(image, found)
    exif = None
    with suppress(Exception):  # as below
        exif = _exif(found, width, height, turned)
    return Notes(_profile(image), exif, resolution[::-1] if resolution and turned else resolution)


def noted_in_png(png: bytes, notes: Notes) -> bytes:
    """The PNG with the notes as chunks behind the header, of always 33 bytes (PNG specification, third edition, 11)."""
    chunks = []
    if notes.profile is not None:
        chunks.append(chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(notes.profile)))
    if notes.resolution is not None:
        chunks.append(chunk(b"pHYs", struct.pack(">IIB", *map(_dots_a_metre, notes.resolution), 1)))
    if notes.exif is not None:
        chunks.append(chunk(b"eXIf", notes.exif))
    return b"".join((png[:33], *chunks, png[33:]))


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG (as above, 5.3)."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@cache
def srgb_profile() -> bytes:
    """An ICC profile of sRGB, the same on every day."""
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return made[:24] + _CREATED + made[36:]


def _exif_in(image: Image.Image) -> Image.Exif:
    try:
        return image.getexif()
    except Exception:  # damage makes Pillow raise nearly anything, and the picture is whole without its notes
        return Image.Exif()


def _profile(image: Image.Image) -> bytes | None:
    profile = image.info.get("icc_profile")
    if not profile and "srgb" in image.info:  # a PNG may say so in a word
        return srgb_profile()
    # Bytes 16-20 of an ICC profile name its colour space; a gray or CMYK one does not describe RGB pixels.
    return profile if isinstance(profile, bytes) and profile[16:20] == b"RGB " else None


def _exif(found: Image.Exif, width: int, height: int, turned: bool) -> bytes | None:
    """Pillow's Exif as bytes, without orientation and thumbnail; None where nothing is left."""
    kept = Image.Exif()
    for tag in _DESCRIBING:
        if tag in found:
            kept[tag] = found.get_ifd(tag) if tag in (IFD.Exif, IFD.GPSInfo) else found[tag]
    if not kept:
        return None
    if turned and Base.XResolution in kept and Base.YResolution in kept:
        kept[Base.XResolution], kept[Base.YResolution] = kept[Base.YResolution], kept[Base.XResolution]
    camera = kept.get(IFD.Exif, {})
    if Base.ExifImageWidth in camera:
        kept[IFD.Exif] = {**camera, Base.ExifImageWidth: width, Base.ExifImageHeight: height}
    return kept.tobytes().removeprefix(b"Exif\0\0")


def _resolution(image: Image.Image, exif: Image.Exif) -> tuple[float, float] | None:
    # Where a JPEG or TIFF does not say it, Pillow makes something up.
    said = image.format == "PNG" or image.info.get("jfif_unit")
    found = image.info.get("dpi") if said else None
    if found is None and exif.get(Base.ResolutionUnit, 2) in _DOTS_AN_INCH:
        scale = _DOTS_AN_INCH[exif.get(Base.ResolutionUnit, 2)]
        found = tuple(_number(exif.get(tag)) * scale for tag in (Base.XResolution, Base.YResolution))
    if found is None:
        return None
    x, y = map(_number, found)
    proper = all(math.isfinite(dots) and 1 <= _dots_a_metre(dots) <= _MAX_DOTS_A_METRE for dots in (x, y))
    return (x, y) if proper else None


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return math.nan


def _dots_a_metre(dots_an_inch: float) -> int:
    return round(dots_an_inch / _METRES_AN_INCH)
