"""The photo, selection and scribble of a request as the model sees them: its square, as tensors in −1..1."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from gan_edit_engine.arrays import from_message
from gan_edit_engine.invert import Subject
from gan_edit_engine.library import Model
from gan_edit_engine.photo import WHITE, AnyImage, Box, Crop, Image, Mask, bounding_box, choose_crop, to_unit
from gan_edit_engine.preflight import nothing_painted, nothing_selected
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.messages import EditRequest, ProjectRequest


@dataclass(frozen=True)
class View:
    """Where the model looks: ``crop`` of ``photo`` [H, W, 3 or 4]; ``colours`` [R, R, 3] in 0..1 is what it sees there.

    ``selection`` [H, W] is 0 where nothing may change; ``box`` the part of the photo that may.
    """

    photo: AnyImage
    selection: Mask
    crop: Crop
    box: Box
    colours: Image
    subject: Subject


def view(request: EditRequest | ProjectRequest, model: Model, device: torch.device) -> View:
    """What the request shows to the model. GanEditError when nothing is selected, or nothing of it is in the crop."""
    photo = from_message(request.photo)
    whole = np.full(photo.shape[:2], 255, np.uint8)
    selection = whole if request.mask is None else from_message(request.mask).astype(np.uint8)
    resolution = model.generator.resolution
    crop = choose_crop(request, selection, model.info.align_points, resolution)
    box = _changeable(crop, selection)
    selected = crop.extract(selection.astype(np.float32) / np.float32(255), cv2.BORDER_CONSTANT)
    # Beyond the photo's border and under transparent pixels there is nothing to be reproduced.
    seen = photo[..., 3].astype(bool) if photo.shape[2] == 4 else whole.astype(bool)
    weight = crop.extract(seen.astype(np.float32), cv2.BORDER_CONSTANT)
    if request.settings.selected_only:
        weight = weight * selected
    if not weight.any():
        raise GanEditError("empty_photo", "The part to edit is fully transparent.", "Choose another layer or part.")
    colours = crop.extract(photo[..., :3]) / np.float32(WHITE[photo.dtype.name])
    channels = model.generator.image_channels
    subject = Subject(
        to_tensor(colours, channels, device),
        torch.from_numpy(weight)[None, None].to(device),
        torch.from_numpy(selected)[None, None].to(device),
    )
    return View(photo, selection, crop, box, colours, subject)


def _changeable(crop: Crop, selection: Mask) -> Box:
    footprint = crop.footprint(*selection.shape)
    inside = bounding_box(selection[footprint.slices]) if footprint else None
    if footprint is None or inside is None:
        if not selection.any():
            raise nothing_selected()
        raise GanEditError(
            "outside_crop",
            "The selection lies outside of the square in which the model looks.",
            "Move the selection, or the alignment points or the crop.",
        )
    return Box(footprint.x + inside.x, footprint.y + inside.y, inside.width, inside.height)


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
    strokes = from_message(request.scribble).astype(np.uint8)
    height, width = seen.selection.shape
    box = seen.crop.footprint(height, width, margin=1) or seen.box
    alpha = np.zeros(seen.selection.shape, np.float32)
    alpha[box.slices] = np.where(seen.selection[box.slices] > 0, strokes[box.slices][..., 3] / np.float32(255), 0)
    cover = seen.crop.extract(alpha, cv2.BORDER_CONSTANT)
    if not cover.any():
        raise nothing_painted()
    laid = np.zeros((*alpha.shape, 4), np.float32)
    laid[box.slices][..., :3] = to_unit(strokes[box.slices][..., :3]) * alpha[box.slices][..., None]
    laid[box.slices][..., 3] = np.square(alpha[box.slices])
    means = seen.crop.extract(laid, cv2.BORDER_CONSTANT) / np.maximum(cover[..., None], 1e-4)
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
