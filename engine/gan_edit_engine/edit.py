"""Editing: from a projected photo to the latent that also follows the scribble.

z* = argmin ‖M∗G(z) − M∗S‖² (the report), plus a term that keeps what is not painted as the projection has it and a
prior that keeps the latent near the projected one.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_edit_engine import generators
from gan_edit_engine.axes import movable
from gan_edit_engine.invert import Inversion, looks_of, synthesise
from gan_edit_engine.latents import Statistics
from gan_edit_engine.losses import latent_distance, pixel_loss
from gan_edit_engine.optimize import Step, minimise
from gan_edit_engine.perceptual import Perceptual
from gan_edit_engine.precision import dtype_of
from gan_edit_protocol.settings import EditSettings

_BESIDE = 16
"""The paint's surroundings, this part of the image wide, are held still by a term of their own: the scribble's term is
normalised by the painted area and would drown the other one there, which shows as a halo."""


@dataclass(frozen=True)
class Scribble:
    """What was painted: image [1, C, R, R] in −1..1 and where it counts, weight [1, 1, R, R] in 0..1."""

    image: Tensor
    weight: Tensor


@dataclass(frozen=True)
class Edited:
    """The latent ws [1, num_ws, w_dim] that follows the scribble, and its image [1, C, R, R]."""

    ws: Tensor
    image: Tensor


def follow_scribble(
    generator: generators.Generator,
    statistics: Statistics,
    perceptual: Perceptual,
    projected: Inversion,
    scribble: Scribble,
    settings: EditSettings,
) -> Generator[Step, None, Edited]:
    """Yields a Step per optimisation step; returns the :class:`Edited` latent."""
    start = projected.image.detach()
    painted = scribble.weight
    beside = (_grow(painted, generator.resolution // _BESIDE) - painted).clamp_min(0)
    looks = looks_of(perceptual, settings, start, 1 - painted)
    moved, latent = movable(projected.ws, statistics.axes_for(settings), settings.optimizer)

    def evaluate(share: float) -> tuple[Tensor, Tensor]:
        ws = latent()
        image = synthesise(generator, ws, projected.noise, dtype_of(settings.precision))
        loss = settings.scribble_weight * pixel_loss(image, scribble.image, painted)
        loss = loss + settings.keep_weight * pixel_loss(image, start, 1 - painted)
        loss = loss + settings.keep_weight * pixel_loss(image, start, beside)
        loss = loss + settings.perceptual_weight * perceptual.loss(image, looks.at(share))
        loss = loss + settings.edit_prior_weight * latent_distance(ws, projected.ws, statistics.std)
        return loss, image

    yield from minimise([moved], evaluate, settings.edit_steps, settings)
    with torch.no_grad():
        ws = latent().detach()
        return Edited(ws, synthesise(generator, ws, projected.noise))


def _grow(weight: Tensor, radius: int) -> Tensor:
    """The painted area, grown by ``radius`` pixels."""
    return F.max_pool2d(weight, kernel_size=2 * radius + 1, stride=1, padding=radius)
