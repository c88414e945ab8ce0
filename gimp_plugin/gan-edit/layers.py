"""Which layers of an image a call is about, and the two points of its alignment path."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from gi.repository import Gimp

import alpha
import parasites
import pixels
import stack
from gan_edit_protocol.arrays import Array
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.geometry import Align

SCRIBBLE_NAME = "scribble"
ALIGN_NAME = "align"


@dataclass(frozen=True)
class Scene:
    """The photo's layer and the scribble's."""

    photo: Gimp.Layer
    scribble: Gimp.Layer


def find_photo(image: Gimp.Image, drawables: list[Gimp.Drawable]) -> Gimp.Layer:
    """The selected layer or, where that is the scribble, the photo below it; :class:`GanEditError` when neither is."""
    selected = selected_layer(image, drawables)
    return _shown(_photo_below(selected) if _is_scribble(selected) else selected)


def find_scene(image: Gimp.Image, drawables: list[Gimp.Drawable], chosen: Gimp.Layer | None = None) -> Scene:
    """The photo and the scribble: ``chosen``; else the selected layer, as painting leaves it, where it looks like one.

    Else it is the layer named "scribble", else the topmost painted layer above the selected one. The photo is the
    selected layer, or the one below it where that is the scribble. A result is a photo only when it is itself selected.
    :class:`GanEditError` says which of the two there is not.
    """
    selected = selected_layer(image, drawables)
    scribble = chosen or _likely_scribble(selected)
    if scribble is None:
        raise GanEditError(
            "no_scribble",
            "There is no scribble layer.",
            f"Make a transparent layer named “{SCRIBBLE_NAME}” above the photo and paint the wanted colours on it.",
        )
    require_own(image, scribble)
    if scribble.is_group():
        raise GanEditError(
            "bad_scribble", "The scribble is a layer group.", "Choose the layer with the painted colours."
        )
    return Scene(_shown(_photo_below(scribble) if scribble == selected else selected), scribble)


def possible_scenes(image: Gimp.Image, drawables: list[Gimp.Drawable]) -> list[Scene]:
    """All that a person can choose from, by the place of their scribbles in the stack; errors of the selected layer."""
    selected = selected_layer(image, drawables)
    scenes = []
    for layer in stack.plain_layers(image):
        with contextlib.suppress(GanEditError):
            scenes.append(find_scene(image, [selected], layer))
    return scenes


def require_own(image: Gimp.Image, layer: Gimp.Layer) -> None:
    """:class:`GanEditError` when ``layer`` is of another image."""
    if layer.get_image() != image:
        raise GanEditError(
            "bad_layers",
            f"The layer “{layer.get_name()}” belongs to another image, “{layer.get_image().get_name()}”.",
            "Choose a layer of the image that is edited.",
        )


def find_painting(image: Gimp.Image, drawables: list[Gimp.Drawable], chosen: Gimp.Layer | None) -> Gimp.Layer:
    """The scribble of an image without a photo: ``chosen``, else the selected layer, else the one named "scribble".

    The selected layer is passed over for the other where it is opaque, a canvas, or was made by GAN Edit.
    """
    painting, named = chosen or selected_layer(image, drawables), _named_scribble(image)
    require_own(image, painting)
    if chosen is None and named is not None and (not painting.has_alpha() or parasites.keeps_latent(painting)):
        painting = named
    if painting.is_group():
        raise GanEditError(
            "bad_scribble", "The scribble is a layer group.", "Choose the layer with the painted colours."
        )
    return painting


def require_painted(scribble: Gimp.Layer, paint: Array, mask: Array | None, where: str) -> None:
    """:class:`GanEditError` unless something of ``paint``, which was read of that layer, lies in the mask.

    ``where``: that place, in words.
    """
    if not pixels.any_painted(paint, mask):
        raise GanEditError(
            "empty_scribble",
            f"Nothing is painted on the layer “{scribble.get_name()}” {where}.",
            "Paint the wanted colours there, or change the selection.",
        )


def find_align(image: Gimp.Image, photo: Gimp.Layer) -> Align | None:
    """The two anchors of the path named "align" in the photo's pixels, left one first; None without such a path."""
    path = next((path for path in image.get_paths() if path.get_name().lower() == ALIGN_NAME), None)
    if path is None:
        return None
    anchors = sorted(point for stroke in path.get_strokes() for point in _anchors(path, stroke))
    if len(anchors) != 2:
        raise GanEditError(
            "bad_align",
            f"The path “{ALIGN_NAME}” has {len(anchors)} anchors instead of two.",
            "Set one anchor on each of the model's two points (for faces: the eyes), or delete the path.",
        )
    left, top = pixels.offsets(photo)
    (x1, y1), (x2, y2) = anchors
    return Align(x1 - left, y1 - top, x2 - left, y2 - top)


def _anchors(path: Gimp.Path, stroke: int) -> list[tuple[float, float]]:
    """Anchor points of a stroke, whose six numbers each are: handle in, anchor, handle out."""
    _, points, _ = path.stroke_get_points(stroke)
    return [(points[i + 2], points[i + 3]) for i in range(0, len(points), 6)]


def selected_layer(image: Gimp.Image, drawables: list[Gimp.Drawable]) -> Gimp.Layer:
    """The one selected layer; :class:`GanEditError` when another number is selected, or not a plain layer."""
    if image.get_floating_sel() is not None:
        raise GanEditError(
            "bad_layers",
            "There is a floating selection, which is not part of any layer yet.",
            "Anchor it, or make it a new layer (both are in GIMP's Layer menu).",
        )
    if len(drawables) != 1:
        raise GanEditError(
            "bad_layers",
            f"GAN Edit works on one layer, but {len(drawables)} are selected.",
            "Select the photo's layer.",
        )
    layer = drawables[0]
    if isinstance(layer, Gimp.LayerMask):
        layer = Gimp.Layer.from_mask(layer)
    if not isinstance(layer, Gimp.Layer):
        raise GanEditError("bad_layers", "A channel is selected instead of a layer.", "Select the photo's layer.")
    require_own(image, layer)
    if layer.is_group():
        raise GanEditError(
            "bad_layers", "A layer group is selected instead of a layer.", "Select the photo's layer inside the group."
        )
    return layer


def _shown(photo: Gimp.Layer) -> Gimp.Layer:
    """``photo``; :class:`GanEditError` when it, or a group around it, is hidden."""
    item = photo
    while item is not None:
        if not item.get_visible():
            inside = "" if item == photo else f" with its group “{item.get_name()}”"
            raise GanEditError(
                "hidden_photo",
                f"The photo's layer “{photo.get_name()}” is hidden{inside}.",
                "Show it, or select the layer that is to be edited.",
            )
        item = item.get_parent()
    return photo


def _likely_scribble(selected: Gimp.Layer) -> Gimp.Layer | None:
    if _is_scribble(selected):
        return selected
    return _named_scribble(selected.get_image()) or _topmost_painted_above(selected)


def _is_scribble(selected: Gimp.Layer) -> bool:
    """Whether the layer has the scribble's name, or has transparency and lies above an opaque photo.

    So does a cut-out; that is a photo where a scribble of that name is shown above it, or a result was made from it.
    """
    named = _named_scribble(selected.get_image())
    if named == selected:
        return True
    if parasites.keeps_latent(selected) or not alpha.shows_through(selected):
        return False
    order = stack.plain_layers(selected.get_image())
    if named is not None and named.get_visible() and order.index(named) < order.index(selected):
        return False
    if any(stack.is_result(layer) and stack.photo_of(layer) == selected for layer in order):
        return False
    try:
        return not alpha.shows_through(_photo_below(selected))
    except GanEditError:
        return False


def _named_scribble(image: Gimp.Image) -> Gimp.Layer | None:
    return next((layer for layer in stack.plain_layers(image) if layer.get_name().lower() == SCRIBBLE_NAME), None)


def _topmost_painted_above(photo: Gimp.Layer) -> Gimp.Layer | None:
    """The topmost layer of the photo's stack, else of the stack that the photo's group is in, and so on.

    Layers that GAN Edit made are passed over: nobody painted them. So are opaque ones: nothing would be seen below.
    """
    item = photo
    while item is not None:
        beside = stack.siblings(item)
        above = [layer for layer in beside[: beside.index(item)] if not layer.is_group()]
        painted = (layer for layer in above if not parasites.keeps_latent(layer) and alpha.shows_through(layer))
        topmost = next(painted, None)
        if topmost is not None:
            return topmost
        item = item.get_parent()
    return None


def _photo_below(scribble: Gimp.Layer) -> Gimp.Layer:
    """The first layer below, a shown one if there is any, that is neither a result nor named as the scribble.

    Below a result that knows its photo it is that one, wherever it lies.
    """
    hidden = None
    for layer in _below(scribble):
        if layer.is_group():
            break
        if layer == _named_scribble(layer.get_image()):
            continue
        photo = stack.photo_of(layer) if stack.is_result(layer) else layer
        if photo is None:
            continue
        if photo.get_visible():
            return photo
        hidden = hidden or photo
    if hidden is not None:
        return hidden
    raise GanEditError(
        "bad_layers", "The scribble layer is selected and no photo lies below it.", "Select the layer to edit."
    )


def _below(layer: Gimp.Layer) -> list[Gimp.Layer]:
    """What lies below a layer in its group, below that group in its own, and so on."""
    beside = stack.siblings(layer)
    parent = layer.get_parent()
    return beside[beside.index(layer) + 1 :] + (_below(parent) if parent else [])
