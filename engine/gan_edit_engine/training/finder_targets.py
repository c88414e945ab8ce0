"""What the two networks of a finder are to answer about pictures whose faces are known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gan_edit_engine.finding.find import square_of
from gan_edit_engine.finding.network import STRIDE
from gan_edit_engine.imaging.square import AlignPoints, Square
from gan_edit_engine.training.composites import Composite, Placed, Points
from gan_edit_engine.training.scenery import Random

KNOWN = (26.0, 80.0)
"""Sides of the squares of faces that the detector is to see, in pixels: more than an octave, as levels halve."""
UNSURE = (19.0, 105.0)
"""Of faces between this and ``KNOWN`` nothing is asked; smaller and larger ones it is not to see."""
_CENTRE = 0.16  # sides of the square around its centre where cells tell of the points
_SPREAD = 0.1  # standard deviation of the heat, in sides of the square


@dataclass(frozen=True)
class Targets:
    """Of pictures of n × n cells. ``heat``: [n, n] in 0..1, 1 in the cell of a centre. ``asked``: [n, n] in 0..1.

    ``points``: [4, n, n] pixels from the cell's centre. ``weight``: [n, n]: 1 / size where a cell tells of points.
    """

    heat: NDArray[np.float32]
    asked: NDArray[np.float32]
    points: NDArray[np.float32]
    weight: NDArray[np.float32]


def detector_targets(composite: Composite, cells: int, canonical: AlignPoints) -> Targets:
    """What the detector is to answer about the composite in the top left of a picture of so many cells a side."""
    ys, xs = STRIDE * (np.mgrid[:cells, :cells].astype(np.float32) + 0.5)
    heat, asked, weight = np.zeros_like(xs), np.ones_like(xs), np.zeros_like(xs)
    points = np.zeros((4, cells, cells), np.float32)
    for face in composite.faces:
        x, y = centre(face, canonical)
        distance = np.hypot(xs - x, ys - y)
        if not seen(face, composite) or not KNOWN[0] <= face.size <= KNOWN[1]:
            if not seen(face, composite) or UNSURE[0] <= face.size <= UNSURE[1]:
                asked[distance < 0.4 * face.size] = 0
            continue
        nearest = np.unravel_index(int(distance.argmin()), distance.shape)
        heat = np.maximum(heat, np.exp(-0.5 * (distance / (_SPREAD * face.size)) ** 2))
        heat[nearest] = 1
        near = distance < _CENTRE * face.size
        near[nearest] = True
        (x1, y1), (x2, y2) = face.points
        for channel, offset in enumerate((x1 - xs, y1 - ys, x2 - xs, y2 - ys)):
            points[channel][near] = offset[near]
        weight[near] = 1 / face.size
    return Targets(heat, asked, points, weight)


def seen(face: Placed, composite: Composite) -> bool:
    """Whether both align points lie in the picture."""
    height, width = composite.picture.shape[:2]
    return bool((face.points >= 0).all() and (face.points <= (width, height)).all())


def centre(face: Placed, canonical: AlignPoints) -> tuple[float, float]:
    """The centre of the face's square."""
    square = square_of(face.points, canonical)
    assert square is not None
    return square.to_photo(0.5, 0.5)


@dataclass(frozen=True)
class CloseTarget:
    """``score``: 1 for a face, 0 for none, None where nothing is asked. ``shifts``: [4], None unless it is one."""

    score: float | None
    shifts: NDArray[np.float32] | None


def close_target(square: Square, composite: Composite, canonical: AlignPoints) -> CloseTarget:
    """What the refiner is to say of a square (of resolution 1): whether a face is about there, and where exactly."""
    score: float | None = 0.0
    for face in composite.faces:
        own = square_of(face.points, canonical)
        assert own is not None
        (x, y), (u, v) = square.to_photo(0.5, 0.5), own.to_photo(0.5, 0.5)
        shift = math.hypot(x - u, y - v) / own.size
        zoom = abs(math.log(square.size / own.size))
        turn = abs(math.remainder(square.angle - own.angle, 360))
        if shift < 0.3 and zoom < 0.45 and turn < 45:
            if not seen(face, composite):
                return CloseTarget(None, None)
            there = np.array([square.from_photo(px, py) for px, py in face.points])
            return CloseTarget(1.0, (there - np.array(canonical)).ravel().astype(np.float32))
        if shift < 0.5 and zoom < 0.8 and turn < 75:
            score = None
    return CloseTarget(score, None)


def about(rng: Random, points: Points, canonical: AlignPoints, exactly: bool) -> Square | None:
    """A square near a face's own, as a first look gives it or, ``exactly``, a second."""
    own = square_of(points, canonical)
    if own is None:
        return None
    spread = 0.25 if exactly else 1.0
    zoom, turn = math.exp(rng.normal(0, 0.16 * spread)), rng.normal(0, 14 * spread)
    x, y = own.to_photo(0.5, 0.5)
    dx, dy = rng.normal(0, 0.09 * spread * own.size, 2)
    return square_around(x + dx, y + dy, own.size * zoom, own.angle + turn)


def square_around(x: float, y: float, size: float, angle: float) -> Square:
    """The square of resolution 1 with that centre, side and angle in degrees."""
    turn = math.radians(angle)
    cos, sin = math.cos(turn), math.sin(turn)
    half = size / 2
    return Square(x - half * cos + half * sin, y - half * sin - half * cos, size, angle, 1)
