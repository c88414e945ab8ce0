"""Which layers of an image a call is about, and the two points of its alignment path."""

from __future__ import annotations

from dataclasses import dataclass

from gi.repository import Gimp

import parasites
import pixels
import stack
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.messages import Align

SCRIBBLE_NAME = "scribble"
ALIGN_NAME = "align"


@dataclass(frozen=True)
class Scene:
    """The photo's layer and the scribble's."""

    photo: Gimp.Layer
    scribble: Gimp.Layer


def find_photo(drawables: list[Gimp.Drawable]) -> Gimp.Layer:
    """The one selected layer; :class:`GanEditError` when another number is selected, or not a plain layer."""
    if len(drawables) != 1:
        raise GanEditError(
            "bad_layers",
            f"GAN Edit works on one layer, but {len(drawables)} are selected.",
            "Select the photo's layer.",
        )
    photo = drawables[0]
    if isinstance(photo, Gimp.LayerMask):
        photo = Gimp.Layer.from_mask(photo)
    if not isinstance(photo, Gimp.Layer):
        raise GanEditError("bad_layers", "A channel is selected instead of a layer.", "Select the photo's layer.")
    if photo.is_group():
        raise GanEditError(
            "bad_layers", "A layer group is selected instead of a layer.", "Select the photo's layer inside the group."
        )
    return photo


def find_scene(image: Gimp.Image, drawables: list[Gimp.Drawable], chosen: Gimp.Layer | None) -> Scene:
    """The photo and the scribble: ``chosen``, else the layer named "scribble", else the topmost above the photo.

    The scribble is often still selected after painting on it: the photo is then the layer below it, or below the
    results that lie between. A result is a photo only when it is itself selected.
    """
    photo = find_photo(drawables)
    scribble = chosen or _named_scribble(image)
    if scribble is None:
        scribble = _topmost_above(photo)
    if scribble == photo:
        photo = _photo_below(scribble)
    if scribble.is_group():
        raise GanEditError(
            "bad_scribble", "The scribble is a layer group.", "Choose the layer with the painted colours."
        )
    return Scene(photo, scribble)


def find_painting(image: Gimp.Image, drawables: list[Gimp.Drawable], chosen: Gimp.Layer | None) -> Gimp.Layer:
    """The scribble of an image without a photo: ``chosen``, else the selected layer, else the one named "scribble".

    The selected layer is passed over for the other where it is opaque, a canvas, or was made by GAN Edit.
    """
    painting, named = chosen or find_photo(drawables), _named_scribble(image)
    if chosen is None and named is not None and (not painting.has_alpha() or parasites.keeps_latent(painting)):
        painting = named
    if painting.is_group():
        raise GanEditError(
            "bad_scribble", "The scribble is a layer group.", "Choose the layer with the painted colours."
        )
    return painting


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


def _named_scribble(image: Gimp.Image) -> Gimp.Layer | None:
    return next((layer for layer in stack.plain_layers(image) if layer.get_name().lower() == SCRIBBLE_NAME), None)


def _topmost_above(photo: Gimp.Layer) -> Gimp.Layer:
    """The topmost layer of the photo's stack, else of the stack that the photo's group is in, and so on.

    Layers that GAN Edit made are passed over: nobody painted them.
    """
    item = photo
    while item is not None:
        beside = stack.siblings(item)
        above = beside[: beside.index(item)]
        topmost = next((layer for layer in above if not parasites.keeps_latent(layer)), None)
        if topmost is not None:
            return topmost
        item = item.get_parent()
    raise GanEditError(
        "no_scribble",
        "There is no scribble layer.",
        f"Make a transparent layer named “{SCRIBBLE_NAME}” above the photo and paint the wanted colours on it.",
    )


def _photo_below(scribble: Gimp.Layer) -> Gimp.Layer:
    """The first layer below that is no result; below a result that knows its photo, that photo, wherever it lies."""
    beside = stack.siblings(scribble)
    for layer in beside[beside.index(scribble) + 1 :]:
        if layer.is_group():
            break
        if not stack.is_result(layer):
            return layer
        photo = stack.photo_of(layer)
        if photo is not None:
            return photo
    raise GanEditError(
        "bad_layers", "The scribble layer is selected and no photo lies below it.", "Select the layer to edit."
    )
