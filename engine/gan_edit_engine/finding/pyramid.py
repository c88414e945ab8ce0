"""A photo as a finder sees it: reduced once, then halved again and again."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import cast

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from gan_edit_engine.imaging.crop import AnyImage, to_unit
from gan_edit_engine.imaging.square import Square, direction
from gan_edit_protocol.geometry import Crop

Pixels = NDArray[np.uint8]

AREA = 384 * 288
"""Pixels of the largest level, if not said otherwise: two processor cores see them in some hundredths of a second."""
GRAY = 128
"""What lies beyond a picture, in all three channels: 0 to the networks."""
_LONGEST = 4096  # pixels of a side, however narrow the photo
_SMALLEST = 24  # pixels of the longer side, below which nothing is seen
_SHARP = math.sqrt(2)  # a level is taken down to so many of its pixels per pixel wanted
_BEHIND = 0.5  # what shows through transparent pixels: neither light nor dark


@dataclass(frozen=True)
class Level:
    """``pixels`` [h, w, 3], each ``width`` × ``height`` photo pixels."""

    pixels: Pixels
    width: float
    height: float

    @property
    def scale(self) -> float:
        """Photo pixels per pixel."""
        return math.sqrt(self.width * self.height)


def pyramid(photo: AnyImage, area: int = AREA) -> list[Level]:
    """The levels of a photo [H, W(, 1 to 4)] of uint8, uint16 or float, the finest first; each half the one before.

    ``area``: pixels of the finest at most.
    """
    levels = [reduced(photo, area)]
    while max(levels[-1].pixels.shape[:2]) >= 2 * _SMALLEST:
        last = levels[-1]
        h, w = last.pixels.shape[:2]
        half = _resized(last.pixels, -(-w // 2), -(-h // 2))
        levels.append(Level(_rgb(half), last.width * w / half.shape[1], last.height * h / half.shape[0]))
    return levels


def reduced(photo: AnyImage, area: int = AREA) -> Level:
    """The photo's RGB with at most ``area`` pixels: each the mean of the area it covers."""
    height, width = photo.shape[:2]
    shrink = max(1.0, math.sqrt(height * width / area), max(height, width) / _LONGEST)
    target = max(1, round(width / shrink)), max(1, round(height / shrink))
    small, pixel = photo, 1
    # Halving is what OpenCV does many times faster than any other reduction by area, where the sides are even.
    while small.shape[1] >= 2 * target[0] and small.shape[0] >= 2 * target[1]:
        w, h = small.shape[1] // 2, small.shape[0] // 2
        small, pixel = _resized(small[: 2 * h, : 2 * w], w, h), 2 * pixel
    h, w = small.shape[:2]
    return Level(_rgb(_resized(small, *target)), pixel * w / target[0], pixel * h / target[1])


def _resized(pixels: AnyImage, width: int, height: int) -> AnyImage:
    if pixels.shape[:2] == (height, width):
        return pixels
    small = cv2.resize(cast(MatLike, pixels), (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small).reshape(height, width, *pixels.shape[2:])


def _rgb(pixels: AnyImage) -> Pixels:
    if pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3:
        return np.ascontiguousarray(pixels, np.uint8)
    unit = np.nan_to_num(to_unit(pixels), nan=0.0, posinf=1.0, neginf=0.0).clip(0, 1)
    unit = unit.reshape(*unit.shape[:2], -1)
    if unit.shape[2] in (2, 4):
        unit = unit[..., :-1] * unit[..., -1:] + np.float32(_BEHIND) * (1 - unit[..., -1:])
    return np.ascontiguousarray(np.round(np.repeat(unit, 3 // unit.shape[2], axis=2) * 255), np.uint8)


def cut_square(levels: list[Level], square: Square, side: int, field: float) -> Pixels:
    """[side, side, 3]: ``field`` times a square of the photo around its centre, upright; gray beyond the photo."""
    step = field * square.size / side  # photo pixels per pixel
    level = next((one for one in reversed(levels) if one.scale <= _SHARP * step), levels[0])
    centre_x, centre_y = square.to_photo(square.resolution / 2, square.resolution / 2)
    cos, sin = direction(square.angle)
    matrix = np.array([[step * cos, -step * sin, 0], [step * sin, step * cos, 0]])
    matrix[:, 2] = np.array([centre_x, centre_y]) - matrix[:, :2] @ [side / 2 - 0.5, side / 2 - 0.5]
    matrix[0] /= level.width
    matrix[1] /= level.height
    matrix[:, 2] -= 0.5  # OpenCV counts from pixel centres
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    cut = cv2.warpAffine(
        level.pixels, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=(GRAY, GRAY, GRAY)
    )
    return np.asarray(cut, np.uint8)


def cut_sharp(photo: AnyImage, levels: list[Level], square: Square, side: int, field: float) -> Pixels:
    """As `cut_square`, but from the photo itself where the finest of its levels would be blurred."""
    step = field * square.size / side
    if levels[0].scale <= max(1.0, _SHARP * step):
        return cut_square(levels, square, side, field)
    grown = Square.of_square(Crop(*square.to_photo(0.5, 0.5), field * square.size, square.angle), 1)
    box = grown.footprint(photo.shape[0], photo.shape[1], margin=1)
    if box is None:
        return np.full((side, side, 3), GRAY, np.uint8)
    part = Level(_rgb(photo[box.slices]), 1.0, 1.0)
    moved = replace(square, left=square.left - box.x, top=square.top - box.y)
    return cut_square([part], moved, side, field)
