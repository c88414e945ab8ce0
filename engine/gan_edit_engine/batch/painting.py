"""A scribble, and its mask, that is painted once and lies on every photo where the model looks."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from gan_edit_engine.batch.jobs import Wanted
from gan_edit_engine.imaging import image_files
from gan_edit_engine.imaging.colour_profiles import converted
from gan_edit_engine.imaging.crop import Crop, Image, Mask, to_unit
from gan_edit_engine.imaging.image_files import Picture
from gan_edit_engine.imaging.looking import Cancelled, Show, Sight, find_faces
from gan_edit_engine.imaging.picture_notes import srgb_profile
from gan_edit_engine.imaging.preflight import check_painted
from gan_edit_protocol import geometry
from gan_edit_protocol.client import Client
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.events import FacesFound

_KEPT = 4
_MOST_SIDE = 2048  # pixels of the square, beyond which strokes gain nothing


@dataclass(frozen=True)
class Painting:
    """What is painted on a square: ``colours`` [R, R, 3] with their ``profile``, ``alpha`` [R, R] in 0..1.

    ``mask`` [R, R] in 0..1: what may change; None: what lies around the paint.
    """

    colours: NDArray[np.uint8]
    alpha: Image
    profile: bytes
    mask: Image | None

    def laid(self, picture: Picture, square: geometry.Crop) -> tuple[NDArray[np.uint8], Mask | None]:
        """Scribble [H, W, 4] and mask [H, W] for a photo whose ``square`` is the one that was painted on."""
        height, width = picture.pixels.shape[:2]
        crop = Crop.of_square(square, len(self.alpha))
        box = crop.footprint(height, width)
        if box is None:
            raise GanEditError("outside_crop", "The square where the model looks lies outside of the photo.")
        ours = converted(self.colours, self.profile, picture.profile or srgb_profile(), "the scribble")
        inside = crop.coverage(box, 1.0)
        # Of what is transparent no colour counts. The cubic curve goes beyond 1, in both alike.
        alpha = crop.insert(self.alpha, box)
        painted = crop.insert(to_unit(ours) * self.alpha[..., None], box) / np.maximum(alpha, 1e-4)[..., None]
        strokes = np.zeros((height, width, 4), np.uint8)
        strokes[box.slices] = np.round(255 * np.clip(np.dstack([painted, alpha * inside]), 0, 1))
        if self.mask is None:
            return strokes, None
        selected = np.zeros((height, width), np.uint8)
        selected[box.slices] = np.round(255 * np.clip(crop.insert(self.mask, box), 0, 1) * inside)
        return strokes, selected


class Paintings:
    """Those that jobs name; the last few are kept. For several threads."""

    def __init__(self) -> None:
        self._made: dict[tuple[Path | None, ...], Painting] = {}
        self._lock = threading.Lock()

    def of(self, wanted: Wanted, client: Client, show: Show, cancelled: Cancelled) -> Painting:
        """The scribble of what is ``wanted``; GanEditError when it, or the photo that it lies on, cannot be used."""
        key = (wanted.scribble, wanted.scribble_on, wanted.mask, Path(wanted.model))
        with self._lock:
            if key not in self._made:
                self._made[key] = _painting(wanted, client, show, cancelled)
                if len(self._made) > _KEPT:
                    del self._made[next(iter(self._made))]
            return self._made[key]


def square_of(found: FacesFound, height: int, width: int, name: str) -> geometry.Crop:
    """Where the model looks in a photo ``name``: at the face, else, where nothing knows its faces, at all of it.

    GanEditError (no_face) when there is none.
    """
    if found.face is not None:
        return found.face.crop
    if found.kind:
        raise GanEditError(
            "no_face",
            f"No {found.kind} {'lies under the paint' if found.faces else 'was found'} in {name}.",
            "Say where the model shall look, with crop.",
        )
    return geometry.Crop(width / 2, height / 2, float(max(height, width)))


def _painting(wanted: Wanted, client: Client, show: Show, cancelled: Cancelled) -> Painting:
    assert wanted.scribble is not None  # as was checked
    photo = None if wanted.scribble_on is None else image_files.read_picture(wanted.scribble_on)
    strokes = image_files.read_scribble(wanted.scribble, photo)
    mask = None if wanted.mask is None else image_files.read_mask(wanted.mask, Picture(strokes))
    check_painted(strokes, mask)
    height, width = strokes.shape[:2]
    if photo is not None:
        sight = Sight(photo.pixels, strokes[..., 3], wanted.model)
        square = square_of(find_faces(sight, client, show, cancelled), height, width, str(wanted.scribble_on))
    elif height == width:
        square = geometry.Crop(width / 2, height / 2, float(width))
    else:
        raise GanEditError(
            "bad_image",
            f"The scribble {wanted.scribble} is {width}×{height} pixels, and not a square as the model's.",
            "Give the photo that it was painted on, with --scribble-on.",
        )
    crop = Crop.of_square(square, min(_MOST_SIDE, math.ceil(square.size)))
    alpha = to_unit(strokes[..., 3])
    cover = crop.extract(alpha, cv2.BORDER_CONSTANT)
    if not cover.any():
        raise GanEditError(
            "nothing_painted", "Nothing is painted where the model looks.", "Paint on the face, inside its square."
        )
    laid = crop.extract(to_unit(strokes[..., :3]) * alpha[..., None], cv2.BORDER_CONSTANT)
    colours = np.round(255 * np.clip(laid / np.maximum(cover, 1e-4)[..., None], 0, 1)).astype(np.uint8)
    profile = (None if photo is None else photo.profile) or srgb_profile()
    selected = None if mask is None else crop.extract(to_unit(mask), cv2.BORDER_CONSTANT)
    return Painting(colours, cover, profile, selected)
