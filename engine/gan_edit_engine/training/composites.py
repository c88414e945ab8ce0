"""Pictures to learn from: faces laid on backgrounds at places, sizes and angles that are known because they were drawn.

Coordinates are as in ``crop``: continuous pixels, x right, y down. Every picture is a function of a seed and its
number alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gan_edit_engine.finding.pyramid import Pixels
from gan_edit_engine.imaging.square import AlignPoints
from gan_edit_engine.training.scenery import Random, Scenery, add_shape

Points = NDArray[np.float64]

_MARGIN = 0.19  # beyond the square a face goes on mirrored for so much of its side
_MATTES = 192
_TRIES = 5  # to find a free place for one more face
_MATTE_SIDE = 128


@dataclass(frozen=True)
class Placed:
    """A face in a picture: its align points [2, 2], and the side of the model's square in pixels."""

    points: Points
    size: float


@dataclass(frozen=True)
class Composite:
    """``picture`` [H, W, 3] uint8 and all the faces in it."""

    picture: Pixels
    faces: list[Placed]


@dataclass(frozen=True)
class Recipe:
    """``height`` and ``width`` in pixels; ``sizes``: smallest and largest side of a face's square.

    ``counts``: the chances of 0, 1, 2, … faces. ``lures``: patches that are no face are laid on as faces are, so that
    the border of what was laid on teaches nothing; up to so many. ``light``: how much the exposures differ; at 1 some
    faces become black or white. ``covered``: how many faces something else lies on.
    """

    height: int
    width: int
    sizes: tuple[float, float]
    counts: tuple[float, ...] = (0.25, 0.5, 0.2, 0.05)
    lures: int = 3
    light: float = 1.0
    covered: float = 0.25


class Composer:
    """Draws composites of ``faces`` [N, R, R, 3] uint8, whose align points lie at ``canonical`` (unit square)."""

    def __init__(self, faces: Pixels, canonical: AlignPoints, scenery: Scenery) -> None:
        self.faces, self.canonical, self.scenery = faces, np.array(canonical), scenery
        self._mattes = [_matte(np.random.default_rng([2, i])) for i in range(_MATTES)]

    def compose(self, rng: Random, recipe: Recipe) -> Composite:
        """One picture."""
        picture = self.scenery.draw(rng, recipe.height, recipe.width)
        placed: list[Placed] = []
        for _ in range(rng.integers(recipe.lures + 1)):
            self._lay(rng, picture, self.scenery.lure(rng, self.faces.shape[1]), _place(rng, recipe), recipe.light)
        for _ in range(rng.choice(len(recipe.counts), p=recipe.counts)):
            tries = (_place(rng, recipe) for _ in range(_TRIES))
            free = (place for place in tries if all(_apart(place, self.canonical, other) for other in placed))
            if (place := next(free, None)) is not None:
                placed.append(self._add_face(rng, picture, place, recipe))
        return Composite(_taken(rng, picture, recipe.light), placed)

    def _add_face(self, rng: Random, picture: Pixels, place: _Place, recipe: Recipe) -> Placed:
        face, points = self.faces[rng.integers(len(self.faces))], self.canonical
        if rng.random() < 0.5:
            face, points = face[:, ::-1], points[::-1] * (-1, 1) + (1, 0)
        self._lay(rng, picture, face, place, recipe.light)
        placed = Placed(place.to_picture(points), place.size)
        if rng.random() < recipe.covered:
            _cover(rng, picture, placed)
        return placed

    def _lay(self, rng: Random, picture: Pixels, patch: Pixels, place: _Place, light: float) -> None:
        """Blend a square patch, a face or anything else, into the picture; beyond its square it goes on mirrored."""
        # Each pixel is to be the mean of what it covers, which warpAffine alone does not see to.
        while len(patch) > 1.5 * place.size:
            half = len(patch) // 2
            patch = np.asarray(cv2.resize(patch, (half, half), interpolation=cv2.INTER_AREA))
        margin = round(_MARGIN * len(patch))
        margined = cv2.copyMakeBorder(patch, margin, margin, margin, margin, cv2.BORDER_REFLECT_101)
        patch = _lit(rng, np.asarray(margined, np.uint8), strength=0.4 * light)
        side = len(patch)
        matte = cv2.resize(self._mattes[rng.integers(_MATTES)], (side, side), interpolation=cv2.INTER_LINEAR)
        box, matrix = place.box(picture, side, side / (side - 2 * margin))
        if box is None:
            return
        x0, y0, x1, y1 = box
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = (x1 - x0, y1 - y0)
        warped = cv2.warpAffine(patch, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        weight = cv2.warpAffine(matte, matrix, size, flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=0.0)
        region = picture[y0:y1, x0:x1]
        region[:] = np.round(region + weight[..., None] * (warped - region.astype(np.float32)))


@dataclass(frozen=True)
class _Place:
    """The square's centre, its side, and how far it is turned, in radians clockwise."""

    x: float
    y: float
    size: float
    angle: float

    def to_picture(self, points: Points) -> Points:
        """Points of the unit square [N, 2] in the picture."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return (self.x, self.y) + (points - 0.5) * self.size @ np.array([[cos, sin], [-sin, cos]])

    def box(
        self, picture: Pixels, side: int, field: float
    ) -> tuple[tuple[int, int, int, int] | None, NDArray[np.float64]]:
        """What a patch covers of the picture, and OpenCV's map from there into the patch.

        ``side``: the patch's, in its own pixels; ``field``: in sides of the square.
        """
        extent = self.size * field
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        reach = extent / 2 * (abs(cos) + abs(sin)) + 1
        height, width = picture.shape[:2]
        x0, y0 = max(0, math.floor(self.x - reach)), max(0, math.floor(self.y - reach))
        x1, y1 = min(width, math.ceil(self.x + reach)), min(height, math.ceil(self.y + reach))
        step = side / extent
        matrix = np.array([[cos, sin, 0.0], [-sin, cos, 0.0]]) * step
        offset = np.array([x0 + 0.5 - self.x, y0 + 0.5 - self.y])
        matrix[:, 2] = matrix[:, :2] @ offset + side / 2 - 0.5
        return ((x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None), matrix


def _place(rng: Random, recipe: Recipe) -> _Place:
    size = math.exp(rng.uniform(*np.log(recipe.sizes)))
    # The eyes lie in the picture, or nearly; the rest of the face need not.
    margin = min(0.3 * size, 0.4 * recipe.width, 0.4 * recipe.height)
    x, y = rng.uniform(margin, recipe.width - margin), rng.uniform(margin, recipe.height - margin)
    upright = rng.random() < 0.3
    return _Place(x, y, size, rng.normal(0, 0.3) if upright else rng.uniform(-math.pi, math.pi))


def _apart(place: _Place, canonical: Points, other: Placed) -> bool:
    """Whether neither face hides the other."""
    middle = place.to_picture(canonical).mean(axis=0)
    return bool(math.dist(middle, other.points.mean(axis=0)) > 0.75 * (place.size + other.size))


def _matte(rng: Random) -> NDArray[np.float32]:
    """How much of a face is seen where, [side, side] in 0..1 over the square and its margin: an uneven soft oval."""
    steps = (np.arange(_MATTE_SIDE, dtype=np.float32) + 0.5) / _MATTE_SIDE - 0.5
    u, v = np.meshgrid(steps * (1 + 2 * _MARGIN), steps * (1 + 2 * _MARGIN))
    u, v = u - rng.normal(0, 0.03), v - rng.normal(0, 0.03)
    if rng.random() < 0.12:  # all there is
        return np.ones_like(u)
    across, down, power = rng.uniform(0.44, 0.72), rng.uniform(0.42, 0.72), math.exp(rng.uniform(0.6, 2.2))
    radius = ((np.abs(u) / across) ** power + (np.abs(v) / down) ** power) ** (1 / power)
    turn = np.arctan2(v, u)
    for waves in (1, 2, 3, 5):
        radius = radius * (1 + rng.uniform(0, 0.06) * np.sin(waves * turn + rng.uniform(0, 6)))
    soft = math.exp(rng.uniform(math.log(0.02), math.log(0.3)))
    return np.clip((1 - radius) / soft + 0.5, 0, 1).astype(np.float32)


def _cover(rng: Random, picture: Pixels, face: Placed) -> None:
    """Something in front of some of the face, of at most one eye."""
    middle = face.points.mean(axis=0)
    turn = rng.uniform(0, 2 * math.pi)
    centre = middle + face.size * rng.uniform(0.3, 0.55) * np.array([math.cos(turn), math.sin(turn)])
    add_shape(rng, picture, centre, face.size * rng.uniform(0.05, 0.25))


def _lit(rng: Random, pixels: Pixels, strength: float) -> Pixels:
    """Another exposure, contrast and colour of the light."""
    levels = np.arange(256) / 255
    contrast, gamma = math.exp(rng.normal(0, 0.35 * strength)), math.exp(rng.normal(0, 0.45 * strength))
    gains = np.exp(rng.normal(0, 0.3 * strength) + rng.normal(0, 0.1 * strength, 3))
    curve = ((levels**gamma)[:, None] * gains - 0.5) * contrast + 0.5
    table = np.round(curve.clip(0, 1) * 255).astype(np.uint8)[None]
    return np.asarray(cv2.LUT(np.ascontiguousarray(pixels), table))


def _taken(rng: Random, picture: Pixels, light: float) -> Pixels:
    """The picture as some camera and program might have kept it: light, colours, blur, noise, JPEG."""
    picture = _lit(rng, picture, strength=0.7 * light)
    if rng.random() < 0.12:
        picture = np.repeat(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    if rng.random() < 0.3:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), math.exp(rng.uniform(-1.2, 0.5))))
    if rng.random() < 0.4:
        shape = (*picture.shape[:2], 3 if rng.random() < 0.6 else 1)
        noise = rng.standard_normal(shape, np.float32) * rng.uniform(1, 14)
        picture = (picture + noise).clip(0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 96))]
        picture = np.asarray(cv2.imdecode(cv2.imencode(".jpg", picture, quality)[1], cv2.IMREAD_COLOR))
    return np.ascontiguousarray(picture, np.uint8)
