"""What each stroke of a scribble speaks for: the thing that it lies on, near by, in the end all of its kind.

Arrays are float32 at the model's resolution: colours [R, R, 3] in 0..1, maps [R, R] or one for each stroke, [N, R, R].
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from gan_edit_engine.photo import Image

Where = NDArray[np.bool_]

_TOUCHED = 0.05  # coverage of a model pixel from which on it belongs to a stroke
_MOST_STROKES = 64  # so many are told apart, the largest; all others count as one
_OTHER_COLOUR = 0.25  # distance of colours at which two strokes that touch are two
_OTHER_THING = 0.18  # distance from a stroke's median colour at which a place counts half
_UNLIKE, _ALIKE = 0.35, 0.75  # kinship that is none, and that is full
_STRANGE = 0.08  # kinship with every stroke below which a place is none of their business
_BESIDE, _REGION = 0.04, 0.3  # of the side: how far a stroke reaches (standard deviations)
_SEVERAL, _SOME, _MOST = 3, 0.2, 0.45  # strokes, and shares of the selection that they claim, that mean all of it


def separate(photo: Image, paint: Image, painted: Image) -> Image:
    """[N, R, R]: each stroke of ``painted`` as far as it is meant; ``paint``: the painted colours.

    A stroke means the thing that most of it lies on: a pupil or a catchlight that a stroke across an iris runs over is
    not asked to become one with it.
    """
    strokes = []
    for stroke in _connected(paint, _touched(painted)):
        strange = np.linalg.norm(photo - np.median(photo[stroke], axis=0), axis=-1) / _OTHER_THING
        strokes.append(stroke * painted / (1 + strange**2))
    return np.asarray(strokes, np.float32)


def _touched(coverage: Image) -> Where:
    """Where strokes lie; those that are thinner than that everywhere, on a large photo, lie where they are thickest."""
    return coverage > min(_TOUCHED, float(coverage.max()) / 2)


def _connected(paint: Image, where: Where) -> list[Where]:
    """Places that hang together and are of nearly one colour, largest first."""
    found: list[Where] = []
    left = where.copy()
    while left.any() and len(found) < _MOST_STROKES - 1:
        count, labels, stats, _ = cv2.connectedComponentsWithStats(left.astype(np.uint8), connectivity=8)
        largest = labels == 1 + int(stats[1:count, cv2.CC_STAT_AREA].argmax())
        colour = np.median(paint[largest], axis=0)
        same = largest & (np.linalg.norm(paint - colour, axis=-1) < _OTHER_COLOUR)
        found.append(same if same.any() else largest)
        left &= ~found[-1]
    if left.any():
        found.append(left)
    return found


def reached(kinship: Image, strokes: Image, selected: Image, reach: float) -> Image:
    """[N, R, R]: how far each stroke counts in each place: where its kind is, less the further away; at most 1 in sum.

    ``kinship`` [N, R, R]: of each place with what the stroke lies on. ``selected``: what may change. ``reach``: 0 the
    part under the stroke, 1 all of its kind. Who strokes over most of what is selected means all of it.
    """
    away = np.stack([cv2.distanceTransform((~_touched(s)).astype(np.uint8), cv2.DIST_L2, 5) for s in strokes])
    radius = strokes.shape[-1] * (_BESIDE + _REGION * reach**2 / max(1 - reach, 1e-3))
    near = np.exp(-0.5 * np.square(away / radius))
    counts = np.maximum(step(kinship, _UNLIKE, _ALIKE) * near, np.minimum(strokes, near))
    claimed = counts.max(0)
    if len(strokes) >= _SEVERAL:
        share = float((claimed * selected).sum() / max(float(selected.sum()), 1e-6))
        all_of_it = step(np.float32(share), 2 * (1 - reach) * _SOME, 2 * (1 - reach) * _MOST)
        nearest = 1 / np.square(np.square(away + radius / 4))
        counts = counts + all_of_it * (1 - claimed) * step(kinship.max(0), _STRANGE, _UNLIKE) * nearest / nearest.sum(0)
    return np.asarray(counts / np.maximum(counts.sum(0), 1), np.float32)


def step(value: Image | np.float32, low: float, high: float) -> Image:
    """0 up to ``low``, 1 from ``high`` on, smooth between."""
    t = np.clip((value - low) / max(high - low, 1e-6), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
