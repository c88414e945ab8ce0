"""The axes along which a latent is searched: those along which the model's image changes, the strongest first.

Adam gives each coordinate a rate of its own, but w's coordinates mean nothing: each of them changes a little of
everything. Along the principal axes of the image's gradients the rates fall to directions that do something, as where
Adam runs in the eigenbasis of its preconditioner (Vyas et al., "SOAP", 2024). Those axes hardly depend on the photo:
a few random images and random changes asked of them are enough, and they serve every search in the model.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_edit_engine import generators
from gan_edit_engine.optimize import Step
from gan_edit_protocol.settings import ProjectSettings

PROBES = 32
"""Gradients that the axes are drawn from: about a tenth of the default's steps, once for each model. 128 or 256 of
them gave no better axes."""
_TRUNCATION_PSI = 0.7  # the images that are asked: as typical as those that a search passes through
_SEED = 7
_COARSEST_CHANGE = 8  # pixels a side


@dataclass(frozen=True)
class Axes:
    """Orthonormal axes, one a column: ``w`` [1, w_dim, w_dim] for W, ``w_plus`` [num_ws, w_dim, w_dim] for W+."""

    w: Tensor
    w_plus: Tensor

    def moved(self, start: Tensor, coordinates: Tensor) -> Tensor:
        """``start`` [1, L, w_dim] moved by ``coordinates`` of that shape along the axes; L is 1 in W, num_ws in W+."""
        frames = self.w if start.shape[1] == 1 else self.w_plus
        return start + torch.einsum("lik,nlk->nli", frames, coordinates)


def wants_axes(settings: ProjectSettings) -> bool:
    """Whether a search by ``settings`` moves along such axes. L-BFGS finds its own; in z all directions are alike."""
    return settings.axes == "image" and settings.space != "z" and settings.optimizer == "adam"


def movable(start: Tensor, axes: Axes | None) -> tuple[Tensor, Callable[[], Tensor]]:
    """What an optimiser changes to search from the latent ``start``, and what gives the latent that it stands for.

    ``axes``: those along which it moves, for latents in W or W+ [1, L, w_dim]; None for the latent's own.
    """
    if axes is None:
        latent = start.detach().clone().requires_grad_()
        return latent, lambda: latent
    coordinates = torch.zeros_like(start).requires_grad_()
    return coordinates, lambda: axes.moved(start.detach(), coordinates)


def find_axes(generator: generators.Generator, w: Tensor, mean: Tensor) -> Generator[Step, None, Axes]:
    """Yields a Step per probe, which has no loss; returns the axes of a model with w.

    ``w`` [PROBES, w_dim]: random latents of the model around their ``mean`` [w_dim].
    """
    random = torch.Generator().manual_seed(_SEED)
    gradients = []
    for number, probed in enumerate(torch.lerp(mean, w, _TRUNCATION_PSI), start=1):
        ws = probed.expand(1, generator.num_ws, -1).clone().requires_grad_()
        image: Tensor = generator.synthesis(ws)
        (gradient,) = torch.autograd.grad((image * _random_change(image, random)).sum(), ws)
        # How strongly an image answers says nothing about the directions in which it does.
        gradients.append(gradient[0] / gradient.norm().clamp_min(1e-12))
        yield Step(number, len(w), 0.0, image.detach())
    by_layer = torch.stack(gradients, dim=1).cpu()  # [num_ws, PROBES, w_dim]; not every device has the decomposition
    axes = Axes(_principal(by_layer.sum(0, keepdim=True)), _principal(by_layer))
    return Axes(axes.w.to(mean.device), axes.w_plus.to(mean.device))


def _random_change(image: Tensor, random: torch.Generator) -> Tensor:
    """Noise of the shape of ``image`` [1, C, R, R], as strong at each scale from a few pixels a side to all."""
    side, change = _COARSEST_CHANGE, torch.zeros_like(image)
    while side <= image.shape[-1]:
        noise = torch.randn([1, image.shape[1], side, side], generator=random).to(image)
        change = change + F.interpolate(noise, size=image.shape[-2:], mode="bilinear", align_corners=False)
        side *= 2
    return change


def _principal(gradients: Tensor) -> Tensor:
    """Orthonormal axes [L, D, D] of gradients [L, N, D]: one a column, the one with most of them first.

    Directions in which there is no gradient come last, in any order.
    """
    return torch.linalg.svd(gradients, full_matrices=True).Vh.mT.contiguous()
