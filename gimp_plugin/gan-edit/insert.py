"""The engine's answer as a new layer: one undo step, a layer mask, the latent as a parasite, the photo untouched."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from contextlib import contextmanager

from gi.repository import Gimp

import alpha
import look
import parasites
import pixels
import stack
from gan_edit_protocol.arrays import Array
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.events import FramesReady, ResultReady
from gan_edit_protocol.latent import Latent
from gan_edit_protocol.settings import ImagineSettings, InterpolateSettings
from gan_edit_protocol.spec import Settings

FRAME_MILLISECONDS = 80
"""How long GIMP's export shows each frame, unless the person renames the layers."""

NON_LINEAR = {
    Gimp.Precision.U8_NON_LINEAR,
    Gimp.Precision.U16_NON_LINEAR,
    Gimp.Precision.U32_NON_LINEAR,
    Gimp.Precision.HALF_NON_LINEAR,
    Gimp.Precision.FLOAT_NON_LINEAR,
    Gimp.Precision.DOUBLE_NON_LINEAR,
}
LINEAR = {
    Gimp.Precision.U8_LINEAR,
    Gimp.Precision.U16_LINEAR,
    Gimp.Precision.U32_LINEAR,
    Gimp.Precision.HALF_LINEAR,
    Gimp.Precision.FLOAT_LINEAR,
    Gimp.Precision.DOUBLE_LINEAR,
}

_NAMED = re.compile(r"GAN Edit(?: (\d{1,6}))?: ")


@contextmanager
def one_undo_step(image: Gimp.Image) -> Iterator[None]:
    """Everything inside is undone by one Undo; the layers that were selected are selected again.

    Raises :class:`GanEditError` when the image was closed while the engine worked.
    """
    if not image.is_valid():
        raise GanEditError("image_gone", "The image was closed before the result was ready.", "Open it and try again.")
    selected = image.get_selected_layers()
    image.undo_group_start()
    try:
        yield
        if selected:
            image.set_selected_layers(selected)
    finally:
        image.undo_group_end()
        Gimp.displays_flush()


def insert_edit(
    photo: Gimp.Layer, result: ResultReady, origin: parasites.Origin, settings: Settings, model: str
) -> Gimp.Layer:
    """A layer above ``photo`` and all earlier results of it, with the result's pixels, shown through its mask.

    ``model``: as the request named it. Raises :class:`GanEditError` when the
    photo's layer was deleted while the engine worked.
    """
    if not photo.is_valid():
        raise GanEditError("layer_gone", "The photo's layer was deleted before the result was ready.", "Undo that.")
    image = photo.get_image()
    left, top = pixels.offsets(photo)
    recolours = _recolours(photo, result.image)
    if recolours and alpha.is_translucent(result.image):
        result = dataclasses.replace(result, image=alpha.solid(result.image))
    layer = _new_layer(image, result, origin, photo.type(), settings, model)
    if recolours:
        layer.set_composite_mode(Gimp.LayerCompositeMode.CLIP_TO_BACKDROP)
    layer.set_offsets(left + result.x, top + result.y)
    below = stack.topmost_result(photo) or photo
    image.insert_layer(layer, photo.get_parent(), image.get_item_position(below))
    if result.mask is not None:
        mask = layer.create_mask(Gimp.AddMaskType.BLACK)
        layer.add_mask(mask)
        pixels.write_mask(mask, result.mask)
    return layer


def insert_picture(image: Gimp.Image, result: ResultReady, kind: str, settings: Settings, model: str) -> Gimp.Layer:
    """A layer on top of ``image``, scaled into the selection's square, else at its own size in the middle."""
    layer = _picture_layer(image, result, kind, settings, model)
    image.insert_layer(layer, None, 0)
    if not Gimp.Selection.is_empty(image):
        _scale_into(layer, square(image))
        return layer
    layer.set_offsets((image.get_width() - layer.get_width()) // 2, (image.get_height() - layer.get_height()) // 2)
    return layer


def insert_candidates(image: Gimp.Image, result: FramesReady, settings: ImagineSettings, model: str) -> Gimp.Layer:
    """The best of the candidates as a layer on top of ``image``, in its `square`; the others hidden below it, in order.

    ``model``: as the request named it.
    """
    made = []
    for number, (frame, ws) in enumerate(zip(result.frames.parts(), result.latents.parts(), strict=True)):
        one = ResultReady(frame, Latent(ws), model=result.model, seed=result.seed)
        layer = _picture_layer(image, one, "imagined", settings, model)
        image.insert_layer(layer, None, number)
        _scale_into(layer, square(image))
        layer.set_visible(number == 0)
        made.append(layer)
    return made[0]


def square(image: Gimp.Image) -> tuple[int, int, int, int]:
    """The largest square (x, y, side, side) in the middle of the selection, else of the canvas."""
    _, _, x1, y1, x2, y2 = Gimp.Selection.bounds(image)
    side = max(1, min(x2 - x1, y2 - y1))
    return (x1 + x2 - side) // 2, (y1 + y2 - side) // 2, side, side


def _scale_into(layer: Gimp.Layer, rectangle: tuple[int, int, int, int]) -> None:
    left, top, width, height = rectangle
    Gimp.context_set_interpolation(Gimp.InterpolationType.CUBIC)
    layer.scale(width, height, False)
    layer.set_offsets(left, top)


def _picture_layer(image: Gimp.Image, result: ResultReady, kind: str, settings: Settings, model: str) -> Gimp.Layer:
    """A layer, not yet in the image, of the image's own type."""
    layer_type = {
        Gimp.ImageBaseType.RGB: Gimp.ImageType.RGBA_IMAGE,
        Gimp.ImageBaseType.GRAY: Gimp.ImageType.GRAYA_IMAGE,
        Gimp.ImageBaseType.INDEXED: Gimp.ImageType.INDEXEDA_IMAGE,
    }[image.get_base_type()]
    return _new_layer(image, result, parasites.Origin(kind), layer_type, settings, model)


def new_animation(parts: Iterator[FramesReady], settings: InterpolateSettings, model: str) -> Gimp.Image:
    """A new image with the frames as layers, the first at the bottom, named as GIMP's animation exports expect.

    ``parts``: the frames as they come. A single image is no animation and is named after how it was made. ``model``:
    as the request named it.
    """
    image = None
    try:
        for result in parts:
            if image is None:
                height, width = result.frames.shape[1:3]
                image = Gimp.Image.new(width, height, Gimp.ImageBaseType.RGB)
            _add_frames(image, result, settings, model)
    except BaseException:
        if image is not None:
            image.delete()
        raise
    assert image is not None  # there is at least one part
    return image


def _add_frames(image: Gimp.Image, result: FramesReady, settings: InterpolateSettings, model: str) -> None:
    _, height, width, _ = result.frames.shape
    frames = []
    for number, frame in enumerate(result.frames.parts(), start=result.first + 1):
        one = f"GAN Edit: {settings.mode} ({result.model})"
        name = one if result.of == 1 else f"Frame {number} ({FRAME_MILLISECONDS}ms)"
        layer = Gimp.Layer.new(image, name, width, height, Gimp.ImageType.RGB_IMAGE, 100.0, Gimp.LayerMode.NORMAL)
        image.insert_layer(layer, None, 0)
        pixels.write_colors(layer, frame)
        frames.append(layer)
    parasites.attach_frames(frames, result, settings, model)


def _new_layer(
    image: Gimp.Image,
    result: ResultReady,
    origin: parasites.Origin,
    layer_type: Gimp.ImageType,
    settings: Settings,
    model: str,
) -> Gimp.Layer:
    """A layer, not yet in the image, with the result's pixels and latents."""
    height, width = result.image.shape[:2]
    name = f"{_numbered(image)}: {origin.kind} ({result.model})"
    layer = Gimp.Layer.new(image, name, width, height, layer_type, 100.0, Gimp.LayerMode.NORMAL)
    _composite_without_conversion(layer, image.get_precision())
    pixels.write_colors(layer, result.image)
    parasites.attach(layer, result, origin, settings, model)
    return layer


def _recolours(photo: Gimp.Layer, pixels_over_it: Array) -> bool:
    """Whether the new layer changes only the colours of what lies below it, and not where that is transparent.

    Two layers of half opacity over one another would be more opaque than the photo was; and only so does GIMP mix two
    equal colours without rounding in floating point.
    """
    parent = photo.get_parent()
    if parent is not None and parent.get_mode() == Gimp.LayerMode.PASS_THROUGH:
        return False  # GIMP would round everything in such a group anew, also outside the layer mask
    return look.is_floating(photo.get_image()) or alpha.is_translucent(pixels_over_it)


def _numbered(image: Gimp.Image) -> str:
    """The beginning of a new layer's name, with a number where ``image`` has such layers already.

    It stands there and not, like the number that GIMP adds to a name in use, at the end, which the dock cuts off.
    """
    matches = [_NAMED.match(layer.get_name()) for layer in stack.plain_layers(image)]
    number = 1 + max((int(match[1] or 1) for match in matches if match), default=0)
    return "GAN Edit" if number == 1 else f"GAN Edit {number}"


def _composite_without_conversion(layer: Gimp.Layer, precision: Gimp.Precision) -> None:
    """Blend in the encoding in which the image is stored.

    GIMP's default converts what lies below to another encoding and back, which moves last bits even where the layer
    mask is zero (seen in 16-bit images with a profile and in floating-point ones).
    """
    if precision in NON_LINEAR:
        layer.set_composite_space(Gimp.LayerColorSpace.RGB_NON_LINEAR)
    elif precision in LINEAR:
        layer.set_composite_space(Gimp.LayerColorSpace.RGB_LINEAR)
    else:
        layer.set_composite_space(Gimp.LayerColorSpace.RGB_PERCEPTUAL)
