"""Faces, or whatever else a model knows, found in a photo of any size: where they are, how large and how turned."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from gan_edit_engine.finding.abreast import abreast
from gan_edit_engine.finding.apart import apart
from gan_edit_engine.finding.network import CLOSE_FIELD, CLOSE_SIDE, MULTIPLE, STRIDE, FinderNetworks
from gan_edit_engine.finding.pyramid import GRAY, Level, Pixels, cut_square, pyramid
from gan_edit_engine.imaging.crop import AnyImage
from gan_edit_engine.imaging.square import AlignPoints, Square
from gan_edit_protocol.geometry import Align, Crop, Face

Points = NDArray[np.float64]
"""[2, 2]: x and y of the two align points in continuous pixels of the photo."""

SURE = 0.85
"""Faces of a lower score are not told of; how often something else has a higher one is in docs/training.md."""
_WORTH_A_LOOK = 0.2  # heat
_LOOKS = 6  # peaks that are looked at closely
_HOPELESS = 0.05  # score of a look after which there is no other
_TURNED, _HOT = 2, 0.5  # peaks that are looked at in all directions where nothing was found, and their heat at least
_DIRECTIONS, _SIZES = 8, (0.7, 1.4)  # of the usual one
_USUAL = 46.0  # pixels of the level where a face is hot: side of its square, in the middle of what the detector knows
_PEAKS_PER_LEVEL = 12
_GAP = 16  # pixels of gray between levels in one picture
_CLOSEST, _FURTHEST = 4.0, 1e6  # pixels between two points, and of a coordinate


@dataclass(frozen=True)
class _Peak:
    """A hot place of the photo: ``usual`` is the side of a face's square that is hot on this level, in photo pixels."""

    x: float
    y: float
    usual: float
    heat: float
    square: Square | None


@dataclass(frozen=True)
class _Look:
    """``score`` in 0..1, and what it was in the look before."""

    points: Points
    square: Square
    score: float
    before: float

    @property
    def certainty(self) -> float:
        """What is no face seldom deceives two looks alike."""
        return math.sqrt(self.score * self.before)


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
        peaks = _distinct(self._peaks(levels))[:_LOOKS]
        seen = self._look(levels, [peak.square for peak in peaks if peak.square is not None])
        if not seen:
            # The detector may be right about where a face is, and wrong about how it is turned.
            hottest = [peak for peak in peaks[:_TURNED] if peak.heat >= _HOT]
            seen = self._look(levels, [square for peak in hottest for square in _turned(peak)])
        return [_face(one, canonical or self.canonical) for one in seen]

    def heat(self, picture: Pixels) -> tuple[Tensor, Tensor]:
        """Of a picture [H, W, 3]: heat [H/8, W/8] in 0..1 and points [H/8, W/8, 4] in its continuous pixels."""
        height, width = picture.shape[:2]
        padded = F.pad(to_tensor(picture[None]), (0, -width % MULTIPLE, 0, -height % MULTIPLE))
        heat, points = self.networks.detect(padded)
        ys, xs = torch.meshgrid(*(STRIDE * (torch.arange(n) + 0.5) for n in heat.shape[1:]), indexing="ij")
        return heat[0].sigmoid(), points[0].permute(1, 2, 0) + torch.stack([xs, ys, xs, ys], dim=2)

    def _peaks(self, levels: list[Level]) -> list[_Peak]:
        """The peaks of the heat on all levels: of the finest, and of the others in one picture, which takes less."""
        found, parts = [], [part for part in (levels[:1], levels[1:]) if part]
        pictures, lefts = zip(*(_side_by_side([level.pixels for level in part]) for part in parts), strict=True)
        answers = abreast(self.heat, pictures)
        for part, (heat, points), columns in zip(parts, answers, lefts, strict=True):
            for level, left in zip(part, columns, strict=True):
                h, w = (-(-n // STRIDE) for n in level.pixels.shape[:2])
                here = slice(left // STRIDE, left // STRIDE + w)
                found += self._peaks_of(heat[:h, here], points[:h, here] - torch.tensor([left, 0, left, 0]), level)
        return found

    def _peaks_of(self, heat: Tensor, points: Tensor, level: Level) -> list[_Peak]:
        """``heat`` [h, w] and ``points`` [h, w, 4] are the level's alone."""
        peaks = heat * (heat == F.max_pool2d(heat[None], 3, stride=1, padding=1)[0])
        best = peaks.flatten().topk(min(_PEAKS_PER_LEVEL, peaks.numel()))
        scale, found = np.array([level.width, level.height]), []
        for warmth, index in zip(best.values.tolist(), best.indices.tolist(), strict=True):
            if warmth >= _WORTH_A_LOOK:
                y, x = divmod(index, heat.shape[1])
                square = square_of(points[y, x].double().numpy().reshape(2, 2) * scale, self.canonical)
                place = STRIDE * (np.array([x, y]) + 0.5) * scale
                found.append(_Peak(float(place[0]), float(place[1]), _USUAL * level.scale, warmth, square))
        return found

    def _look(self, levels: list[Level], squares: list[Square]) -> list[_Look]:
        """What is a face of these squares, best first.

        Each is looked at three times: the second look is upright to within some degrees, the first is not.
        """
        looks = _apart(self._closer(levels, [(square, 1.0) for square in squares]))
        for mirrored in (False, True):
            hopeful = [(one.square, one.score) for one in looks if one.score >= _HOPELESS]
            looks = self._closer(levels, hopeful, mirrored)
        return [one for one in _apart(looks) if one.certainty >= SURE]

    def _closer(self, levels: list[Level], squares: list[tuple[Square, float]], mirrored: bool = False) -> list[_Look]:
        """One look at each square, given with its score so far; ``mirrored``: the mean with its mirror image."""
        if not squares:
            return []
        cuts = np.stack([cut_square(levels, square, CLOSE_SIDE, CLOSE_FIELD) for square, _ in squares])
        shown = np.concatenate([cuts, cuts[:, :, ::-1]]) if mirrored else cuts
        answers = abreast(self.networks.look, to_tensor(shown).chunk(torch.get_num_threads()))
        logits, shifts = (torch.cat(parts) for parts in zip(*answers, strict=True))
        places = np.array(self.canonical) + shifts.double().numpy().reshape(-1, 2, 2)
        scores = logits.sigmoid().double().numpy()
        if mirrored:
            count = len(cuts)
            places = (places[:count] + (1, 0) + (-1, 1) * places[count:, ::-1]) / 2
            scores = (scores[:count] + scores[count:]) / 2
        looks = []
        for (square, before), place, score in zip(squares, places, scores, strict=True):
            points = np.array([square.to_photo(x, y) for x, y in place])
            if (own := square_of(points, self.canonical)) is not None:
                looks.append(_Look(points, own, float(score), before))
        return looks


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


def _turned(peak: _Peak) -> list[Square]:
    """Squares of about the usual size in each direction."""
    sides = [max(share * peak.usual, _CLOSEST) for share in _SIZES]
    angles = [360 / _DIRECTIONS * number for number in range(_DIRECTIONS)]
    return [Square.of_square(Crop(peak.x, peak.y, side, angle), 1) for side in sides for angle in angles]


def _distinct(peaks: list[_Peak]) -> list[_Peak]:
    """Hottest first; of those that one face makes, on two levels for instance, the hottest alone."""
    return apart(peaks, lambda peak: peak.heat, lambda peak: (peak.x, peak.y, peak.usual))


def _apart(looks: list[_Look]) -> list[_Look]:
    """Best first, and of those that lie on each other the best alone."""
    return apart(looks, lambda look: look.certainty, lambda look: (*look.square.to_photo(0.5, 0.5), look.square.size))


def _face(look: _Look, canonical: AlignPoints) -> Face:
    align = Align(*look.points.ravel().tolist())
    return Face(align, Square.of_points(align, canonical, 1).crop, look.certainty)
