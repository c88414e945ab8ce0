"""A place that is painted over: its colours from around it, its texture from beside it, as a healing brush takes them.

Arrays are float32 at the model's resolution: colours [R, R, 3] in the display range 0..1, maps [R, R].
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from gan_edit_engine.imaging.crop import Crop, Image, Mask, Part, from_unit, to_unit
from gan_edit_engine.imaging.strokes import Where, grown
from gan_edit_protocol.geometry import Box

_TOUCHED = 0.05  # of a place that is painted over, from which on it is to go
_WELL = 0.5  # coverage by which a place's colour is the paint's
_SHADOW = 5  # model pixels: how much wider than that its soft edge or shadow is
_COLOURS = 2.0  # model pixels: standard deviation below which texture begins
_AROUND = 7  # model pixels: a place and its rim, by which one looks for its like
_FURTHEST = 0.5  # of the side: from so far away texture may come
_LOOKED_AT = 64  # along the side: how many places, each 2 of 128 model pixels from the next
_LIKE = 0.12  # RMS of colours beyond which no place is like it


@dataclass(frozen=True)
class Patch:
    """``where`` [R, R] in 0..1 has the photo's texture of ``shift`` (x, y) model pixels beside it.

    ``colours`` [R, R, 3]: of the photo there, as far as the model's resolution shows them; what is finer is texture.
    """

    where: Image
    shift: tuple[int, int]
    colours: Image


def heal(photo: Image, before: Image, over: Image, paint: Image, painted: Image) -> tuple[Image, tuple[Patch, ...]]:
    """The photo without what is painted ``over`` [R, R], and the patches that it was mended by.

    Its colours are half those around it and half the ``paint`` where ``painted`` [R, R]: a flat brush knows no light
    from one side, but what lies around a place may be the shadow of what goes. Where nothing near by is like its
    surroundings it is as ``before``, the model's image, if that does not show what is to go; else it is smooth.
    """
    gone = grown(over > _TOUCHED, _SHADOW).astype(np.uint8)
    if not gone.any():
        return photo, ()
    known = painted > _WELL
    around, between = _inpainted(photo, gone), _inpainted(np.where(known[..., None], paint, photo), gone * ~known)
    colours = np.asarray((around + between) / 2, np.float32)
    healed, patches = photo.copy(), []
    for place in _pieces(gone):
        shift = _beside(photo, colours, place, gone > 0)
        if shift is not None:
            healed[place] = (colours + _moved(photo - _smooth(photo), shift))[place]
            patches.append(Patch(np.asarray(over * place, np.float32), shift, _moved(photo, shift)))
        else:
            unlike = np.square(before - colours)[place].mean()
            healed[place] = (before if unlike < _LIKE**2 else colours)[place]
    return healed, tuple(patches)


def _inpainted(image: Image, hole: Mask) -> Image:
    planes = [cv2.inpaint(plane, hole, 3, cv2.INPAINT_NS) for plane in cv2.split(image)]
    return _smooth(np.asarray(np.stack(planes, axis=-1), np.float32))


def _smooth(image: Image) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), _COLOURS), np.float32)


def _pieces(where: Mask) -> list[Where]:
    count, labels = cv2.connectedComponents(where)
    return [labels == number for number in range(1, count)]


def _moved(image: Image, shift: tuple[int, int]) -> Image:
    """What lies ``shift`` (x, y) away from each place; the border goes on."""
    side = image.shape[0]
    ys, xs = (np.clip(np.arange(side) + by, 0, side - 1) for by in (shift[1], shift[0]))
    return image[ys][:, xs]


def _beside(photo: Image, colours: Image, place: Where, gone: Where) -> tuple[int, int] | None:
    """From where the ``place`` is mended: the nearest in ``colours`` of all that lie beside it, within the picture."""
    side = photo.shape[0]
    around = grown(place, _AROUND)
    ys, xs = np.nonzero(around)
    low, asked = _smooth(photo), colours[around]
    rough = np.square(photo - low)  # a lid or a stripe is no texture
    furthest = int(_FURTHEST * side)
    every = max(2, side // _LOOKED_AT)
    best, found = _LIKE, None
    for dy in range(max(-furthest, -int(ys.min())), min(furthest, side - 1 - int(ys.max())) + 1, every):
        for dx in range(max(-furthest, -int(xs.min())), min(furthest, side - 1 - int(xs.max())) + 1, every):
            if gone[ys + dy, xs + dx].any():
                continue
            there = ys + dy, xs + dx
            error = math.sqrt(float((np.square(low[there] - asked) + rough[there]).mean()))
            if error < best:
                best, found = error, (dx, dy)
    return found


def add_texture(result: Part, photo: Part, crop: Crop, patch: Patch, strength: float) -> None:
    """Give the ``result`` [h, w, 3] what the ``photo`` has above the model's resolution where the patch was taken.

    ``strength``: 0..1, how much of the edit is applied.
    """
    height, width = result.pixels.shape[:2]
    part = _box_of(patch.where, crop, Box(result.place.x, result.place.y, width, height))
    if part is None:
        return
    place, pixels = photo.place, photo.pixels
    x, y = crop.to_photo(*patch.shift)
    ys = np.clip(np.arange(part.height) + part.y + round(y - crop.top) - place.y, 0, pixels.shape[0] - 1)
    xs = np.clip(np.arange(part.width) + part.x + round(x - crop.left) - place.x, 0, pixels.shape[1] - 1)
    hairs = to_unit(pixels[ys][:, xs, :3]) - crop.insert(patch.colours, part)
    share = strength * crop.insert(patch.where, part).clip(0, 1)[..., None]
    region = result.within(part)
    mended = from_unit(np.maximum(to_unit(region) + share * hairs, 0), region.dtype)
    np.copyto(region, mended, where=share > 0)


def _box_of(where: Image, crop: Crop, box: Box) -> Box | None:
    """The part of ``box`` in which ``where`` is above 0, and a pixel more."""
    ys, xs = np.nonzero(where)
    spots = [
        crop.to_photo(float(x), float(y)) for x in (xs.min() - 1, xs.max() + 2) for y in (ys.min() - 1, ys.max() + 2)
    ]
    left, top = max(box.x, math.floor(min(x for x, _ in spots))), max(box.y, math.floor(min(y for _, y in spots)))
    right = min(box.x + box.width, math.ceil(max(x for x, _ in spots)))
    bottom = min(box.y + box.height, math.ceil(max(y for _, y in spots)))
    return Box(left, top, right - left, bottom - top) if right > left and bottom > top else None
