"""What of a photo may change: its selection, from the photo to the crop and back to the mask of an edit."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gan_edit_engine.imaging.crop import Crop, Image, Mask, Part, bounding_box
from gan_edit_engine.imaging.square import outside_crop
from gan_edit_protocol.geometry import Box

_BORDER, _BORDER_FEATHERS = 0.03, 2.5
"""The band before the crop's border where a change ends that would go on: sides of the crop, and times the feather."""
_ACROSS = 2.0  # pixels beyond the border that say whether the selection goes on
_AROUND_PAINT = 0.12
"""Sides of the crop: about the breadth of an eye of a face."""
_FADING = 0.5  # of that


@dataclass(frozen=True)
class Region:
    """The ``selection`` [h, w] of the photo, 0 (nothing may change) to 255, and all that is found of it.

    ``crop``: where the model looks; ``seen`` [R, R] in 0..1: the selection there. ``box``: the part of the photo that
    may change; ``mask`` [height, width] of it: the selection, softened on its inside, and faded to nothing before the
    crop's border where it goes on beyond that.
    """

    selection: Part
    crop: Crop
    seen: Image
    box: Box
    mask: Mask

    @classmethod
    def of(cls, selection: Part, crop: Crop, feather: float = 0.0) -> Region:
        """``feather``: over how much the mask is softened, in percent of the crop.

        GanEditError when nothing is selected in the crop.
        """
        shares = selection.pixels.astype(np.float32) / np.float32(255)
        seen = crop.extract(shares, cv2.BORDER_CONSTANT, selection.place)
        box = _changeable(selection, crop)
        radius = feather / 100 * crop.size
        chosen = selection.pixels.astype(np.uint8)
        soft = feather_inwards(chosen, radius)
        fading = _fading(Part(chosen, selection.place), crop, _BORDER * crop.size + _BORDER_FEATHERS * radius)
        if fading is not None:
            soft = np.asarray(np.round(soft * fading), dtype=np.uint8)
        inside = Part(soft, selection.place).within(box).astype(np.uint8)
        mask = np.asarray(np.round(inside * crop.coverage(box, 1.0)), dtype=np.uint8)
        return cls(selection, crop, seen, box, mask)


def _fading(selection: Part, crop: Crop, band: float) -> Image | None:
    """[h, w] in 0..1: 0 where the selection goes on across the crop's border, rising to 1 over ``band`` pixels.

    None where it does not.
    """
    place, (height, width) = selection.place, selection.pixels.shape
    depth = crop.depth(Box(place.x, place.y, width, height))
    across = (selection.pixels.astype(np.uint8) > 0) & (depth < 0) & (depth > -_ACROSS)
    if not across.any():
        return None
    distance = _distance_to(across)
    return _smooth((distance - 0.5) / max(band, 1.0))


def _distance_to(places: NDArray[np.bool_]) -> Image:
    """Of each pixel to the nearest of ``places``."""
    return np.asarray(cv2.distanceTransform((~places).astype(np.uint8), cv2.DIST_L2, 5), dtype=np.float32)


def _smooth(ramp: Image) -> Image:
    """0 below 0, 1 above 1, without a corner between."""
    clipped = np.clip(ramp, 0.0, 1.0)
    return np.asarray(clipped * clipped * (3.0 - 2.0 * clipped), dtype=np.float32)


def around_paint(alpha: Mask, crop: Crop) -> Mask:
    """What is selected where nobody selects anything: around the paint ``alpha`` [h, w], fading outwards."""
    if not alpha.any():
        return np.zeros_like(alpha)
    distance = _distance_to(alpha > 0)
    reach = _AROUND_PAINT * crop.size
    return np.asarray(np.round(255 * _smooth((reach - distance) / (_FADING * reach))), dtype=np.uint8)


def _changeable(selection: Part, crop: Crop) -> Box:
    footprint = crop.footprint(selection.place.height, selection.place.width)
    inside = None if footprint is None else bounding_box(selection.within(footprint).astype(np.uint8))
    if footprint is None or inside is None:
        raise outside_crop()
    return Box(footprint.x + inside.x, footprint.y + inside.y, inside.width, inside.height)


def feather_inwards(selection: Mask, radius: float) -> Mask:
    """The selection [H, W], faded towards its edge over ``radius`` pixels on the inside; nothing grows outside.

    The photo's own border is no edge of the selection.
    """
    if radius < 0.5:
        return selection
    inside = cv2.copyMakeBorder((selection > 0).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    distance = np.asarray(cv2.distanceTransform(inside, cv2.DIST_L2, 5)[1:-1, 1:-1], dtype=np.float32)
    return np.asarray(np.round(selection * _smooth(distance / radius)), dtype=np.uint8)
