"""A photo changed along a direction of the model's latents, such as the one from closed eyes to open ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gan_edit_engine.imaging.arrays import from_message, to_message
from gan_edit_engine.imaging.crop import WHITE, Crop, Mask, Part, composite, to_unit
from gan_edit_engine.imaging.image_files import Picture
from gan_edit_engine.imaging.latent_arrays import is_npz, read_arrays
from gan_edit_engine.imaging.latent_files import read_latent
from gan_edit_engine.imaging.meaning import all_meant
from gan_edit_engine.imaging.region import Region
from gan_edit_engine.imaging.transfer import maps_of, transfer
from gan_edit_protocol import geometry
from gan_edit_protocol.arrays import Array
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.events import FramesReady
from gan_edit_protocol.requests import InterpolateRequest
from gan_edit_protocol.settings import EditSettings, InterpolateSettings

Direction = NDArray[np.float32]
"""[num_ws, w_dim], or [1, w_dim] for all layers alike."""

_NAMES = ("direction", "ws", "w")


def read_direction(files: tuple[Path, ...]) -> Direction:
    """One file's difference of latents, or that of two latents, the second less the first.

    An .npz has it as ``direction``, ``ws`` or ``w``, [num_ws, w_dim] or [w_dim]; a latent's file as its latent.
    GanEditError when there is none, or when two do not fit each other.
    """
    found = [_read(file) for file in files]
    if len(found) == 1:
        return found[0]
    if found[0].shape[1] != found[1].shape[1] or (1 != len(found[0]) != len(found[1]) != 1):
        raise GanEditError("bad_latent", f"The latents in {files[0]} and {files[1]} are not of one model.")
    return np.asarray(found[1] - found[0], np.float32)


def _read(file: Path) -> Direction:
    try:
        arrays = read_arrays(file, _NAMES) if is_npz(file) else {"ws": _values(read_latent(file).ws)}
    except OSError as error:
        raise GanEditError("bad_latent", f"The file {file} cannot be read ({error.strerror}).") from None
    values = next((arrays[name] for name in _NAMES if name in arrays), None)
    if values is not None and values.ndim == 3 and len(values) == 1:
        values = values[0]
    if values is None or values.ndim not in (1, 2) or not values.size:
        raise GanEditError(
            "bad_latent", f"The file {file} holds no direction.", "Name it direction in an .npz, [num_ws, w_dim]."
        )
    if not np.isfinite(values).all():
        raise GanEditError("bad_latent", f"The direction in {file} holds values that are no numbers.")
    return np.atleast_2d(values)


def drawn_with(latent: Array, direction: Direction, amount: float, model: str, class_label: int) -> InterpolateRequest:
    """Asks for the images of a latent's ws, and of it moved by ``amount`` times the direction."""
    ws = _values(latent)
    if direction.shape[1] != ws.shape[1] or len(direction) not in (1, len(ws)):
        raise GanEditError(
            "bad_latent",
            f"The direction is {' × '.join(map(str, direction.shape))}, and the model's latents are "
            f"{' × '.join(map(str, ws.shape))}.",
            "Use one of this model.",
        )
    both = np.stack([ws, ws + np.float32(amount) * direction])
    settings = InterpolateSettings(mode="linear", frames=2, class_label=class_label)
    return InterpolateRequest(to_message(both), None, model, settings)


def moved(
    picture: Picture, mask: Mask | None, square: geometry.Crop, drawn: FramesReady, settings: EditSettings
) -> Picture:
    """The photo with what the two images ``drawn`` differ in, inside the ``square`` and the ``mask`` [H, W]."""
    before, after = (to_unit(frame) for frame in from_message(drawn.frames))
    crop = Crop.of_square(square, len(before))
    pixels = picture.pixels
    guide = crop.extract(pixels[..., :3]) / np.float32(WHITE[pixels.dtype.name])
    selection = np.full(pixels.shape[:2], 255, np.uint8) if mask is None else mask
    region = Region.of(Part.whole(selection), crop, settings.feather)
    maps = maps_of(guide, before, after, all_meant(guide, before, after), np.ones(3, np.float32))
    photo = Part.whole(pixels)
    image = photo.within(region.box).copy()
    image[..., :3] = transfer(crop, region.box, photo, maps, settings.strength)
    laid = composite(pixels, image, region.mask, region.box.x, region.box.y)
    return Picture(laid, **vars(picture.notes))


def _values(array: Array) -> NDArray[np.float32]:
    return np.asarray(from_message(array), np.float32)
