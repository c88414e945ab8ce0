"""What is added to the model's features, so that its image shows what no latent says (docs/inversion.md)."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from gan_edit_engine import generators
from gan_edit_engine.inversion.latents import Statistics
from gan_edit_engine.inversion.losses import area_averaged
from gan_edit_engine.inversion.subject import Drawing, Inversion, synthesise

_RATE = 0.5  # standard deviations of the features, relative to the latent's rate


class Residual:
    """A residual [1, C, S, S] that is searched beside the latent, by the same optimiser, from ``start`` or from 0."""

    def __init__(self, generator: generators.Generator, statistics: Statistics, start: Tensor | None) -> None:
        assert generator.residual_shape is not None  # `check_search` has asked
        shape = [1, *generator.residual_shape]
        with torch.no_grad():
            typical = generator.features(statistics.mean.expand(1, generator.num_ws, -1))
            features = next(maps for maps in typical if maps.shape[-1] == shape[-1])
        # At the latent's rate it would outrun the latent, and say what the latent could have said.
        self._unit = _RATE * features.std()
        self._start = torch.zeros_like(features) if start is None else start
        self.parameter = torch.zeros_like(features).requires_grad_()

    def values(self) -> Tensor:
        """[1, C, S, S]."""
        return self._start + self._unit * self.parameter


@torch.no_grad()
def without_residual(generator: generators.Generator, inversion: Inversion, where: Tensor) -> Inversion:
    """The inversion with its residual faded out as far as ``where`` [1, 1, R, R] says, 0..1; as it is without one.

    What changes in a place is the latent's to say: the residual would draw the photo there again.
    """
    if inversion.residual is None:
        return inversion
    side = inversion.residual.shape[-1]
    residual = inversion.residual * (1 - area_averaged(where, side, side).clamp(0, 1))
    image = synthesise(generator, inversion.ws, Drawing(inversion.noise, residual))
    return dataclasses.replace(inversion, residual=residual, image=image)
