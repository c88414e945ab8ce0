"""What a job needs of a photo, the rest of which stays where it is; and the result, put back into the photo."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from gan_edit_engine.imaging.arrays import from_message, to_message
from gan_edit_engine.imaging.crop import AnyImage, Mask, bounding_box, composite
from gan_edit_engine.imaging.image_files import Picture
from gan_edit_engine.imaging.looking import Show
from gan_edit_engine.imaging.square import nothing_selected
from gan_edit_protocol.arrays import Array
from gan_edit_protocol.client import Client
from gan_edit_protocol.events import Notice, ResultReady
from gan_edit_protocol.geometry import Align, Crop, Place
from gan_edit_protocol.requests import MAX_MAP_SIDE, LookRequest


@dataclass(frozen=True)
class Scene:
    """What a request is about: ``photo`` [H, W, 3 or 4], and of its size ``mask`` [H, W] and ``scribble`` [H, W, 4].

    ``model``, ``align``, ``crop``: as the request has them.
    """

    photo: AnyImage
    mask: Mask | None
    model: str
    align: Align | None
    crop: Crop | None
    scribble: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Cut:
    """The arrays of a request, and where in the photo they lie."""

    place: Place
    photo: Array
    mask: Array | None
    scribble: Array | None


def cut(scene: Scene, client: Client, show: Show, feather: float = 0.0) -> Cut:
    """What the engine needs of the scene; ``show`` hears what it notes. ``feather``: in percent, as the settings'.

    Raises GanEditError (empty_mask, and what the engine says of where the model would look).
    """
    height, width = scene.photo.shape[:2]
    selection = None if scene.mask is None else bounding_box(scene.mask)
    if scene.mask is not None and selection is None:
        raise nothing_selected()
    pixel = max(4 if scene.scribble is not None else 1, scene.photo.dtype.itemsize * scene.photo.shape[2])
    painted = None if scene.scribble is None else scene.scribble[..., 3]
    look = client.look(
        LookRequest(
            *(width, height, scene.model, scene.align, scene.crop, selection, feather),
            pixel_bytes=pixel,
            selected_map=_map(scene.mask),
            painted_map=_map(painted),
        )
    )
    for note in look.notes:
        show(Notice(note))
    part = look.part

    def taken(pixels: AnyImage | None) -> Array | None:
        return None if pixels is None else to_message(pixels[part.slices])

    return Cut(
        Place(part.x, part.y, width, height), to_message(scene.photo[part.slices]), taken(scene.mask),
        taken(scene.scribble),
    )  # fmt: skip


def laid_on(picture: Picture | None, result: ResultReady) -> Picture:
    """The whole photo with the result in its place; without a ``picture`` the result alone."""
    image = from_message(result.image)
    if picture is None:
        return Picture(image)
    shown = np.full(image.shape[:2], 255) if result.mask is None else from_message(result.mask)
    pixels = composite(picture.pixels, image, shown.astype(np.uint8), result.x, result.y)
    return replace(picture, pixels=pixels)


def _map(marked: Mask | None) -> Array | None:
    """A small copy in which every mark is seen."""
    if marked is None:
        return None
    height, width = marked.shape
    scale = min(1.0, MAX_MAP_SIDE / max(height, width))
    size = max(1, int(width * scale)), max(1, int(height * scale))
    small = cv2.resize((marked > 0).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return to_message(np.where(small > 0, np.uint8(255), np.uint8(0)))
