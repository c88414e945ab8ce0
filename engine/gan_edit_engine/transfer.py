"""The edit laid on the photo at full resolution.

Where the model's structure stays, as in an iris that turns blue, the photo keeps its own: the colour of the thing is
exchanged, and every pixel is as light relative to it as before, as a surface under the same light is. Where the
structure is new, a stripe that goes or a mouth that opens, the model's picture takes the photo's place. A matte that
follows the photo's edges says where (the guided filter: He, Sun & Tang, 2013; its map found at low resolution: He &
Sun, "Fast Guided Filter", 2015). Nothing becomes brighter than photo and paint are, but for highlights that the model
made.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np

from gan_edit_engine.meaning import Meaning
from gan_edit_engine.photo import LUMA, Box, Crop, Image

_BLACK = 0.02  # luma (0..1) below which nothing is told apart
_THING = 3.5  # model pixels: standard deviation over which a thing's colour is averaged
_MOST = 1.25  # times brighter than the thing's mean, shading ends and a glint begins
_HAIRS = 0.6  # of the photo's contrast above the model's resolution, where the structure is new
_RADIUS = 2  # of the guided filter's windows, in model pixels
_EPSILON = 0.03**2  # variance of colour below which a window counts as flat
_HIGHLIGHT = 0.2  # brighter than its surroundings by this much, a spot in the model's image is one
_STRIP = 1 << 20  # pixels at a time


@dataclass(frozen=True)
class Maps:
    """What the pixels are changed by, at the model's resolution [R, R, …].

    ``old`` and ``new``: the thing's colour before and after; ``drawn``: the model's picture where the structure is new,
    of which ``newness`` says; ``seen``: the photo as the model sees it; ``ceiling``: no pixel gets brighter unless it
    was; ``matte``: slopes and offset of the matte as a function of the photo's colour, and its bounds.
    """

    old: Image
    new: Image
    drawn: Image
    newness: Image
    seen: Image
    ceiling: Image
    matte: Image


def maps_of(guide: Image, before: Image, after: Image, meant: Meaning, brightest: Image) -> Maps:
    """``guide``: the photo's crop; ``before`` and ``after``: the model's images; ``brightest`` [3]: of the paint."""
    target = guide + meant.change
    unseen = guide - before  # what the model did not reproduce; its colours stay, its structure does not
    drawn = target - (unseen - cv2.GaussianBlur(unseen, (0, 0), 2.0))
    old, new = (_of_thing(image, meant.matte) for image in (guide, target))
    ceiling = np.maximum(np.broadcast_to(brightest, after.shape), _highlights(after))
    return Maps(old, new, drawn, meant.new, guide, ceiling.astype(np.float32), _guided(guide, meant.matte))


def transfer(crop: Crop, box: Box, region: Image, maps: Maps) -> Image:
    """The edited pixels of ``box`` [height, width, 3]; ``region``: the photo's there. Both in 0..1."""
    planes = [maps.old, maps.new, maps.drawn, maps.newness, maps.seen, maps.ceiling, maps.matte]
    stack = np.concatenate([p if p.ndim == 3 else p[..., None] for p in planes], axis=-1).astype(np.float32)
    result = np.empty_like(region)

    def work(strip: Box) -> None:
        rows = slice(strip.y - box.y, strip.y - box.y + strip.height)
        result[rows] = _edited(region[rows], crop.insert(stack, strip))

    with ThreadPoolExecutor(cv2.getNumThreads()) as pool:
        list(pool.map(work, _strips(box)))
    return result


def _strips(box: Box) -> Iterator[Box]:
    height = max(1, _STRIP // box.width)
    for top in range(0, box.height, height):
        yield Box(box.x, box.y + top, box.width, min(height, box.height - top))


def _edited(photo: Image, maps: Image) -> Image:
    """Pixels [h, w, 3] changed by the maps [h, w, 22] at their resolution."""
    old, new, drawn, newness, seen, ceiling, matte = np.split(maps, (3, 6, 9, 10, 13, 16), axis=-1)
    shade = ((photo @ LUMA + _BLACK) / (np.maximum(old @ LUMA, 0) + _BLACK))[..., None]
    kept = new * np.minimum(shade, _MOST) + np.maximum(photo - old * _MOST, 0) * (shade > _MOST)
    drawn = drawn + _HAIRS * (photo - seen)
    edited = kept + newness * (drawn - kept)
    edited = np.minimum(edited, np.maximum(photo, ceiling))
    edited = np.maximum(edited, np.minimum(photo, 0))
    weight = (photo * matte[..., :3]).sum(-1) + matte[..., 3]
    weight = np.clip(np.clip(weight, matte[..., 4], matte[..., 5]), 0, 1)
    return np.asarray(photo + weight[..., None] * (edited - photo), np.float32)


def _of_thing(image: Image, matte: Image) -> Image:
    """The local mean [R, R, 3] over what changes alone, so that fur does not count in an iris."""
    weight = matte + 1e-3
    cover = cv2.GaussianBlur(weight, (0, 0), _THING)
    return np.asarray(cv2.GaussianBlur(image * weight[..., None], (0, 0), _THING) / cover[..., None], np.float32)


def _highlights(after: Image) -> Image:
    """The model's own bright spots [R, R, 3], 0 elsewhere."""
    luma = after @ LUMA
    spots = (luma - cv2.blur(luma, (9, 9))) > _HIGHLIGHT
    return np.asarray(after * cv2.dilate(spots.astype(np.uint8), np.ones((3, 3)))[..., None], np.float32)


def _guided(guide: Image, matte: Image) -> Image:
    """[R, R, 6]: slopes (3) and offset of the matte as a linear function of the photo's colours, lower, upper bound."""
    side = matte.shape
    mean_guide, mean_matte = _mean(guide), _mean(matte[..., None])
    products = (guide[..., :, None] * guide[..., None, :]).reshape(*side, 9)
    covariance = _mean(products).reshape(*side, 3, 3) - mean_guide[..., :, None] * mean_guide[..., None, :]
    covariance += _EPSILON * np.eye(3, dtype=np.float32)
    cross = _mean(guide * matte[..., None]) - mean_guide * mean_matte
    slopes = np.linalg.solve(covariance, cross[..., None])[..., 0].astype(np.float32)
    offset = mean_matte - (slopes * mean_guide).sum(-1, keepdims=True)
    kernel = np.ones((3, 3), np.uint8)
    bounds = np.stack([cv2.erode(matte, kernel), cv2.dilate(matte, kernel)], axis=-1)
    return np.concatenate([_mean(slopes), _mean(offset), bounds], axis=-1).astype(np.float32)


def _mean(image: Image) -> Image:
    size = 2 * _RADIUS + 1
    planes = [cv2.blur(np.ascontiguousarray(image[..., i]), (size, size)) for i in range(image.shape[2])]
    return np.asarray(np.stack(planes, axis=-1), np.float32)
