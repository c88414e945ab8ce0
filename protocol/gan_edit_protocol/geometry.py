"""Places in a photo, in its pixels."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import require

MAX_PHOTO_SIDE = 524_288
"""Longest side of a photo in pixels, GIMP's own limit. Of a photo that is larger than an array only a part travels."""


@dataclass(frozen=True)
class Crop:
    """A square of the photo: centre (``cx``, ``cy``) and ``size`` in photo pixels, ``angle`` in degrees clockwise."""

    cx: float
    cy: float
    size: float
    angle: float = 0.0

    def enlarged(self, scale: float) -> Crop:
        """The same in a photo ``scale`` times as large."""
        return Crop(self.cx * scale, self.cy * scale, self.size * scale, self.angle)


@dataclass(frozen=True)
class Align:
    """Two points in photo pixels (for faces: the eyes) that the model's two alignment points are laid on."""

    x1: float
    y1: float
    x2: float
    y2: float

    def enlarged(self, scale: float) -> Align:
        """The same in a photo ``scale`` times as large."""
        return Align(self.x1 * scale, self.y1 * scale, self.x2 * scale, self.y2 * scale)


@dataclass(frozen=True)
class Face:
    """Something that a model knows, found in a photo: a face, for most models that know where to be looked at.

    ``align``: its two points, the one that is the left one in the model's images first. ``crop``: the square in which
    they lie on the model's own. ``score``: how certain it is, 0..1.
    """

    align: Align
    crop: Crop
    score: float

    def enlarged(self, scale: float) -> Face:
        """The same in a photo ``scale`` times as large."""
        return Face(self.align.enlarged(scale), self.crop.enlarged(scale), self.score)


@dataclass(frozen=True)
class Box:
    """Whole pixels ``x``..``x + width``, ``y``..``y + height`` of a photo."""

    x: int
    y: int
    width: int
    height: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the box in an [H, W, …] array of the whole photo."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)


@dataclass(frozen=True)
class Place:
    """Where the pixels that travel lie: (``x``, ``y``) is their top left one in a photo of ``width`` × ``height``."""

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        check_photo_size(self.width, self.height)


def check_photo_size(width: int, height: int) -> None:
    """:class:`WireError` unless a photo can be as large, in pixels."""
    require(1 <= width <= MAX_PHOTO_SIDE and 1 <= height <= MAX_PHOTO_SIDE, "A photo of that size is not possible.")
