"""Rough strokes and selections as a person paints them: lines and ovals, drawn flat.

Points are pixels, x right, y down, the top left pixel's centre at (0.5, 0.5). A ``placing`` [2, 3] carries them into
the picture that is painted on, a similarity: widths grow with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edits.cases import Image

Point = tuple[float, float]
Colour = tuple[int, int, int]
"""Red, green, blue in 0..255."""
Placing = NDArray[np.float64]

HERE: Placing = np.eye(2, 3)
_SUBPIXEL = 4  # bits of OpenCV's coordinates behind the point
_ROUND = 48  # corners of an oval


@dataclass(frozen=True)
class Stroke:
    """A line of ``width`` pixels through ``points``."""

    colour: Colour
    points: Sequence[Point]
    width: float


@dataclass(frozen=True)
class Oval:
    """Centre, radii and the angle of the first radius in degrees clockwise."""

    x: float
    y: float
    a: float
    b: float
    turn: float = 0.0

    def outline(self) -> list[Point]:
        return arc(self, 0, 360)


@dataclass(frozen=True)
class Polygon:
    points: Sequence[Point]

    def outline(self) -> Sequence[Point]:
        return self.points


def arc(oval: Oval, start: float, end: float, size: float = 1.0) -> list[Point]:
    """Along ``size`` times the oval, from and to angles in degrees clockwise from its first radius."""
    angles = np.radians(np.linspace(start, end, _ROUND))
    x, y = oval.a * size * np.cos(angles), oval.b * size * np.sin(angles)
    cos, sin = np.cos(np.radians(oval.turn)), np.sin(np.radians(oval.turn))
    return [(float(u), float(v)) for u, v in zip(oval.x + x * cos - y * sin, oval.y + x * sin + y * cos, strict=True)]


def below_pupil(iris: Oval, colour: Colour) -> Stroke:
    """A rough bow through the lower half of an iris, as wide as a third of its radius."""
    return Stroke(colour, arc(iris, 10, 165, 0.6), 0.34 * min(iris.a, iris.b))


def paint(strokes: Iterable[Stroke], height: int, width: int, placing: Placing = HERE) -> Image:
    """[height, width, 4] in 0..1: a transparent layer with the strokes on it, later ones over earlier ones."""
    layer = np.zeros((height, width, 4), np.float32)
    for stroke in strokes:
        opacity = np.zeros((height, width), np.uint8)
        thick = max(1, round(stroke.width * _growth(placing)))
        cv2.polylines(opacity, [_carried(stroke.points, placing)], False, 255, thick, cv2.LINE_AA, _SUBPIXEL)
        ours = np.asarray(opacity, np.float32)[..., None] / np.float32(255)
        below = layer[..., 3:] * (1 - ours)
        colour = np.array(stroke.colour, np.float32) / np.float32(255)
        layer[..., :3] = (colour * ours + layer[..., :3] * below) / np.maximum(ours + below, 1e-6)
        layer[..., 3:] = ours + below
    return layer


def select(shapes: Iterable[Oval | Polygon], height: int, width: int, placing: Placing = HERE) -> Image:
    """[height, width]: 1 in any of the shapes, else 0."""
    selected = np.zeros((height, width), np.uint8)
    for shape in shapes:
        cv2.fillPoly(selected, [_carried(shape.outline(), placing)], 1, shift=_SUBPIXEL)
    return selected.astype(np.float32)


def place(point: Point, placing: Placing) -> Point:
    x, y = placing @ (*point, 1.0)
    return float(x), float(y)


def _carried(points: Sequence[Point], placing: Placing) -> NDArray[np.int32]:
    # OpenCV counts from pixel centres.
    carried = [[value - 0.5 for value in place(point, placing)] for point in points]
    return np.round(np.asarray(carried) * (1 << _SUBPIXEL)).astype(np.int32)


def _growth(placing: Placing) -> float:
    return float(np.hypot(placing[0, 0], placing[1, 0]))
