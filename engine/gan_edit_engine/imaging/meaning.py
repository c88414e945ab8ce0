"""What of the model's change is meant, and in which colours: between the strokes, the model's images and the photo.

The model says what a change looks like, the paint says which colour. Arrays are float32 at the model's resolution,
colours [R, R, 3] in the display range 0..1, maps [R, R] or one for each stroke, [N, R, R].
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from gan_edit_engine.imaging.crop import LUMA, Image
from gan_edit_engine.imaging.heal import Patch, heal
from gan_edit_engine.imaging.strokes import TOUCHED, Strokes, grown, step

_FULL = 0.95  # of the paint's colours
_NOTHING, _SEEN = 0.01, 0.05  # changes (RMS of the channels) that nobody sees, and that one does
_SMOOTH = 2.0  # pixels
_FLAT = 3e-4  # variance of luma below which there is no structure
_BLURRED = 0.5  # of the energy that a structure had, below which nothing was drawn in its place
_RIM = 9  # model pixels: how much wider a stroke and its rim are
_OTHER, _UNKNOWN = 0.16, 0.2  # distances of two colours that are not one, and of what the model does not know
_HIDDEN, _MORE = 0.4, 0.22  # share under a stroke that is unlike the paint, and by how much that is more than beside it
_STRANGE = 0.2  # share under a stroke that is unlike it and unknown to the model
_COVERED, _LIKE = 0.33, 0.28  # shares of a thing that is painted, and of a rim that is like the paint
_EDGE = 5  # model pixels: a thing ends that much further out, by a line or a shadow
_SAME, _NEW = 0.7, 0.95  # 1 less the correlation of detail: of a structure that is still there, and of another


@dataclass(frozen=True)
class Meaning:
    """What becomes of the photo: ``base`` is what it shows but for what was painted ``over``, 0..1, a scar or a glare.

    ``change``: what is added to the base's colours; ``matte``: where, 0..1; ``new``: how new the structure is;
    ``patches``: what was painted over has its texture from there.
    """

    base: Image
    over: Image
    change: Image
    matte: Image
    new: Image
    patches: tuple[Patch, ...] = ()


def meaning(photo: Image, before: Image, after: Image, painted: Strokes, counts: Image) -> Meaning:
    """``photo``, and the model's images ``before`` and ``after`` the edit; ``counts``: where each stroke does."""
    paint, strokes = painted.paint, painted.meant
    going = _going(photo, before, paint, strokes, counts)
    over = np.asarray(cv2.GaussianBlur(cv2.dilate(going.max(0), np.ones((3, 3), np.uint8)), (0, 0), 0.7), np.float32)
    healed, patches = heal(photo, before, over, paint, (strokes * going).max(0))
    base = photo + over[..., None] * (healed - photo)
    # What the model makes of a thing that is to go is not asked; there each stroke counts where it lies.
    change = (1 - over[..., None]) * (after - before)
    counts = counts * (1 - going.max((1, 2), keepdims=True))
    counts = counts * (1 - over) + over * strokes / np.maximum(strokes.sum(0), 1)
    new = np.maximum(_newness(before, after), over)
    change = new[..., None] * change + (1 - new[..., None]) * _between(base, change, paint, strokes, counts)
    change = change + _FULL * _carried(base + change, paint, strokes, counts)
    size = np.sqrt(np.square(cv2.GaussianBlur(change, (0, 0), 1.0)).mean(-1))
    matte = np.maximum(np.minimum(counts.sum(0), 1) * step(size, _NOTHING, _SEEN), over)
    return Meaning(base, over, change, np.asarray(matte, np.float32), new, patches)


def all_meant(photo: Image, before: Image, after: Image) -> Meaning:
    """What becomes of the photo where nobody painted, and all that the model's images differ in is meant."""
    change = after - before
    size = np.sqrt(np.square(cv2.GaussianBlur(change, (0, 0), 1.0)).mean(-1))
    nothing = np.zeros(photo.shape[:2], np.float32)
    return Meaning(photo, nothing, change, step(size, _NOTHING, _SEEN), _newness(before, after))


def _carried(reached: Image, paint: Image, strokes: Image, counts: Image) -> Image:
    """What is missing to each stroke's colour, carried to the places where the stroke counts.

    In proportion to what there is to take away, or to add up to white: dark fur that is painted darker does not turn
    blue for want of red, nor does light fur that is painted white.
    """
    total = np.zeros_like(paint)
    for stroke, count in zip(strokes, counts, strict=True):
        if not stroke.any():
            continue
        weight = stroke[..., None] / stroke.sum()
        asked, there = (paint * weight).sum((0, 1)), np.clip((reached * weight).sum((0, 1)), 1e-3, 1 - 1e-3)
        inside = np.clip(reached, 0, 1)
        added = np.maximum(asked - there, 0) / (1 - there) * (1 - inside)
        taken = np.maximum(there - asked, 0) / there * inside
        total += count[..., None] * (added - taken)
    return total


def _between(base: Image, change: Image, paint: Image, strokes: Image, counts: Image) -> Image:
    """The model's ``change`` as far as no channel leaves what lies between the photo and the paint that counts there.

    White paint on red fur has made models draw it blue.
    """
    weights = strokes.reshape(len(strokes), -1)
    colours = weights @ paint.reshape(-1, 3) / np.maximum(weights.sum(1, keepdims=True), 1e-3)
    asked = np.einsum("nyx,nc->yxc", counts, colours) / np.maximum(counts.sum(0), 1e-3)[..., None] - base
    within = np.clip(change, np.minimum(asked, 0), np.maximum(asked, 0))
    return np.asarray(np.where((counts.sum(0) > TOUCHED)[..., None], within, change), np.float32)


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


def _going(photo: Image, before: Image, paint: Image, strokes: Image, counts: Image) -> Image:
    """[N, R, R]: what is to go, for each stroke: what lies under paint of the colour all around it, and is unlike that.

    What lies under the stroke, a scar or a glare; or all of the thing that it lies on, if it covers most of that.
    """
    unlike = np.linalg.norm(photo - paint, axis=-1)
    unknown = np.linalg.norm(cv2.GaussianBlur(photo - before, (0, 0), 0.7), axis=-1)
    painted = strokes.max(0) > TOUCHED
    going = np.zeros_like(strokes)
    for number, (stroke, count) in enumerate(zip(strokes, counts, strict=True)):
        under = stroke > TOUCHED
        if not under.any():
            continue
        strange = (np.minimum(unknown, unlike)[under] > _UNKNOWN).mean() > _STRANGE
        covered = count[under].sum() > _COVERED * count.sum()
        thing = grown(under | (count > 0.5), _EDGE)
        for place, asked in ((thing, covered and not strange), (under, True)):
            rim = grown(place, _RIM) & ~painted & ~place
            if not asked or not rim.any():
                continue
            like = (np.linalg.norm(photo[rim] - np.median(paint[under], axis=0), axis=-1) < _OTHER).mean()
            hidden = (unlike[under] > _OTHER).mean() > max(_HIDDEN, 1 - like + _MORE)
            if like > _LIKE and (hidden or strange):
                going[number] = place
                break
    return going


def _fine(image: Image) -> Image:
    luma = image @ LUMA
    return np.asarray(luma - cv2.GaussianBlur(luma, (0, 0), _SMOOTH), np.float32)


def _local(values: Image) -> Image:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), 2 * _SMOOTH), np.float32)
