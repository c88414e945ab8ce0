"""What each stroke of a scribble speaks for: the thing that it lies on, near by, in the end all of its kind.

Arrays are float32 at the model's resolution: colours [R, R, 3] in 0..1, maps [R, R] or one for each stroke, [N, R, R].
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gan_edit_engine.imaging.crop import Image

Where = NDArray[np.bool_]

TOUCHED = 0.05
"""Coverage of a model pixel from which on it belongs to a stroke."""

_MOST_STROKES = 64  # so many are told apart
_CRUMB = 5  # model pixels below which a piece is no stroke, but where two colours touch
_OPAQUE = 90  # percentile of a stroke's opacity: its edges do not count
_OTHER_COLOUR = 0.25  # distance of colours at which two strokes that touch are two
_OTHER_THING = 0.18  # distance from a stroke's median colour at which a place counts half
_UNLIKE, _ALIKE = 0.25, 0.65  # kinship that is none, and that is full
_STRANGE = 0.08  # kinship with every stroke below which a place is none of their business
_BESIDE, _REGION = 0.04, 0.2  # of the side: how far a stroke reaches (standard deviations)
_THING, _STUFF = 0.3, 0.55  # share of its kind around a stroke: of an iris, which ends, and of fur, which goes on
_NARROW, _WIDE = 0.25, 0.75  # times half its width, and that times the reach: so far a stroke reaches on what goes on
_MELTS, _AT_MOST = 0.07, 0.35  # of the side, and of half the selection's width: the band before an edge that cuts
_SEVERAL, _SOME, _MOST = 4, 0.2, 0.45  # strokes, and shares of the selection that they claim, that mean all of it


@dataclass(frozen=True)
class Strokes:
    """``meant`` [N, R, R]: each stroke as far as it is meant; ``paint`` [R, R, 3]: the colours that they ask for."""

    meant: Image
    paint: Image


def separate(photo: Image, before: Image, colours: Image, cover: Image, opacity: Image) -> Strokes:
    """The strokes of a scribble with the given ``colours``, ``cover`` and ``opacity`` on the ``photo``.

    A stroke means the thing that most of it lies on: a pupil that a stroke across an iris runs over is not asked to
    become one with it. What lies there is asked of ``before``, the model's own image of the photo: a scar or a glare,
    which the model does not know, is painted over. A transparent brush asks for the mixture that one sees.
    """
    meant, paint = [], photo.copy()
    for stroke in _connected(colours, _touched(cover)):
        opaque = float(np.percentile(opacity[stroke], _OPAQUE))
        strange = np.linalg.norm(before - np.median(before[stroke], axis=0), axis=-1) / _OTHER_THING
        meant.append(stroke * np.minimum(cover / max(opaque, 1e-3), 1) / (1 + strange**2))
        paint[stroke] = opaque * colours[stroke] + (1 - opaque) * photo[stroke]
    return Strokes(np.asarray(meant, np.float32), paint)


def _touched(cover: Image) -> Where:
    """Where strokes lie; those that are thinner than that everywhere, on a large photo, lie where they are thickest."""
    return cover > min(TOUCHED, float(cover.max()) / 2)


def _connected(colours: Image, where: Where) -> list[Where]:
    """Places that hang together and are of nearly one colour, largest first; crumbs belong to the likest of them."""
    found: list[Where] = []
    left = where.copy()
    while left.any():
        count, labels, stats, _ = cv2.connectedComponentsWithStats(left.astype(np.uint8), connectivity=8)
        largest = labels == 1 + int(stats[1:count, cv2.CC_STAT_AREA].argmax())
        near = np.linalg.norm(colours - np.median(colours[largest], axis=0), axis=-1) < _OTHER_COLOUR
        stroke = largest & near if (largest & near).any() else largest
        if found and (stroke.sum() < _CRUMB or len(found) == _MOST_STROKES):
            likest = min(
                found, key=lambda other: float(np.linalg.norm(colours[other].mean(0) - colours[stroke].mean(0)))
            )
            likest |= stroke
        else:
            found.append(stroke)
        left &= ~stroke
    return found


def reached(kinship: Image, strokes: Image, selected: Image, reach: float) -> Image:
    """[N, R, R]: how far each stroke counts in each place: where its kind is, less the further away; at most 1 in sum.

    ``kinship`` [N, R, R]: of each place with what the stroke lies on. ``selected``: what may change. ``reach``: 0 the
    part under the stroke, 1 all of its kind. A stroke on what goes on all around, as fur does, asks for a patch about
    as wide as itself, whose edge is soft. Who strokes over most of a part of the selection means all of it.
    """
    kind = step(kinship, _UNLIKE, _ALIKE)
    away = np.stack([cv2.distanceTransform((~_touched(s)).astype(np.uint8), cv2.DIST_L2, 5) for s in strokes])
    further = reach**2 / max(1 - reach, 1e-3)
    far = strokes.shape[-1] * (_BESIDE + _REGION * further)
    near = np.exp(-0.5 * np.square(away / far))
    claimed = np.maximum(kind * near, np.minimum(strokes, near))
    goes_on = step((kind * near).sum((1, 2)) / near.sum((1, 2)), _THING, _STUFF)[:, None, None]
    width = np.array([cv2.distanceTransform(_touched(s).astype(np.uint8), cv2.DIST_L2, 5).max() for s in strokes])
    patch = np.minimum(width * (_NARROW + _WIDE * further) + 1, far)[:, None, None]
    near = np.exp(-0.5 * np.square(away / (far + goes_on * (patch - far))))
    counts = np.maximum(kind * near * np.stack([_before_the_cut(k, selected) for k in kind]), np.minimum(strokes, near))
    nearest = 1 / np.square(np.square(away + far / 4))
    whole = step(kinship.max(0), _STRANGE, _UNLIKE) * _before_the_cut(kind.max(0), selected)
    count, parts = cv2.connectedComponents((selected > TOUCHED).astype(np.uint8))
    for part in (parts == number for number in range(1, count)):
        if sum(bool(stroke[part].any()) for stroke in strokes) < _SEVERAL:
            continue
        share = float((claimed.max(0) * selected)[part].sum() / selected[part].sum())
        all_of_it = part * step(np.float32(share), 2 * (1 - reach) * _SOME, 2 * (1 - reach) * _MOST)
        counts = counts + all_of_it * (1 - counts.max(0)) * whole * nearest / nearest.sum(0)
    return np.asarray(counts / np.maximum(counts.sum(0), 1), np.float32)


def _before_the_cut(kind: Image, selected: Image) -> Image:
    """[R, R]: 1, falling to 0 towards places of the same ``kind`` that are not selected: there an edge would show."""
    cut = (kind > 0.5) & (selected < 0.5)
    if not cut.any():
        return np.ones_like(kind)
    inside = cv2.distanceTransform((selected >= 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    band = min(_MELTS * kind.shape[-1], _AT_MOST * float(inside.max()))
    return step(np.asarray(cv2.distanceTransform((~cut).astype(np.uint8), cv2.DIST_L2, 5), np.float32), 0, band)


def grown(where: Where, size: int) -> Where:
    """``where`` [R, R] and all that lies within ``size`` // 2 pixels of it, in a square."""
    return np.asarray(cv2.dilate(where.astype(np.uint8), np.ones((size, size), np.uint8)), bool)


def step(value: Image | np.float32, low: float, high: float) -> Image:
    """0 up to ``low``, 1 from ``high`` on, smooth between."""
    t = np.clip((value - low) / max(high - low, 1e-6), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
