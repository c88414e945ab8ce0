"""The edit laid on the photo at full resolution.

Where the model's structure stays, as in an iris that turns blue, the photo keeps its own: the colour of the thing is
exchanged, and every pixel is as light relative to it as before, as a surface under the same light is. Where the
structure is new, a stripe that goes or a mouth that opens, the model's picture takes the photo's place. A matte that
follows the photo's edges says where (the guided filter: He, Sun & Tang, 2013; its map found at low resolution: He &
Sun, "Fast Guided Filter", 2015). Nothing becomes brighter than photo and paint are, but for highlights that the model
made.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import cv2
import numpy as np

from gan_edit_engine.imaging.crop import LUMA, AnyImage, Crop, Image, Part, from_unit, to_unit
from gan_edit_engine.imaging.heal import Patch, add_texture
from gan_edit_engine.imaging.meaning import Meaning
from gan_edit_protocol.geometry import Box

_BLACK = 0.02  # luma (0..1) below which nothing is told apart
_THING = 6.0  # model pixels: standard deviation over which a thing's colour is averaged
_MOST = 1.25  # times brighter than the thing's mean, shading ends and a glint begins
_NO_GLINT = 1 - 1 / _MOST  # contrast at which shading cannot come to that
_LIGHTER = 1.2  # times as light, a thing still keeps its contrast
_LEAST_CONTRAST = 0.25  # of the photo's, where black fur turns white
_HAIRS = 0.6  # of the photo's contrast above the model's resolution, where the structure is new
_RADIUS = 2  # of the guided filter's windows, in model pixels
_EPSILON = 0.03**2  # variance of colour below which a window counts as flat
_HIGHLIGHT = 0.2  # brighter than its surroundings by this much, a spot in the model's image is one
_FLOOR = 1e-3  # of the thing's share in its own mean, so that the mean exists everywhere
_STRIP = 1 << 16  # pixels at a time: they stay in the processor's cache
_FINER = 6  # samples of a map for each model pixel, between which straight lines do


@dataclass(frozen=True)
class Maps:
    """What the pixels are changed by, at the model's resolution, in groups of at most four planes [R, R, C].

    With the photo's luma as a multiple of the thing's, t: result = ``kept`` · t / (c + (1 − c) · t) + ``drawn`` +
    share · photo.

    ``kept``: the thing's new colour as far as its structure stays, and 1 over the luma of its old one; ``drawn``: the
    model's picture as far as the structure is new, and the photo's share in it; ``matte``: slopes and offset of the
    matte as a function of the photo's colour; ``bounds``: the matte's lower and upper, the model's own highlights, and
    the contrast c that stays; ``brightest`` [3]: what no pixel exceeds that did not before.
    """

    kept: Image
    drawn: Image
    matte: Image
    bounds: Image
    brightest: Image
    patches: tuple[Patch, ...]


def maps_of(guide: Image, before: Image, after: Image, meant: Meaning, brightest: Image) -> Maps:
    """``guide``: the photo's crop; ``before`` and ``after``: the model's images; ``brightest`` [3]: of the paint."""
    target = meant.base + meant.change
    # What the model did not reproduce: its colours stay, its structure does not.
    unseen = (1 - meant.over[..., None]) * (meant.base - before)
    drawn = target - (unseen - cv2.GaussianBlur(unseen, (0, 0), 2.0))
    old, new = (_of_thing(image, meant.matte) for image in (guide, target))
    newness = meant.new[..., None]
    hairs = _HAIRS * (1 - meant.over[..., None])
    kernel = np.ones((3, 3), np.uint8)
    old_luma, new_luma = (np.maximum(colours @ LUMA, 0) + _BLACK for colours in (old, new))
    # Light fur has no blacker stripes than dark fur had: what is lightened keeps its differences of light, not their
    # ratios; what is darkened keeps the ratios. Where all is new nothing stays, and nothing glints.
    contrast = np.clip(_LIGHTER * old_luma / new_luma, _LEAST_CONTRAST, 1) * (1 - meant.new) + _NO_GLINT * meant.new
    bounds = [cv2.erode(meant.matte, kernel), cv2.dilate(meant.matte, kernel), _highlights(after), contrast]
    return Maps(
        kept=_planes((1 - newness) * new, 1 / old_luma),
        drawn=_planes(newness * (drawn - hairs * guide), newness * hairs),
        matte=_guided(guide, meant.matte),
        bounds=np.stack(bounds, axis=-1).astype(np.float32),
        brightest=np.asarray(brightest, np.float32),
        patches=meant.patches,
    )


def _planes(colours: Image, plane: Image) -> Image:
    return np.concatenate([colours, plane.reshape(*colours.shape[:2], 1)], axis=-1).astype(np.float32)


def transfer(crop: Crop, box: Box, photo: Part, maps: Maps, strength: float = 1.0) -> AnyImage:
    """The edited pixels of ``box`` [height, width, 3], of the type of the ``photo`` [h, w, 3 or 4].

    ``strength``: how much of the change is applied; 0 gives the photo, bit for bit.
    """
    grid = _Grid(crop, box)
    groups = [grid.sampled(group) for group in (maps.kept, maps.drawn, maps.matte, maps.bounds)]
    region = photo.within(box)[..., :3]
    result = np.empty_like(region)

    def work(rows: slice) -> None:
        ours = to_unit(region[rows])
        edited = _edited(ours, [grid.at(group, rows) for group in groups], maps.brightest, strength)
        result[rows] = from_unit(edited, region.dtype)

    height = max(1, _STRIP // box.width)
    with ThreadPoolExecutor(max(1, cv2.getNumThreads())) as pool:
        list(pool.map(work, (slice(top, min(top + height, box.height)) for top in range(0, box.height, height))))
    for patch in maps.patches:
        add_texture(Part(result, replace(photo.place, x=box.x, y=box.y)), photo, crop, patch, strength)
    return result


class _Grid:
    """Maps between the model's pixels and those of a box, by way of a grid that is fine enough for straight lines."""

    def __init__(self, crop: Crop, box: Box) -> None:
        self._crop, self._box = crop, box
        self._every = max(1, int(crop.scale / _FINER))

    def sampled(self, image: Image) -> Image:
        """``image`` [R, R, C] at the grid's points: centres of squares of photo pixels, with one more all around."""
        box, every = self._box, self._every
        if every == 1:
            return self._crop.insert(image, box)
        coarse = replace(
            self._crop, left=(self._crop.left - box.x) / every + 1, top=(self._crop.top - box.y) / every + 1,
            scale=self._crop.scale / every,
        )  # fmt: skip
        return coarse.insert(image, Box(0, 0, -(-box.width // every) + 2, -(-box.height // every) + 2))

    def at(self, sampled: Image, rows: slice) -> Image:
        """The rows [height, width, C] of the box."""
        if self._every == 1:
            return sampled[rows]
        every, width, height = self._every, self._box.width, rows.stop - rows.start
        # From pixel centres of the box to those of the grid, whose first square lies before the box.
        shift = np.array([[1 / every, 0, (0.5 / every) + 0.5], [0, 1 / every, (rows.start + 0.5) / every + 0.5]])
        warped = cv2.warpAffine(sampled, shift, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        return np.asarray(warped, np.float32)


def _edited(photo: Image, maps: list[Image], brightest: Image, strength: float) -> Image:
    """Pixels [h, w, 3] from the photo's by the groups of :class:`Maps` at their resolution."""
    if not maps[-1][..., 1].any():
        return photo
    # Planes are contiguous, and so several times as fast as pixels.
    pixels, (kept, drawn, matte, bounds) = _split(photo), map(_split, maps)
    shade = (cv2.transform(photo, LUMA[None]).reshape(photo.shape[:2]) + _BLACK) * kept[3]
    shade /= bounds[3] + (1 - bounds[3]) * shade
    # What is brighter than shading makes it is a glint, and has the light's colour instead of the thing's.
    share = np.maximum(1 - _MOST / np.maximum(shade, _MOST), 0) + drawn[3]
    result: Image = kept[:3] * np.minimum(shade, _MOST)
    result += drawn[:3]
    result += pixels * share
    ceiling = np.maximum(pixels, np.maximum(brightest[:, None, None], bounds[2]))
    np.clip(result, 0, ceiling, out=result)
    weight = (pixels * matte[:3]).sum(axis=0) + matte[3]
    weight = np.clip(np.clip(weight, bounds[0], bounds[1]), 0, 1)
    result -= pixels
    result *= strength * weight
    result += pixels
    return np.asarray(cv2.merge(list(result)), np.float32)


def _split(image: Image) -> Image:
    """The planes [C, h, w] of an image [h, w, C]."""
    return np.stack(cv2.split(image))


def _of_thing(image: Image, matte: Image) -> Image:
    """The local mean [R, R, 3] over what changes alone, so that fur does not count in an iris."""
    weight = matte + _FLOOR
    cover = cv2.GaussianBlur(weight, (0, 0), _THING)
    return np.asarray(cv2.GaussianBlur(image * weight[..., None], (0, 0), _THING) / cover[..., None], np.float32)


def _highlights(after: Image) -> Image:
    """How bright [R, R] the model's own bright spots are, 0 elsewhere."""
    luma = after @ LUMA
    spots = (luma - cv2.blur(luma, (9, 9))) > _HIGHLIGHT
    return np.asarray(after.max(-1) * cv2.dilate(spots.astype(np.uint8), np.ones((3, 3))), np.float32)


def _guided(guide: Image, matte: Image) -> Image:
    """[R, R, 4]: slopes (3) and offset of the matte as a linear function of the photo's colours around each pixel."""
    side = matte.shape
    mean_guide, mean_matte = _mean(guide), _mean(matte[..., None])
    products = (guide[..., :, None] * guide[..., None, :]).reshape(*side, 9)
    covariance = _mean(products).reshape(*side, 3, 3) - mean_guide[..., :, None] * mean_guide[..., None, :]
    covariance += _EPSILON * np.eye(3, dtype=np.float32)
    cross = _mean(guide * matte[..., None]) - mean_guide * mean_matte
    slopes = np.linalg.solve(covariance, cross[..., None])[..., 0].astype(np.float32)
    offset = mean_matte - (slopes * mean_guide).sum(-1, keepdims=True)
    return np.concatenate([_mean(slopes), _mean(offset)], axis=-1).astype(np.float32)


def _mean(image: Image) -> Image:
    size = 2 * _RADIUS + 1
    planes = [cv2.blur(np.ascontiguousarray(image[..., i]), (size, size)) for i in range(image.shape[2])]
    return np.asarray(np.stack(planes, axis=-1), np.float32)
