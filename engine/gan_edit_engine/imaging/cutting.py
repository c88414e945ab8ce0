"""What a job needs of a photo, the rest of which stays where it is; and the result, put back into the photo."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gan_edit_engine.imaging.arrays import from_message, to_message
from gan_edit_engine.imaging.crop import AnyImage, Mask, bounding_box, composite
from gan_edit_engine.imaging.image_files import Picture
from gan_edit_engine.imaging.square import nothing_selected
from gan_edit_protocol.arrays import Array
from gan_edit_protocol.client import Client
from gan_edit_protocol.events import ResultReady
from gan_edit_protocol.geometry import Align, Crop, Place
from gan_edit_protocol.requests import LookRequest


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


def cut(scene: Scene, client: Client, feather: float = 0.0) -> Cut:
    """What the engine needs of the scene. ``feather``: in percent, as the settings'.

    Raises GanEditError (empty_mask, and what the engine says of where the model would look).
    """
    height, width = scene.photo.shape[:2]
    selection = None if scene.mask is None else bounding_box(scene.mask)
    if scene.mask is not None and selection is None:
        raise nothing_selected()
    pixel = max(4 if scene.scribble is not None else 1, scene.photo.dtype.itemsize * scene.photo.shape[2])
    part = client.look(
        LookRequest(width, height, scene.model, scene.align, scene.crop, selection, feather, pixel_bytes=pixel)
    )

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
