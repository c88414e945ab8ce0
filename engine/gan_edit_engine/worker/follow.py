"""A scribble followed on a picture whose latent is known: what it means, the search for that, and what it changes."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import torch
from torch import Tensor

from gan_edit_engine.imaging.crop import Image
from gan_edit_engine.imaging.meaning import meaning
from gan_edit_engine.imaging.strokes import Strokes, reached, separate
from gan_edit_engine.imaging.transfer import Maps, maps_of
from gan_edit_engine.imaging.view import Scribble, map_to_tensor, to_colours, to_tensor
from gan_edit_engine.inversion.edit import Wish, follow_scribble
from gan_edit_engine.inversion.kin import kinship
from gan_edit_engine.inversion.optimize import Step
from gan_edit_engine.inversion.prepared import Prepared
from gan_edit_engine.inversion.residual import without_residual
from gan_edit_engine.inversion.subject import Inversion
from gan_edit_protocol.settings import EditSettings

_WELL_PAINTED = 0.3  # coverage of a model pixel from which on its colour is the paint's


@dataclass(frozen=True)
class Followed:
    """The latent ws [1, num_ws, w_dim] that means what the scribble means, and what that changes in the picture."""

    ws: Tensor
    maps: Maps


def follow(
    prepared: Prepared[EditSettings], projected: Inversion, picture: Image, painted: Scribble, selected: Tensor
) -> Generator[Step, None, Followed]:
    """Yields a Step per optimisation step; returns what is Followed.

    ``picture`` [R, R, 3] in 0..1 is what is edited where ``selected`` [1, 1, R, R], ``projected`` the model's version
    of it; what is known of the model says what its features are like.
    """
    generator = prepared.generator
    known = to_colours(without_residual(generator, projected, torch.ones_like(selected)).image)
    strokes = separate(picture, known, painted.colours, painted.cover, painted.opacity)
    counts = _counts(prepared, projected, strokes.meant, selected)
    wish = _wish(painted.cover, strokes, counts, selected, generator.image_channels)
    start = without_residual(generator, projected, wish.free)
    edited = yield from follow_scribble(prepared, start, wish)
    before, after = to_colours(start.image), to_colours(edited.image)
    meant = meaning(picture, before, after, strokes, counts)
    brightest = strokes.paint[painted.cover >= min(_WELL_PAINTED, float(painted.cover.max()))].max(0)
    return Followed(edited.ws, maps_of(picture, before, after, meant, brightest))


def _counts(prepared: Prepared[EditSettings], projected: Inversion, strokes: Image, selected: Tensor) -> Image:
    """Where each stroke counts [N, R, R]."""
    generator, features = prepared.generator, prepared.statistics.features
    assert features is not None  # `explore` has found them
    noise, maps = projected.noise or "const", map_to_tensor(strokes, projected.ws.device)
    with generator.adding(projected.residual):
        kin = kinship(generator, features, projected.ws, noise, maps)
    reach = prepared.settings.reach
    return reached(kin[:, 0].cpu().numpy(), strokes, selected[0, 0].cpu().numpy(), reach)


def _wish(cover: Image, strokes: Strokes, counts: Image, selected: Tensor, channels: int) -> Wish:
    device = selected.device
    return Wish(
        paint=to_tensor(strokes.paint, channels, device),
        painted=map_to_tensor(cover, device),
        meant=map_to_tensor(strokes.meant.max(0), device),
        selected=selected,
        free=map_to_tensor(counts.sum(0), device),
    )
