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
_BLURRED = 0.5  # of the energy that a structure had, below which nothing was drawn in its place
_UNKNOWN = 0.12, 0.3  # distances of two colours that are of one thing, and of different ones
_SAME, _NEW = 0.7, 0.95  # 1 less the correlation of detail: of a structure that is still there, and of another


@dataclass(frozen=True)
class Meaning:
    """What becomes of the photo: ``base`` is what it shows but for what was painted ``over``, 0..1, a scar or a glare.

    ``change``: what is added to the base's colours; ``matte``: where, 0..1; ``new``: how new the structure is.
    """

    base: Image
    over: Image
    change: Image
    matte: Image
    new: Image


def meaning(photo: Image, before: Image, after: Image, paint: Image, strokes: Image, counts: Image) -> Meaning:
    """``photo``, and the model's images ``before`` and ``after`` the edit.

    ``paint``: the painted colours; ``strokes`` and ``counts``: what each lies on, and where it counts.
    """
    change = after - before
    over = _painted_over(photo, before, paint, strokes)
    base = photo + over[..., None] * (before - photo)
    change = change + _FULL * _carried(base + change, paint, strokes, counts)
    size = np.sqrt(np.square(cv2.GaussianBlur(change, (0, 0), 1.0)).mean(-1))
    matte = np.maximum(np.minimum(counts.sum(0), 1) * step(size, _NOTHING, _SEEN), over)
    return Meaning(base, over, change, np.asarray(matte, np.float32), np.maximum(_newness(before, after), over))


def _carried(reached: Image, paint: Image, strokes: Image, counts: Image) -> Image:
    """What is missing to each stroke's colour, carried to the places where the stroke counts.

    Light is added, but taken away in proportion: dark fur that is painted darker does not turn blue for want of red.
    """
    total = np.zeros_like(paint)
    for stroke, count in zip(strokes, counts, strict=True):
        if not stroke.any():
            continue
        weight = stroke[..., None] / stroke.sum()
        asked, there = (paint * weight).sum((0, 1)), np.maximum((reached * weight).sum((0, 1)), 1e-3)
        added = np.maximum(asked - there, 0) + np.maximum(reached, 0) * (np.minimum(asked / there, 1) - 1)
        total += count[..., None] * added
    return total


def _newness(before: Image, after: Image) -> Image:
    """How far the model drew another structure: by 1 less the local correlation of the two images' light and dark.

    A structure that only changed its colour or contrast is not new, nor is one that only got lost in a blur.
    """
    fine_before, fine_after = _fine(before), _fine(after)
    energy_before, energy_after = _local(np.square(fine_before)), _local(np.square(fine_after))
    alone = np.sqrt((energy_before + _FLAT) * (energy_after + _FLAT))
    correlation = (_local(fine_before * fine_after) + _FLAT) / alone
    drawn = step(energy_after / (energy_before + _FLAT), _BLURRED, 1.0)
    return step(np.asarray(1 - correlation, np.float32), _SAME, _NEW) * drawn


def _painted_over(photo: Image, before: Image, paint: Image, strokes: Image) -> Image:
    """Where a stroke lies on what the model does not know, and is unlike it: there its own picture takes its place."""
    unknown = np.asarray(np.linalg.norm(cv2.GaussianBlur(photo - before, (0, 0), 0.7), axis=-1), np.float32)
    unlike = np.asarray(np.linalg.norm(photo - paint, axis=-1), np.float32)
    over = strokes.max(0) * step(unknown, *_UNKNOWN) * step(unlike, *_UNKNOWN)
    return np.asarray(cv2.GaussianBlur(cv2.dilate(over, np.ones((3, 3), np.uint8)), (0, 0), 0.7), np.float32)


def _fine(image: Image) -> Image:
    luma = image @ LUMA
    return np.asarray(luma - cv2.GaussianBlur(luma, (0, 0), _SMOOTH), np.float32)


def _local(values: Image) -> Image:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), 2 * _SMOOTH), np.float32)
