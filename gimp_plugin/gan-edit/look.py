"""What is seen of a layer where that is not what is stored: filters, layer mask, opacity, mode and what lies below.

GIMP renders it, in a hidden copy of the image that is deleted afterwards; the image itself is not touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gi.repository import Gimp

import pixels
import stack

PLAIN_MODES = {Gimp.LayerMode.NORMAL, Gimp.LayerMode.NORMAL_LEGACY, Gimp.LayerMode.PASS_THROUGH}
COVERING = {Gimp.LayerCompositeMode.AUTO, Gimp.LayerCompositeMode.UNION}


@contextmanager
def photo_as_seen(photo: Gimp.Layer) -> Iterator[Gimp.Layer]:
    """A layer in the photo's place, to be read, with what its group shows there when nothing lies above the photo.

    It is the photo itself where that shows nothing but its stored pixels.
    """
    mixes = photo.has_alpha() or is_floating(photo.get_image())
    if _shows_as_stored(photo) and not (mixes and _lies_on_something(photo)):
        yield photo
        return
    with _copy_of(photo.get_image()) as copy:
        top = _twin(copy, photo)
        _hide_others(top, above_only=True)
        yield _rendered(copy, top, photo)


@contextmanager
def paint_as_seen(scribble: Gimp.Layer, photo: Gimp.Layer) -> Iterator[Gimp.Layer]:
    """A layer, to be read, with the colours that the scribble gives to what lies below it, and its opacity as alpha.

    It covers the photo's rectangle, or is the scribble itself where that shows nothing but its stored pixels. A hidden
    scribble counts as if it were shown, since an edit hides it.
    """
    if all(_shows_as_stored(item) for item in (scribble, *_groups_of(scribble))):
        yield scribble
        return
    with _copy_of(scribble.get_image()) as copy:
        top = _twin(copy, scribble)
        _hide_others(top, above_only=_is_cut_from_what_lies_below(top))
        yield _rendered(copy, _twin(copy, photo), photo)


def is_floating(image: Gimp.Image) -> bool:
    """Whether the image's pixels are floating-point numbers, whose last bits change wherever GIMP mixes layers."""
    return image.get_precision().value_nick.startswith(("half", "float", "double"))


def _shows_as_stored(item: Gimp.Layer) -> bool:
    """Whether a layer or group covers what lies below it with its own pixels, all of them, as they are."""
    masked = item.get_mask() is not None and item.get_apply_mask()
    filtered = any(each.get_visible() for each in item.get_filters())
    plain = item.get_mode() in PLAIN_MODES and item.get_composite_mode() in COVERING
    return plain and item.get_opacity() >= 100 and not masked and not filtered


def _lies_on_something(layer: Gimp.Layer) -> bool:
    """Whether something visible lies below the layer in its group, or below a group that lets it through."""
    for item in (layer, *_groups_of(layer)):
        beside = stack.siblings(item)
        if any(each.get_visible() for each in beside[beside.index(item) + 1 :]):
            return True
        if not _lets_through(item.get_parent()):
            return False
    return False


def _is_cut_from_what_lies_below(scribble: Gimp.Layer) -> bool:
    """Cut the colours that a mode makes of paint and of what lies below to the paint; False where there are none.

    Old modes cannot be cut so. They count as Normal does: the paint has its own colours.
    """
    if scribble.get_mode() in PLAIN_MODES:
        scribble.set_composite_mode(Gimp.LayerCompositeMode.AUTO)
        return False
    scribble.set_composite_mode(Gimp.LayerCompositeMode.CLIP_TO_LAYER)
    if scribble.get_composite_mode() == Gimp.LayerCompositeMode.CLIP_TO_LAYER:
        return True
    scribble.set_mode(Gimp.LayerMode.NORMAL)
    return False


def _hide_others(top: Gimp.Layer, above_only: bool) -> None:
    """Leave visible ``top`` and, if ``above_only``, what lies below it in its group.

    With ``above_only`` the groups around it change nothing any more: a layer that is put beside ``top`` goes through
    them in its turn. Groups that let through what lies below stay so.
    """
    keeps_below = above_only
    for item in (top, *_groups_of(top)):
        item.set_visible(True)
        beside = stack.siblings(item)
        place = beside.index(item)
        for each in beside[:place] if keeps_below else (*beside[:place], *beside[place + 1 :]):
            each.set_visible(False)
        parent = item.get_parent()
        if above_only and parent is not None:
            keeps_below = keeps_below and _lets_through(parent)
            _take_effects_off(parent)


def _take_effects_off(group: Gimp.Layer) -> None:
    group.set_opacity(100)
    if not _lets_through(group):
        group.set_mode(Gimp.LayerMode.NORMAL)
    if group.get_mask() is not None:
        group.set_apply_mask(False)
    for each in group.get_filters():
        each.set_visible(False)


def _rendered(copy: Gimp.Image, place: Gimp.Layer, photo: Gimp.Layer) -> Gimp.Layer:
    """What ``copy`` shows in the rectangle of ``place``, as a layer of it with the photo's offsets."""
    width, height = place.get_width(), place.get_height()
    left, top = (min(0, offset) for offset in pixels.offsets(place))
    right = max(copy.get_width(), pixels.offsets(place)[0] + width)
    bottom = max(copy.get_height(), pixels.offsets(place)[1] + height)
    copy.resize(right - left, bottom - top, -left, -top)  # what lies beyond the canvas is rendered, too
    layer = Gimp.Layer.new_from_visible(copy, copy, "seen")
    copy.insert_layer(layer, None, 0)
    x, y = pixels.offsets(place)
    layer.resize(width, height, -x, -y)
    layer.set_offsets(*pixels.offsets(photo))
    return layer


@contextmanager
def _copy_of(image: Gimp.Image) -> Iterator[Gimp.Image]:
    copy = image.duplicate()
    try:
        yield copy
    finally:
        copy.delete()


def _twin(copy: Gimp.Image, layer: Gimp.Layer) -> Gimp.Layer:
    """The layer or group of ``copy`` that lies where ``layer`` lies in its image."""
    parent = layer.get_parent()
    beside = _twin(copy, parent).get_children() if parent else copy.get_layers()
    return beside[stack.siblings(layer).index(layer)]


def _groups_of(layer: Gimp.Layer) -> list[Gimp.Layer]:
    """The groups that a layer is in, the innermost first."""
    parent = layer.get_parent()
    return [parent, *_groups_of(parent)] if parent else []


def _lets_through(group: Gimp.Layer | None) -> bool:
    return group is not None and group.get_mode() == Gimp.LayerMode.PASS_THROUGH
