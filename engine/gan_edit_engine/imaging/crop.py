"""Between the photo and the model's square: where the model looks, and how an edit gets back at full resolution.

Coordinates are continuous pixels: the top left pixel covers 0..1 in x and y and has its centre at (0.5, 0.5). x runs
right, y down, angles are degrees clockwise. Arrays are [H, W] or [H, W, channels]; colour values here are float32
with 0..1 as the display range, gamma-encoded as in the photo.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from gan_edit_engine.imaging.square import AlignPoints, Square, direction, nothing_selected
from gan_edit_protocol.geometry import Box, Place
from gan_edit_protocol.requests import EditRequest, ProjectRequest

Image = NDArray[np.float32]
Mask = NDArray[np.uint8]
AnyImage = NDArray[np.generic]

WHITE = {"uint8": 255.0, "uint16": 65535.0, "float32": 1.0}
"""The value that stands for 1.0 in each pixel type."""

LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Weights of red, green and blue in the brightness of a colour (ITU-R BT.709)."""

_MAX_SUPERSAMPLED_SIDE = 4096
_CHANNELS_AT_ONCE = 4  # OpenCV's limit where it interpolates with cubic curves or averages areas


@dataclass(frozen=True)
class Part:
    """``pixels`` [h, w, …] of a photo that lie at ``place`` of it: what a job needs of the whole, however much came."""

    pixels: AnyImage
    place: Place

    @classmethod
    def whole(cls, pixels: AnyImage) -> Part:
        """All of the photo."""
        return cls(pixels, Place(0, 0, pixels.shape[1], pixels.shape[0]))

    def within(self, box: Box) -> AnyImage:
        """The ``box`` of the photo, which must not reach beyond what is here."""
        return self.pixels[Box(box.x - self.place.x, box.y - self.place.y, box.width, box.height).slices]


@dataclass(frozen=True)
class Crop(Square):
    """A square of the photo as the model's image of ``resolution``² pixels, cut out and put back."""

    def extract(self, photo: AnyImage, outside: int = cv2.BORDER_REPLICATE, place: Place | None = None) -> Image:
        """The crop [resolution, resolution(, channels)] of ``photo``: each pixel is the mean of the area it covers.

        ``outside``: OpenCV's border mode for what lies beyond the photo. ``place``: ``photo`` is a part of it, and all
        that is needed. Values keep the photo's range.
        """
        part = Part(photo, place) if place else Part.whole(photo)
        # Interpolation needs neighbours.
        box = self.footprint(part.place.height, part.place.width, margin=1) or Box(0, 0, 1, 1)
        region = np.asarray(part.within(box), dtype=np.float32)
        finer = max(1, min(math.ceil(self.scale), _MAX_SUPERSAMPLED_SIDE // self.resolution))
        side = self.resolution * finer
        matrix = self._matrix(self.scale / finer, box)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        fine = cv2.warpAffine(region, matrix, (side, side), flags=flags, borderMode=outside)
        small = cv2.resize(fine, (self.resolution, self.resolution), interpolation=cv2.INTER_AREA)
        return np.asarray(small, dtype=np.float32)

    def insert(self, image: Image, box: Box) -> Image:
        """The crop image [resolution, resolution(, channels)] laid over ``box``: [height, width(, channels)].

        Enlarged with cubic interpolation, reduced by area. Beyond the crop its edge pixels go on; see
        :meth:`coverage` for where that is.
        """
        if image.ndim == 3 and image.shape[2] > _CHANNELS_AT_ONCE:
            parts = np.split(image, range(_CHANNELS_AT_ONCE, image.shape[2], _CHANNELS_AT_ONCE), axis=2)
            return np.concatenate([self.insert(part, box) for part in parts], axis=2)
        side = min(self.resolution, max(1, math.ceil(self.size)))
        small = image
        if side < self.resolution:
            small = np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), dtype=np.float32)
            small = small.reshape(side, side, *image.shape[2:])
        matrix = self._matrix(self.size / side, box)
        return _warp(small, matrix, box)

    def coverage(self, box: Box, soft: float) -> Image:
        """How far each pixel of ``box`` is in the crop, 0..1: 0 outside, then rising to 1 over ``soft`` pixels."""
        return np.asarray(np.clip((self.depth(box) + 0.5) / max(soft, 1.0), 0, 1), dtype=np.float32)

    def depth(self, box: Box) -> Image:
        """How many pixels each pixel of ``box`` is away from the crop's border, on its inside; below 0 outside."""
        xs = np.arange(box.x, box.x + box.width).astype(np.float32)[None] + 0.5
        ys = np.arange(box.y, box.y + box.height).astype(np.float32)[:, None] + 0.5
        cos, sin = direction(self.angle)
        u = ((xs - self.left) * cos + (ys - self.top) * sin) / self.size
        v = ((ys - self.top) * cos - (xs - self.left) * sin) / self.size
        return np.asarray(np.minimum(np.minimum(u, 1 - u), np.minimum(v, 1 - v)) * self.size, dtype=np.float32)

    def _matrix(self, scale: float, box: Box) -> NDArray[np.float64]:
        """OpenCV's 2×3 map from crop pixel centres (each ``scale`` photo pixels wide) to pixel centres of the box."""
        cos, sin = direction(self.angle)
        a, b = scale * cos, scale * sin
        # OpenCV counts from pixel centres: shift by half a crop pixel before and by half a photo pixel after.
        x = self.left + 0.5 * (a - b) - 0.5 - box.x
        y = self.top + 0.5 * (b + a) - 0.5 - box.y
        return np.array([[a, -b, x], [b, a, y]])


def _warp(image: Image, matrix: NDArray[np.float64], box: Box) -> Image:
    warped = cv2.warpAffine(
        np.ascontiguousarray(image),
        matrix,
        (box.width, box.height),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(warped.reshape(box.height, box.width, *image.shape[2:]), dtype=np.float32)


def choose_crop(
    request: EditRequest | ProjectRequest,
    selection: Mask | None,
    canonical: AlignPoints | None,
    resolution: int,
) -> Crop:
    """Where the model looks: the alignment points, else the given crop, else the square around the selection."""
    place = place_of(request)
    selected = Box(0, 0, place.width, place.height)
    if selection is not None and request.align is None and request.crop is None:
        box = bounding_box(selection)
        if box is None:
            raise nothing_selected()
        selected = Box(box.x + place.x, box.y + place.y, box.width, box.height)
    return Crop.chosen(request.align, request.crop, selected, canonical, resolution)


def place_of(request: EditRequest | ProjectRequest) -> Place:
    """Where the request's pixels lie in the photo: where it says, or they are all of it."""
    height, width = request.photo.shape[:2]
    return request.place or Place(0, 0, width, height)


def bounding_box(selection: Mask) -> Box | None:
    """The smallest box around all pixels above 0 of a selection [H, W]; None when there are none."""
    x, y, width, height = cv2.boundingRect(selection)
    return Box(x, y, width, height) if width and height else None


def composite(photo: AnyImage, image: AnyImage, mask: Mask, x: int, y: int) -> AnyImage:
    """A copy of ``photo`` [H, W, C] with ``image`` [h, w, C] of the same type laid at (x, y) through ``mask`` [h, w].

    Where the mask is 0 not one bit of the photo changes.
    """
    height, width = mask.shape
    result = photo.copy()
    region = result[y : y + height, x : x + width]
    np.copyto(region, image, where=mask[..., None] == 255)
    edge = (mask > 0) & (mask < 255)
    weight = mask[edge][:, None].astype(np.float32) / 255.0
    region[edge] = from_unit(to_unit(region[edge]) * (1 - weight) + to_unit(image[edge]) * weight, photo.dtype)
    return result


def reduced(pixels: AnyImage, scale: float) -> AnyImage:
    """A picture [H, W(, C)] ``scale`` times as large, each pixel the mean of the area it covers; itself from 1 on."""
    if scale >= 1:
        return pixels
    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    return np.asarray(cv2.resize(cast(MatLike, pixels), (width, height), interpolation=cv2.INTER_AREA))


def to_unit(pixels: AnyImage) -> Image:
    """uint8, uint16 or float32 pixels as float32 with 0..1 as the display range."""
    return np.asarray(pixels.astype(np.float32) / np.float32(WHITE[pixels.dtype.name]), dtype=np.float32)


def from_unit(pixels: Image, dtype: np.dtype[np.generic]) -> AnyImage:
    """The inverse of :func:`to_unit`; integer types are rounded and clipped, float keeps what lies outside of 0..1."""
    if dtype == np.float32:
        return pixels.astype(np.float32)
    white = WHITE[dtype.name]
    return np.clip(np.round(pixels * np.float32(white)), 0, white).astype(dtype)
