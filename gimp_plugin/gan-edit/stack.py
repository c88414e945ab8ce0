"""How an image's layers lie over one another, and which of them GAN Edit made from which photo."""

from __future__ import annotations

from gi.repository import Gimp

import parasites

KINDS_OF_RESULTS = ("scribble", "projection")
"""What else GAN Edit makes is a picture of its own, which may be the photo of an edit."""


def plain_layers(image: Gimp.Image) -> list[Gimp.Layer]:
    """All layers that are not groups, from top to bottom, those inside groups too."""
    return _plain(image.get_layers())


def siblings(layer: Gimp.Layer) -> list[Gimp.Layer]:
    """``layer`` with the layers and groups that lie in the same group, or outside all groups, from top to bottom."""
    parent = layer.get_parent()
    return list(parent.get_children() if parent else layer.get_image().get_layers())


def is_result(layer: Gimp.Layer) -> bool:
    """Whether the layer is an edit or a projection of a photo."""
    origin = parasites.read_origin(layer)
    return origin is not None and origin.kind in KINDS_OF_RESULTS


def photo_of(layer: Gimp.Layer) -> Gimp.Layer | None:
    """The photo that a result was made from, be it by way of other results; None where that is not known.

    Results of earlier versions do not keep it, and a copy of an image gives its layers other tattoos. Therefore only a
    layer that lies below the result and still has the photo's name is taken for it.
    """
    origin = parasites.read_origin(layer)
    if origin is None:
        return None
    kept = (origin.photo_tattoo, origin.photo_name)
    order = plain_layers(layer.get_image())
    below = order[order.index(layer) + 1 :]
    photo = next((each for each in below if (each.get_tattoo(), each.get_name()) == kept), None)
    return photo_of(photo) if photo is not None and is_result(photo) else photo


def topmost_result(photo: Gimp.Layer) -> Gimp.Layer | None:
    """The topmost layer or group beside ``photo`` that is, or holds, a result lying over it; None without one.

    Results of another photo that lies over this one itself belong there and do not count.
    """
    beside = siblings(photo)
    for item in beside[: beside.index(photo)]:
        if any(is_result(layer) and not _is_over(photo_of(layer), photo) for layer in _plain([item])):
            return item
    return None


def _plain(items: list[Gimp.Layer]) -> list[Gimp.Layer]:
    waiting, found = list(items), []
    while waiting:
        layer = waiting.pop(0)
        if layer.is_group():
            waiting = [*layer.get_children(), *waiting]
        else:
            found.append(layer)
    return found


def _is_over(upper: Gimp.Layer | None, lower: Gimp.Layer) -> bool:
    """Whether ``upper`` is known and lies above ``lower``."""
    order = plain_layers(lower.get_image())
    return upper is not None and order.index(upper) < order.index(lower)
