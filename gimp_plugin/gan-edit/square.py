"""A square of a photo, as a person moves, sizes and turns it: plain numbers, no windows.

Points are in pixels of the photo, angles in degrees clockwise.
"""

from __future__ import annotations

import dataclasses
import math

from gan_edit_protocol.geometry import Align, Box, Crop

Point = tuple[float, float]

KNOB = 0.58
"""Distance of the knob that turns the square from its centre, in sides."""


def to_photo(crop: Crop, x: float, y: float) -> Point:
    """Where the point lies that is (x, y) in the square itself, whose sides are 1."""
    cos, sin = math.cos(math.radians(crop.angle)), math.sin(math.radians(crop.angle))
    across, down = (x - 0.5) * crop.size, (y - 0.5) * crop.size
    return crop.cx + across * cos - down * sin, crop.cy + across * sin + down * cos


def from_photo(crop: Crop, point: Point) -> Point:
    """The inverse of :func:`to_photo`."""
    cos, sin = math.cos(math.radians(crop.angle)), math.sin(math.radians(crop.angle))
    dx, dy = point[0] - crop.cx, point[1] - crop.cy
    return (dx * cos + dy * sin) / crop.size + 0.5, (dy * cos - dx * sin) / crop.size + 0.5


def corners(crop: Crop) -> list[Point]:
    """Its corners, from the top left one on clockwise."""
    return [to_photo(crop, x, y) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))]


def points(crop: Crop, canonical: Align) -> list[Point]:
    """Where the model's two points come to lie."""
    return [to_photo(crop, canonical.x1, canonical.y1), to_photo(crop, canonical.x2, canonical.y2)]


def knob(crop: Crop) -> Point:
    """What turns the square: it lies above the middle of its upper side."""
    return to_photo(crop, 0.5, 0.5 - KNOB)


def holds(crop: Crop, point: Point) -> bool:
    """Whether the point lies in the square."""
    return all(0 <= value <= 1 for value in from_photo(crop, point))


def touches(crop: Crop, box: Box) -> bool:
    """Whether a part of the box that is worth speaking of lies in the square."""
    shares = [number / 8 for number in range(9)]
    return any(holds(crop, (box.x + u * box.width, box.y + v * box.height)) for u in shares for v in shares)


def moved(crop: Crop, dx: float, dy: float) -> Crop:
    """The square so many pixels further right and down."""
    return dataclasses.replace(crop, cx=crop.cx + dx, cy=crop.cy + dy)


def sized(crop: Crop, corner: Point, least: float) -> Crop:
    """The square around the same centre with its nearest corner as far from it as ``corner``, ``least`` pixels wide."""
    distance = math.hypot(corner[0] - crop.cx, corner[1] - crop.cy)
    return dataclasses.replace(crop, size=max(distance * math.sqrt(2), least))


def turned(crop: Crop, towards: Point) -> Crop:
    """The square turned about its centre until its knob points ``towards`` there."""
    angle = math.degrees(math.atan2(towards[0] - crop.cx, crop.cy - towards[1]))
    return dataclasses.replace(crop, angle=angle)
