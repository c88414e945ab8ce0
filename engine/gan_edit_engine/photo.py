"""Between the photo and the model's square: where the model looks, and how an edit gets back at full resolution.

Coordinates are continuous pixels: the top left pixel covers 0..1 in x and y and has its centre at (0.5, 0.5). x runs
right, y down, angles are degrees clockwise. Arrays are [H, W] or [H, W, channels]; colour values here are float32
with 0..1 as the display range, gamma-encoded as in the photo.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gan_edit_engine.preflight import nothing_selected
from gan_edit_protocol import messages
from gan_edit_protocol.errors import GanEditError

Image = NDArray[np.float32]
Mask = NDArray[np.uint8]
AnyImage = NDArray[np.generic]
AlignPoints = tuple[tuple[float, float], tuple[float, float]]

WHITE = {"uint8": 255.0, "uint16": 65535.0, "float32": 1.0}
"""The value that stands for 1.0 in each pixel type."""

LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Weights of red, green and blue in the brightness of a colour (ITU-R BT.709)."""

_MAX_SUPERSAMPLED_SIDE = 4096
_MIN_CROP_SIDE = 4.0
_CHANNELS_AT_ONCE = 4  # OpenCV's limit where it interpolates with cubic curves or averages areas


@dataclass(frozen=True)
class Box:
    """Whole pixels x..x+width, y..y+height of the photo."""

    x: int
    y: int
    width: int
    height: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the box in an [H, W, …] array."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)


@dataclass(frozen=True)
class Crop:
    """A square of the photo as the model's image of ``resolution``² pixels: a similarity transform and its inverse.

    The crop's top left corner lies at (``left``, ``top``) of the photo; a crop pixel is ``scale`` photo pixels wide;
    the crop's x axis points ``angle`` degrees clockwise from the photo's.
    """

    left: float
    top: float
    scale: float
    angle: float
    resolution: int

    @staticmethod
    def of_square(square: messages.Crop, resolution: int) -> Crop:
        """The crop with a given centre, size and angle in the photo."""
        if not square.size >= _MIN_CROP_SIDE:
            raise GanEditError(
                "bad_crop", f"The crop is {square.size:g} pixels wide, too small to edit.", "Choose a larger one."
            )
        half = square.size / 2
        cos, sin = _direction(square.angle)
        left, top = square.cx - half * cos + half * sin, square.cy - half * sin - half * cos
        return Crop(left, top, square.size / resolution, square.angle, resolution)

    @staticmethod
    def of_points(align: messages.Align, canonical: AlignPoints, resolution: int) -> Crop:
        """The crop in which the photo's two points come to lie on the model's ``canonical`` points (unit square)."""
        (u1, v1), (u2, v2) = canonical
        photo_distance = math.hypot(align.x2 - align.x1, align.y2 - align.y1)
        size = photo_distance / math.hypot(u2 - u1, v2 - v1)
        if not size >= _MIN_CROP_SIDE:
            raise GanEditError("bad_crop", "The two alignment points lie too close together.", "Set them apart.")
        turn = math.atan2(align.y2 - align.y1, align.x2 - align.x1) - math.atan2(v2 - v1, u2 - u1)
        cos, sin = math.cos(turn), math.sin(turn)
        left = align.x1 - size * (u1 * cos - v1 * sin)
        top = align.y1 - size * (u1 * sin + v1 * cos)
        return Crop(left, top, size / resolution, math.degrees(turn), resolution)

    def to_photo(self, x: float, y: float) -> tuple[float, float]:
        """The photo point of a crop point (crop pixels)."""
        cos, sin = _direction(self.angle)
        return self.left + self.scale * (x * cos - y * sin), self.top + self.scale * (x * sin + y * cos)

    def from_photo(self, x: float, y: float) -> tuple[float, float]:
        """The crop point (crop pixels) of a photo point; the exact inverse of :meth:`to_photo`."""
        cos, sin = _direction(self.angle)
        dx, dy = (x - self.left) / self.scale, (y - self.top) / self.scale
        return dx * cos + dy * sin, -dx * sin + dy * cos

    @property
    def size(self) -> float:
        """Side of the square in photo pixels."""
        return self.scale * self.resolution

    def footprint(self, height: int, width: int, margin: int = 0) -> Box | None:
        """The smallest box of whole pixels around the square, inside a photo of that size; None when they miss.

        ``margin``: pixels more on each side.
        """
        corners = [self.to_photo(x, y) for x in (0, self.resolution) for y in (0, self.resolution)]
        x0 = max(0, math.floor(min(x for x, _ in corners)) - margin)
        y0 = max(0, math.floor(min(y for _, y in corners)) - margin)
        x1 = min(width, math.ceil(max(x for x, _ in corners)) + margin)
        y1 = min(height, math.ceil(max(y for _, y in corners)) + margin)
        return Box(x0, y0, x1 - x0, y1 - y0) if x1 > x0 and y1 > y0 else None

    def extract(self, photo: AnyImage, outside: int = cv2.BORDER_REPLICATE) -> Image:
        """The crop [resolution, resolution(, channels)] of ``photo``: each pixel is the mean of the area it covers.

        ``outside``: OpenCV's border mode for what lies beyond the photo. Values keep the photo's range.
        """
        height, width = photo.shape[:2]
        box = self.footprint(height, width, margin=1) or Box(0, 0, 1, 1)  # interpolation needs neighbours
        region = np.asarray(photo[box.slices], dtype=np.float32)
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
        ys, xs = np.mgrid[box.y : box.y + box.height, box.x : box.x + box.width].astype(np.float32) + 0.5
        cos, sin = _direction(self.angle)
        u = ((xs - self.left) * cos + (ys - self.top) * sin) / self.size
        v = ((ys - self.top) * cos - (xs - self.left) * sin) / self.size
        inside = np.minimum(np.minimum(u, 1 - u), np.minimum(v, 1 - v)) * self.size
        return np.asarray(np.clip((inside + 0.5) / max(soft, 1.0), 0, 1), dtype=np.float32)

    def _matrix(self, scale: float, box: Box) -> NDArray[np.float64]:
        """OpenCV's 2×3 map from crop pixel centres (each ``scale`` photo pixels wide) to pixel centres of the box."""
        cos, sin = _direction(self.angle)
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


def _direction(angle: float) -> tuple[float, float]:
    return math.cos(math.radians(angle)), math.sin(math.radians(angle))


def choose_crop(
    request: messages.EditRequest | messages.ProjectRequest,
    mask: Mask | None,
    canonical: AlignPoints | None,
    resolution: int,
) -> Crop:
    """Where the model looks: the alignment points, else the given crop, else the square around the selection."""
    height, width = request.photo.shape[:2]
    if request.align is not None:
        if canonical is None:
            raise GanEditError(
                "no_alignment", "This model has no alignment points.", "Give a crop, or select the square to edit."
            )
        return Crop.of_points(request.align, canonical, resolution)
    if request.crop is not None:
        return Crop.of_square(request.crop, resolution)
    box = bounding_box(mask) if mask is not None else Box(0, 0, width, height)
    if box is None:
        raise nothing_selected()
    centre_x, centre_y = box.x + box.width / 2, box.y + box.height / 2
    return Crop.of_square(messages.Crop(centre_x, centre_y, float(max(box.width, box.height))), resolution)


def bounding_box(mask: Mask) -> Box | None:
    """The smallest box around all pixels above 0 of mask [H, W]; None when there are none."""
    x, y, width, height = cv2.boundingRect(mask)
    return Box(x, y, width, height) if width and height else None


def feather_inwards(mask: Mask, radius: float) -> Mask:
    """The selection [H, W], faded towards its edge over ``radius`` pixels on the inside; nothing grows outside.

    The photo's own border is no edge of the selection.
    """
    if radius < 0.5:
        return mask
    inside = cv2.copyMakeBorder((mask > 0).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 5)[1:-1, 1:-1]
    ramp = np.clip(distance / radius, 0.0, 1.0)
    smooth = ramp * ramp * (3.0 - 2.0 * ramp)
    return np.asarray(np.round(mask * smooth), dtype=np.uint8)


def composite(photo: AnyImage, image: AnyImage, mask: Mask, x: int, y: int) -> AnyImage:
    """A copy of ``photo`` [H, W, C] with ``image`` [h, w, C] of the same type laid at (x, y) through ``mask`` [h, w].

    Where the mask is 0 not one bit of the photo changes.
    """
    height, width = mask.shape
    result = photo.copy()
    region = result[y : y + height, x : x + width]
    weight = mask[..., None].astype(np.float32) / 255.0
    mixed = from_unit(to_unit(region) * (1 - weight) + to_unit(image) * weight, photo.dtype)
    np.copyto(region, mixed, where=mask[..., None] > 0)
    return result


def to_unit(pixels: AnyImage) -> Image:
    """uint8, uint16 or float32 pixels as float32 with 0..1 as the display range."""
    return np.asarray(pixels.astype(np.float32) / np.float32(WHITE[pixels.dtype.name]), dtype=np.float32)


def from_unit(pixels: Image, dtype: np.dtype[np.generic]) -> AnyImage:
    """The inverse of :func:`to_unit`; integer types are rounded and clipped, float keeps what lies outside of 0..1."""
    if dtype == np.float32:
        return pixels.astype(np.float32)
    white = WHITE[dtype.name]
    return np.clip(np.round(pixels * np.float32(white)), 0, white).astype(dtype)
