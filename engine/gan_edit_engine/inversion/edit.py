"""Editing: from a projected photo to the latent that means what a few strokes mean.

A stroke through an iris asks for an iris of that colour, and it is the network that knows what an iris is. So the
search first moves all layers alike along W, over the directions in which the model's own latents differ most: what
changes there changes as whole things do. What is not selected is held, which punishes every direction that does more
than was asked for; inside, what no stroke speaks for stays or changes as a whole. A few steps in W+ near that then
reach what W cannot.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gan_edit_engine.inversion.axes import search_coordinates
from gan_edit_engine.inversion.losses import area_averaged
from gan_edit_engine.inversion.optimize import Adam, Step, late_decay, over
from gan_edit_engine.inversion.prepared import Prepared
from gan_edit_engine.inversion.search_size import lacking, search_side
from gan_edit_engine.inversion.subject import Drawing, Inversion, synthesise
from gan_edit_engine.inversion.terms import (
    FollowPaint,
    KeepInside,
    KeepOutside,
    Look,
    StayNear,
    StayTypical,
    Term,
    total,
)
from gan_edit_protocol.settings import EditSettings

_MEANING_SIDE = 64  # pixels: what is meant shows at this size, at two thirds of the cost of 128
_MEANING_SHARE = 0.75  # of the steps go along W
_MEANING_RATE, _W_PLUS_RATE = 0.2, 0.05
_USUAL_SHARE = 0.03  # of what is selected is painted: there the paint has its usual say, and more where there is more
_LEAST_SAY, _MOST_SAY = 0.5, 4.0


@dataclass(frozen=True)
class Wish:
    """What is asked for: the ``paint`` [1, C, R, R] in −1..1 where ``meant``, and all else [1, 1, R, R] in 0..1.

    ``painted``: where anything is painted; ``meant``: how far that counts; ``selected``: what may change; ``free``:
    what the strokes speak for.
    """

    paint: Tensor
    painted: Tensor
    meant: Tensor
    selected: Tensor
    free: Tensor


@dataclass(frozen=True)
class Edited:
    """The latent ws [1, num_ws, w_dim] that fulfils the wish, and its image [1, C, R, R]."""

    ws: Tensor
    image: Tensor


def follow_scribble(
    prepared: Prepared[EditSettings], projected: Inversion, wish: Wish
) -> Generator[Step, None, Edited]:
    """Yields a Step per optimisation step; returns the :class:`Edited` latent."""
    steps = prepared.settings.edit_steps
    along_w = max(1, round(steps * _MEANING_SHARE))
    drawing = _drawing(prepared, projected)
    ws = yield from _along_w(prepared, projected, wish, drawing, along_w)
    if along_w < steps:
        ws = yield from _in_w_plus(prepared, projected, wish, drawing, ws, steps - along_w)
    with torch.no_grad():
        return Edited(ws, synthesise(prepared.generator, ws, Drawing(projected.noise, projected.residual)))


def _drawing(prepared: Prepared[EditSettings], projected: Inversion) -> Drawing:
    """How the search's images are drawn. Those of a large model begin as the projected one, seen at their size."""
    generator, side = prepared.generator, search_side(prepared.generator)
    drawing = Drawing(projected.noise, projected.residual, prepared.dtype, side)
    if side == generator.resolution:
        return drawing
    sides = (min(_MEANING_SIDE, side), side)
    return replace(drawing, lacking=lacking(generator, projected.ws, drawing, sides, projected.image))


def _along_w(
    prepared: Prepared[EditSettings], projected: Inversion, wish: Wish, drawing: Drawing, steps: int
) -> Generator[Step, None, Tensor]:
    """ws [1, num_ws, w_dim] after a search in which all layers move alike, on a small image."""
    settings, basis = prepared.settings, prepared.statistics.basis
    side = min(_MEANING_SIDE, prepared.generator.resolution)
    drawing = replace(drawing, side=side)
    terms = [*_terms(projected, wish, settings, side), StayTypical(settings.edit_prior_weight)]
    move = torch.zeros([1, basis.shape[1]], device=projected.ws.device).requires_grad_()

    def moved() -> Tensor:
        return projected.ws + (move @ basis.T)[:, None]

    def evaluate(_taken: int) -> tuple[Tensor, Tensor]:
        ws = moved()
        image = synthesise(prepared.generator, ws, drawing)
        return total(terms, Look(image, ws, move)), image

    yield from Adam([move], evaluate, over(steps, _MEANING_RATE, late_decay)).run(steps)
    return moved().detach()


def _in_w_plus(
    prepared: Prepared[EditSettings], projected: Inversion, wish: Wish, drawing: Drawing, centre: Tensor, steps: int
) -> Generator[Step, None, Tensor]:
    """ws [1, num_ws, w_dim] after a search near ``centre`` in which each layer moves by itself."""
    settings, generator = prepared.settings, prepared.generator
    side = search_side(generator)
    near = StayNear(settings.edit_prior_weight, centre, prepared.statistics.std)
    terms = [*_terms(projected, wish, settings, side), near]
    coordinates, latent = search_coordinates(centre, prepared.axes, "adam")

    def evaluate(_taken: int) -> tuple[Tensor, Tensor]:
        ws = latent()
        image = synthesise(generator, ws, drawing)
        return total(terms, Look(image, ws)), image

    yield from Adam([coordinates], evaluate, over(steps, _W_PLUS_RATE, late_decay)).run(steps)
    return latent().detach()


def _terms(projected: Inversion, wish: Wish, settings: EditSettings, side: int) -> list[Term]:
    """What is asked of images of ``side`` pixels."""

    def small(values: Tensor) -> Tensor:
        return area_averaged(values, side, side)

    before, meant, selected, painted = (
        small(values) for values in (projected.image.detach(), wish.meant, wish.selected, wish.painted)
    )
    paint = small(wish.paint * wish.meant) / meant.clamp_min(1e-4)
    share = (wish.painted.sum() / wish.selected.sum().clamp_min(1)).item()
    say = min(max(share / _USUAL_SHARE, _LEAST_SAY), _MOST_SAY)
    held = selected * (1 - painted) * (1 - small(wish.free))
    terms: list[Term] = [
        FollowPaint(say * settings.scribble_weight, paint, meant),
        KeepInside(2 * (1 - settings.reach) * settings.keep_weight, before, held, selected),
    ]
    outside = (1 - selected) * (1 - painted)
    if outside.any():
        terms.append(KeepOutside(settings.outside_weight, before, outside))
    return terms
