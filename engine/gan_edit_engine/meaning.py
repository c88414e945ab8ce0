"""What of the model's change is meant, and in which colours: between the strokes, the model's images and the photo.

The model says what a change looks like, the paint says which colour. Arrays are float32 at the model's resolution,
colours [R, R, 3] in the display range 0..1, maps [R, R] or one for each stroke, [N, R, R].
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from gan_edit_engine.photo import LUMA, Image
from gan_edit_engine.strokes import step

_FULL = 0.95  # of the paint's colours
_NOTHING, _SEEN = 0.01, 0.05  # changes (RMS of the channels) that nobody sees, and that one does
_SMOOTH = 2.0  # pixels
_FLAT = 3e-4  # variance of luma below which there is no structure
_SAME, _NEW = 0.6, 1.0  # 1 less the correlation of detail: of a structure that is still there, and of another


@dataclass(frozen=True)
class Meaning:
    """``change``: what is added to the photo's colours; ``matte``: where, 0..1; ``new``: how new the structure is."""

    change: Image
    matte: Image
    new: Image


def meaning(photo: Image, before: Image, after: Image, paint: Image, strokes: Image, counts: Image) -> Meaning:
    """``photo``, and the model's images ``before`` and ``after`` the edit.

    ``paint``: the painted colours; ``strokes`` and ``counts``: what each lies on, and where it counts.
    """
    change = after - before
    change = change + _FULL * _carried(photo + change, paint, strokes, counts)
    size = np.sqrt(np.square(cv2.GaussianBlur(change, (0, 0), 1.0)).mean(-1))
    matte = np.minimum(counts.sum(0), 1) * step(size, _NOTHING, _SEEN)
    return Meaning(change, np.asarray(matte, np.float32), _newness(before, after))


def _carried(reached: Image, paint: Image, strokes: Image, counts: Image) -> Image:
    """What is missing to each stroke's colour, carried to the places where the stroke counts."""
    total = np.zeros_like(paint)
    for stroke, count in zip(strokes, counts, strict=True):
        missing = ((paint - reached) * stroke[..., None]).sum((0, 1)) / max(float(stroke.sum()), 1e-6)
        total += count[..., None] * missing
    return total


def _newness(before: Image, after: Image) -> Image:
    """How far the light and dark detail of the two images differs: by 1 less their local correlation.

    A structure that only changed its colour or contrast is not new; one that came, went or moved is.
    """
    fine_before, fine_after = _fine(before), _fine(after)
    common = _local(fine_before * fine_after)
    alone = np.sqrt((_local(np.square(fine_before)) + _FLAT) * (_local(np.square(fine_after)) + _FLAT))
    return step(np.asarray(1 - (common + _FLAT) / alone, np.float32), _SAME, _NEW)


def _fine(image: Image) -> Image:
    luma = image @ LUMA
    return np.asarray(luma - cv2.GaussianBlur(luma, (0, 0), _SMOOTH), np.float32)


def _local(values: Image) -> Image:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), 2 * _SMOOTH), np.float32)
