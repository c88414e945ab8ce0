"""The photo, selection and scribble of a request as the model sees them: its square, as tensors in −1..1."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from gan_edit_engine.imaging.arrays import from_message
from gan_edit_engine.imaging.crop import WHITE, AnyImage, Crop, Image, Mask, Part, choose_crop, place_of, to_unit
from gan_edit_engine.imaging.preflight import nothing_painted
from gan_edit_engine.imaging.region import Region, around_paint
from gan_edit_engine.imaging.square import nothing_selected, outside_crop
from gan_edit_engine.inversion.subject import Subject
from gan_edit_engine.library.models import Model
from gan_edit_protocol.arrays import Array
from gan_edit_protocol.errors import GanEditError, WireError
from gan_edit_protocol.geometry import Box, Place
from gan_edit_protocol.requests import EditRequest, ProjectRequest
from gan_edit_protocol.settings import EditSettings


@dataclass(frozen=True)
class View:
    """The ``photo`` [h, w, 3 or 4], the ``region`` of it that may change, and what the model sees.

    ``colours`` [R, R, 3] in 0..1: the crop of the photo. ``subject``: that and the selection as tensors.
    """

    photo: Part
    region: Region
    colours: Image
    subject: Subject

    @property
    def selected(self) -> Tensor:
        """The selection as the model sees it, [1, 1, R, R] in 0..1."""
        return map_to_tensor(self.region.seen, self.subject.weight.device)


def view(request: EditRequest | ProjectRequest, model: Model, device: torch.device) -> View:
    """What the request shows to the model. GanEditError when nothing is selected, or nothing of it is in the crop."""
    whole = place_of(request)
    came = None if request.mask is None else from_message(request.mask).astype(np.uint8, copy=False)
    if came is not None and not came.any():
        raise nothing_selected() if came.shape == (whole.height, whole.width) else outside_crop()
    resolution = model.generator.resolution
    crop = choose_crop(request, came, model.info.align_points, resolution)
    feather = request.settings.feather if isinstance(request.settings, EditSettings) else 0.0
    part = crop.surroundings(whole.height, whole.width, feather)
    place = Place(part.x, part.y, whole.width, whole.height)
    photo = _cut(request.photo, whole, part)
    everywhere = np.full(photo.shape[:2], 255, np.uint8)
    if request.mask is not None:
        selection = _cut(request.mask, whole, part).astype(np.uint8)
    elif isinstance(request, EditRequest):
        selection = around_paint(_cut(request.scribble, whole, part)[..., 3].astype(np.uint8), crop)
    else:
        selection = everywhere
    region = Region.of(Part(selection, place), crop, feather)
    # Beyond the photo's border and under transparent pixels there is nothing to be reproduced.
    seen = photo[..., 3].astype(bool) if photo.shape[2] == 4 else everywhere.astype(bool)
    weight = crop.extract(seen.astype(np.float32), cv2.BORDER_CONSTANT, place)
    if request.settings.selected_only:
        weight = weight * region.seen
    if not weight.any():
        raise GanEditError("empty_photo", "The part to edit is fully transparent.", "Choose another layer or part.")
    colours = crop.extract(photo[..., :3], place=place) / np.float32(WHITE[photo.dtype.name])
    channels = model.generator.image_channels
    subject = Subject(
        to_tensor(colours, channels, device),
        map_to_tensor(weight, device),
        map_to_tensor(region.seen, device),
    )
    return View(Part(photo, place), region, colours, subject)


def _cut(array: Array, came: Place, part: Box) -> AnyImage:
    """The ``part`` of the photo from what ``came`` of it; WireError when that does not hold it."""
    height, width = array.shape[:2]
    x, y = part.x - came.x, part.y - came.y
    if x < 0 or y < 0 or x + part.width > width or y + part.height > height:
        raise WireError("The part of the photo that came does not hold what the model looks at.")
    return Part(from_message(array), came).within(part)


@dataclass(frozen=True)
class Scribble:
    """What is painted inside the selection, as the model sees it.

    ``colours`` [R, R, 3] in 0..1 of the paint alone; ``cover`` [R, R]: how much of each pixel it hides, 0..1;
    ``opacity`` [R, R]: how opaque it is where it lies, which a soft edge hardly lowers and a transparent brush does.
    """

    colours: Image
    cover: Image
    opacity: Image


def scribble(request: EditRequest, seen: View) -> Scribble:
    """The request's scribble. GanEditError when nothing is painted inside the selection."""
    place, (height, width) = seen.photo.place, seen.photo.pixels.shape[:2]
    strokes = _cut(request.scribble, place_of(request), Box(place.x, place.y, width, height)).astype(np.uint8)
    painted = painted_in(strokes, seen.region.selection, seen.region.crop)
    if not painted.cover.any():
        raise nothing_painted()
    return painted


def painted_in(strokes: Mask, selection: Part, crop: Crop) -> Scribble:
    """What is painted with ``strokes`` [h, w, 4], which lie where the ``selection`` does, and where that is not 0."""
    place = selection.place
    alpha = np.where(selection.pixels.astype(np.uint8) > 0, strokes[..., 3] / np.float32(255), 0).astype(np.float32)
    cover = crop.extract(alpha, cv2.BORDER_CONSTANT, place)
    laid = np.zeros((*alpha.shape, 4), np.float32)
    laid[..., :3] = to_unit(strokes[..., :3]) * alpha[..., None]
    laid[..., 3] = np.square(alpha)
    means = crop.extract(laid, cv2.BORDER_CONSTANT, place) / np.maximum(cover[..., None], 1e-4)
    return Scribble(means[..., :3].astype(np.float32), cover, means[..., 3].astype(np.float32))


def to_tensor(colours: Image, channels: int, device: torch.device) -> Tensor:
    """[R, R, 3] in 0..1 as [1, channels, R, R] in −1..1; one channel is the mean of the three."""
    planes = torch.from_numpy(np.ascontiguousarray(colours.transpose(2, 0, 1)))[None].to(device) * 2 - 1
    return planes if channels == 3 else planes.mean(1, keepdim=True)


def map_to_tensor(values: Image, device: torch.device) -> Tensor:
    """Maps [R, R] or [N, R, R] as [1 or N, 1, R, R]."""
    maps = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)).to(device)
    return maps.reshape(-1, 1, *maps.shape[-2:])


def to_colours(image: Tensor) -> Image:
    """The first of images [N, 1 or 3, R, R] in −1..1 as [R, R, 3] clipped to 0..1."""
    planes = (image[0].detach().float().cpu().clamp(-1, 1) + 1) / 2
    return np.ascontiguousarray(planes.expand(3, -1, -1).permute(1, 2, 0).numpy())
