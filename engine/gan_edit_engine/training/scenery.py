"""What faces are laid on, and what is no face: parts of pictures, fur, and textures drawn by chance."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from gan_edit_engine.finding.pyramid import Pixels
from gan_edit_engine.imaging.square import AlignPoints

Random = np.random.Generator

_LONGEST = 900  # pixels: of a background more is never seen
_FUR = 0.3  # side of the corner of a face that shows nothing but fur, in sides of the square


class Scenery:
    """``pictures``: [H, W, 3] uint8 each, without a face.

    ``faces`` [N, R, R, 3] give fur and parts of faces, such as one eye; without any (N = 0) there is nothing of them.
    """

    def __init__(self, pictures: Sequence[Pixels], faces: Pixels, canonical: AlignPoints) -> None:
        self.pictures = [_halves(_at_most(picture, _LONGEST)) for picture in pictures]
        self.faces, self.canonical = faces, canonical

    def draw(self, rng: Random, height: int, width: int) -> Pixels:
        """A background [height, width, 3]."""
        kind = rng.random()
        if self.pictures and kind < 0.7:
            return self._part(rng, self.pictures[rng.integers(len(self.pictures))], height, width)
        if kind < 0.8 and len(self.faces):
            return self._fur(rng, height, width)
        return texture(rng, height, width)

    def lure(self, rng: Random, side: int) -> Pixels:
        """[side, side, 3] that is no face, but may have to do with one: its parts in disorder, an eye, fur."""
        kind = rng.random()
        if kind < 0.35 or not len(self.faces):
            return self.draw(rng, side, side)
        face = self.faces[rng.integers(len(self.faces))]
        if kind < 0.55:
            return self._fur(rng, side, side)
        if kind < 0.8:
            return _resized(self._enlarged(rng, face), side, side)
        return _resized(_shuffled(rng, face), side, side)

    def _part(self, rng: Random, levels: list[Pixels], height: int, width: int) -> Pixels:
        """Some of a picture, given at sizes that halve, at any size and angle, mirrored beyond its border."""
        shown = math.exp(rng.uniform(math.log(0.2), math.log(1.1)))  # of the shorter side
        fitting = [one for one in levels if shown * min(one.shape[:2]) >= 0.7 * min(height, width)]
        picture = fitting[-1] if fitting else levels[0]
        h, w = picture.shape[:2]
        scale = shown * min(h, w) / min(height, width)
        angle = rng.uniform(0, 2 * math.pi) if rng.random() < 0.4 else rng.normal(0, 0.1)
        cos, sin = scale * math.cos(angle), scale * math.sin(angle)
        matrix = np.array([[cos, -sin, 0], [sin, cos, 0]])
        matrix[:, 2] = rng.uniform(0.1, 0.9, 2) * (w, h) - matrix[:, :2] @ (width / 2, height / 2)
        if rng.random() < 0.5:
            matrix[:, 0], matrix[:, 2] = -matrix[:, 0], matrix[:, 2] + matrix[:, 0] * width
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return _bytes(cv2.warpAffine(picture, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT_101))

    def _fur(self, rng: Random, height: int, width: int) -> Pixels:
        face = self.faces[rng.integers(len(self.faces))]
        resolution = len(face)
        side = round(_FUR * resolution)
        left = rng.choice((0, resolution - side))
        top = rng.choice((0, resolution - side))
        return self._part(rng, [face[top : top + side, left : left + side]], height, width)

    def _enlarged(self, rng: Random, face: Pixels) -> Pixels:
        """One eye, or the nose, alone."""
        (x1, y1), (x2, y2) = self.canonical
        x, y = ((x1, y1), (x2, y2), ((x1 + x2) / 2, 0.68))[rng.integers(3)]
        half = rng.uniform(0.12, 0.22)
        resolution = len(face)
        left, right = round(max(0, x - half) * resolution), round((x + half) * resolution)
        top, bottom = round(max(0, y - half) * resolution), round((y + half) * resolution)
        return face[top:bottom, left:right]


def _shuffled(rng: Random, face: Pixels) -> Pixels:
    """The quarters of a face in another order, so that the eyes lie one above the other, or nowhere near."""
    half = len(face) // 2
    quarters = [face[y : y + half, x : x + half] for y in (0, half) for x in (0, half)]
    order = ((0, 2, 1, 3), (3, 1, 2, 0), (2, 0, 1, 3), (0, 3, 2, 1))[rng.integers(4)]
    a, b, c, d = (quarters[i] for i in order)
    return np.vstack([np.hstack([a, b]), np.hstack([c, d])])


def texture(rng: Random, height: int, width: int) -> Pixels:
    """A picture of nothing: noise of many sizes, stripes, or shapes that cover each other (dead leaves)."""
    kind = rng.random()
    if kind < 0.35:
        return _noise(rng, height, width)
    if kind < 0.5:
        return _stripes(rng, height, width)
    return _leaves(rng, height, width)


def _noise(rng: Random, height: int, width: int) -> Pixels:
    total = np.full((height, width, 3), rng.uniform(30, 220, 3), np.float32)
    for cells in (2, 5, 12, 30):
        grid = rng.normal(0, rng.uniform(0, 40), (cells, cells, 3 if rng.random() < 0.5 else 1)).astype(np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC).reshape(height, width, -1)
    return _bytes(total.clip(0, 255))


def _stripes(rng: Random, height: int, width: int) -> Pixels:
    angle, period = rng.uniform(0, math.pi), math.exp(rng.uniform(1, 4))
    xs = np.arange(width, dtype=np.float32)[None] * math.cos(angle) + np.arange(height)[:, None] * math.sin(angle)
    wave = 0.5 + 0.5 * np.sin(2 * math.pi * xs / period + rng.uniform(0, 6))
    wave = np.clip((wave - 0.5) * rng.uniform(1, 8) + 0.5, 0, 1)[..., None]
    return _bytes(rng.uniform(0, 255, 3) * wave + rng.uniform(0, 255, 3) * (1 - wave))


def _leaves(rng: Random, height: int, width: int) -> Pixels:
    picture = np.ascontiguousarray(np.full((height, width, 3), rng.uniform(0, 255, 3), np.uint8))
    for _ in range(rng.integers(8, 60)):
        centre = rng.uniform(0, 1, 2) * (width, height)
        radius = math.exp(rng.uniform(math.log(2), math.log(0.4 * min(height, width))))
        add_shape(rng, picture, centre, radius)
    return picture


def add_shape(rng: Random, picture: Pixels, centre: NDArray[np.float64], radius: float) -> None:
    """Draw an ellipse, a polygon or a bar of one colour into ``picture``."""
    colour, kind = rng.uniform(0, 255, 3).tolist(), rng.random()
    x, y = (int(v) for v in centre)
    if kind < 0.45:
        axes = int(radius) + 1, int(radius * rng.uniform(0.3, 1)) + 1
        cv2.ellipse(picture, (x, y), axes, rng.uniform(0, 360), 0, 360, colour, -1, cv2.LINE_AA)
    elif kind < 0.8:
        turns = np.sort(rng.uniform(0, 2 * math.pi, rng.integers(3, 8)))
        corners = centre + radius * np.stack([np.cos(turns), np.sin(turns)], axis=1)
        cv2.fillPoly(picture, [corners.astype(np.int32)], colour, cv2.LINE_AA)
    else:
        turn = rng.uniform(0, math.pi)
        reach = 2 * radius * np.array([math.cos(turn), math.sin(turn)])
        ends = [tuple(int(v) for v in centre + sign * reach) for sign in (-1, 1)]
        cv2.line(picture, ends[0], ends[1], colour, int(rng.uniform(1, 1 + 0.3 * radius)), cv2.LINE_AA)


def _halves(picture: Pixels) -> list[Pixels]:
    """The picture, and halves of it down to the smallest that shows anything."""
    levels = [picture]
    while min(levels[-1].shape[:2]) >= 64:
        levels.append(_resized(levels[-1], levels[-1].shape[0] // 2, levels[-1].shape[1] // 2))
    return levels


def _at_most(picture: Pixels, longest: int) -> Pixels:
    shrink = max(picture.shape[:2]) / longest
    height, width = picture.shape[:2]
    return picture if shrink <= 1 else _resized(picture, round(height / shrink), round(width / shrink))


def _resized(picture: Pixels, height: int, width: int) -> Pixels:
    shrinks = height < picture.shape[0]
    flags = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return _bytes(cv2.resize(np.ascontiguousarray(picture), (max(1, width), max(1, height)), interpolation=flags))


def _bytes(pixels: NDArray[np.generic]) -> Pixels:
    return np.asarray(pixels).astype(np.uint8, copy=False)
