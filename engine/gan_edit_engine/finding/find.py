"""Faces, or whatever else a model knows, found in a photo of any size: where they are, how large and how turned."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from gan_edit_engine.finding.network import CLOSE_FIELD, CLOSE_SIDE, MULTIPLE, STRIDE, FinderNetworks
from gan_edit_engine.finding.pyramid import GRAY, Level, Pixels, cut_square, pyramid
from gan_edit_engine.imaging.crop import AnyImage
from gan_edit_engine.imaging.square import AlignPoints, Square
from gan_edit_protocol.messages import Align, Crop

Points = NDArray[np.float64]
"""[2, 2]: x and y of the two align points in continuous pixels of the photo."""

SURE = 0.5
"""Faces of a lower score are not told of."""
_WORTH_A_LOOK = 0.2  # heat
_LOOKS = 6  # candidates that are looked at closely
_ROUNDS = 2  # the second look at a face is upright to within some degrees, the first is not
_HOPELESS = 0.05  # score of a look after which there is no other
_GAP = 16  # pixels of gray between levels in one picture
_APART = 0.5  # sides of the square by which the centres of two faces differ at least
_PEAKS_PER_LEVEL = 12


@dataclass(frozen=True)
class Face:
    """``points``: the align points in continuous pixels of the photo, the model's first one first. ``score``: 0..1.

    ``crop``: the square in which these points lie on the model's own.
    """

    points: tuple[tuple[float, float], tuple[float, float]]
    crop: Crop
    score: float


@dataclass(frozen=True)
class _Candidate:
    points: Points
    score: float


def to_tensor(pictures: NDArray[np.uint8]) -> Tensor:
    """[N, H, W, 3] bytes as the networks take them: [N, 3, H, W] in -1..1."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def square_of(points: Points, canonical: AlignPoints, resolution: int = 1) -> Square | None:
    """The model's square by its align points in the photo; None where they make none (too close, or far away)."""
    (x1, y1), (x2, y2) = points.tolist()
    if not (
        np.isfinite(points).all() and math.hypot(x2 - x1, y2 - y1) >= _CLOSEST and np.abs(points).max() < _FURTHEST
    ):
        return None
    return Square.of_points(Align(x1, y1, x2, y2), canonical, resolution)


_CLOSEST, _FURTHEST = 4.0, 1e6  # pixels


class Finder:
    """Finds one kind of thing by its networks; ``canonical``: where its align points lie in the unit square."""

    def __init__(self, networks: FinderNetworks, canonical: AlignPoints) -> None:
        self.networks = networks.fused()
        self.canonical = canonical

    @torch.inference_mode()
    def find(self, photo: AnyImage, canonical: AlignPoints | None = None) -> list[Face]:
        """The faces in a photo [H, W, 3 or 4] of uint8, uint16 or float (0..1), best first.

        ``canonical``: the align points of the model that is to edit them, where they are not the finder's own.
        """
        levels = pyramid(photo)
        found = _distinct(self._candidates(levels), self.canonical)[:_LOOKS]
        for _ in range(_ROUNDS):
            found = [one for one in self._closer(levels, found) if one.score >= _HOPELESS]
        sure = [one for one in _distinct(found, self.canonical) if one.score >= SURE]
        return [face for one in sure if (face := _face(one, canonical or self.canonical)) is not None]

    def heat(self, picture: Pixels) -> tuple[Tensor, Tensor]:
        """Of a picture [H, W, 3]: heat [H/8, W/8] in 0..1 and points [H/8, W/8, 4] in its continuous pixels."""
        height, width = picture.shape[:2]
        padded = F.pad(to_tensor(picture[None]), (0, -width % MULTIPLE, 0, -height % MULTIPLE))
        heat, points = self.networks.detect(padded)
        ys, xs = torch.meshgrid(*(STRIDE * (torch.arange(n) + 0.5) for n in heat.shape[1:]), indexing="ij")
        return heat[0].sigmoid(), points[0].permute(1, 2, 0) + torch.stack([xs, ys, xs, ys], dim=2)

    def _candidates(self, levels: list[Level]) -> list[_Candidate]:
        """The peaks of the heat on all levels: of the finest, and of the others in one picture, which takes less."""
        found = []
        for together in (levels[:1], levels[1:]):
            if together:
                picture, lefts = _side_by_side([level.pixels for level in together])
                heat, points = self.heat(picture)
                for level, left in zip(together, lefts, strict=True):
                    h, w = (-(-n // STRIDE) for n in level.pixels.shape[:2])
                    here = slice(left // STRIDE, left // STRIDE + w)
                    found += _peaks(heat[:h, here], points[:h, here], level, left)
        return found

    def _closer(self, levels: list[Level], candidates: list[_Candidate]) -> list[_Candidate]:
        squares = [s for one in candidates if (s := square_of(one.points, self.canonical)) is not None]
        if not squares:
            return []
        cuts = np.stack([cut_square(levels, square, CLOSE_SIDE, CLOSE_FIELD) for square in squares])
        scores, shifts = self.networks.look(to_tensor(cuts))
        places = np.array(self.canonical) + shifts.double().numpy().reshape(-1, 2, 2)
        return [
            _Candidate(np.array([square.to_photo(x, y) for x, y in place]), float(score))
            for square, place, score in zip(squares, places, scores.sigmoid(), strict=True)
        ]


def _side_by_side(pictures: list[Pixels]) -> tuple[Pixels, list[int]]:
    """All in one row on gray, and the column where each begins: a multiple of the stride."""
    lefts, width = [], 0
    for picture in pictures:
        lefts.append(width)
        width = -(-(width + picture.shape[1] + _GAP) // STRIDE) * STRIDE
    row = np.full((max(len(picture) for picture in pictures), width - _GAP, 3), GRAY, np.uint8)
    for picture, left in zip(pictures, lefts, strict=True):
        row[: picture.shape[0], left : left + picture.shape[1]] = picture
    return row, lefts


def _peaks(heat: Tensor, points: Tensor, level: Level, left: int) -> list[_Candidate]:
    """Of a level that begins at column ``left`` of what the heat [h, w] and the points [h, w, 4] are of."""
    peaks = heat * (heat == F.max_pool2d(heat[None], 3, stride=1, padding=1)[0])
    best = peaks.flatten().topk(min(_PEAKS_PER_LEVEL, peaks.numel()))
    scale = np.array([level.width, level.height])
    return [
        _Candidate((points.flatten(0, 1)[index].double().numpy().reshape(2, 2) - (left, 0)) * scale, float(score))
        for score, index in zip(best.values, best.indices, strict=True)
        if score >= _WORTH_A_LOOK
    ]


def _distinct(candidates: list[_Candidate], canonical: AlignPoints) -> list[_Candidate]:
    """Best first, and of those that lie on each other the best alone."""
    kept: list[tuple[_Candidate, Square]] = []
    for one in sorted(candidates, key=lambda candidate: -candidate.score):
        square = square_of(one.points, canonical)
        if square is not None and all(_apart(square, other) for _, other in kept):
            kept.append((one, square))
    return [one for one, _ in kept]


def _apart(one: Square, other: Square) -> bool:
    (x, y), (u, v) = one.to_photo(0.5, 0.5), other.to_photo(0.5, 0.5)
    return math.hypot(x - u, y - v) >= _APART * max(one.size, other.size)


def _face(candidate: _Candidate, canonical: AlignPoints) -> Face | None:
    square = square_of(candidate.points, canonical)
    if square is None:
        return None
    first, second = ((float(x), float(y)) for x, y in candidate.points)
    return Face((first, second), Crop(*square.to_photo(0.5, 0.5), square.size, square.angle), candidate.score)
