"""What of a photo may change: its selection, from the photo to the crop and back to the mask of an edit."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from gan_edit_engine.imaging.crop import Crop, Image, Mask, Part, bounding_box
from gan_edit_engine.imaging.square import outside_crop
from gan_edit_protocol.geometry import Box


@dataclass(frozen=True)
class Region:
    """The ``selection`` [h, w] of the photo, 0 (nothing may change) to 255, and all that is found of it.

    ``crop``: where the model looks; ``seen`` [R, R] in 0..1: the selection there. ``box``: the part of the photo that
    may change; ``mask`` [height, width] of it: the selection, softened on its inside and at the crop's border.
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
        soft = Part(feather_inwards(selection.pixels.astype(np.uint8), radius), selection.place).within(box)
        mask = np.asarray(np.round(soft.astype(np.uint8) * crop.coverage(box, radius)), dtype=np.uint8)
        return cls(selection, crop, seen, box, mask)


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
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 5)[1:-1, 1:-1]
    ramp = np.clip(distance / radius, 0.0, 1.0)
    smooth = ramp * ramp * (3.0 - 2.0 * ramp)
    return np.asarray(np.round(selection * smooth), dtype=np.uint8)
