"""The axes along which a latent is searched: those along which the model's image changes, the strongest first.

Adam gives each coordinate a rate of its own, but w's coordinates mean nothing: each of them changes a little of
everything. Along the principal axes of the image's gradients the rates fall to directions that do something, as where
Adam runs in the eigenbasis of its preconditioner (Vyas et al., "SOAP", 2024). L-BFGS takes its first steps as if the
loss were as steep in all directions; with each axis scaled by how strongly the image answers along it, it nearly is
(Nocedal & Wright, "Numerical Optimization", 2006, section 7.2). The axes hardly depend on the photo: a few random
images and random changes asked of them are enough, and they serve every search in the model.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_edit_engine import generators
from gan_edit_engine.inversion.optimize import Step
from gan_edit_engine.inversion.subject import Drawing, synthesise
from gan_edit_protocol.settings import ProjectSettings

PROBES = 32
"""Gradients that the axes are drawn from: about a tenth of the default's steps, once for each model. 128 or 256 of
them gave no better axes."""
_TRUNCATION_PSI = 0.7  # the images that are asked: as typical as those that a search passes through
_SEED = 7
_COARSEST_CHANGE = 8  # pixels a side
_TINY = 1e-12
_DAMPING = 1e-3  # of the strongest axis's curvature, which the weakest are taken to have


@dataclass(frozen=True)
class Frame:
    """Orthonormal axes [L, w_dim, w_dim], one a column, and for each the distance [L, w_dim] that changes as much.

    The ``reach`` is 1 on the axis along which the image changes most, and longer on all others.
    """

    axes: Tensor
    reach: Tensor


@dataclass(frozen=True)
class Axes:
    """Those of W, where L is 1, and those of W+, where each layer has its own."""

    w: Frame
    w_plus: Frame

    def of(self, start: Tensor) -> Frame:
        """The frame for a latent [1, L, w_dim]."""
        return self.w if start.shape[1] == 1 else self.w_plus


def wants_axes(settings: ProjectSettings) -> bool:
    """Whether a search by ``settings`` moves along such axes. In z all directions are alike."""
    return settings.axes == "image" and settings.space != "z"


def search_coordinates(start: Tensor, axes: Axes | None, optimizer: str) -> tuple[Tensor, Callable[[], Tensor]]:
    """What an ``optimizer`` changes to search from the latent ``start``, and what gives the latent it stands for.

    ``axes``: those along which it moves, for latents in W or W+ [1, L, w_dim]; None for the latent's own.
    """
    if axes is None:
        latent = start.detach().clone().requires_grad_()
        return latent, lambda: latent
    frame = axes.of(start)
    steps = frame.axes * frame.reach[:, None] if optimizer == "lbfgs" else frame.axes
    coordinates = torch.zeros_like(start).requires_grad_()
    return coordinates, lambda: start.detach() + torch.einsum("lik,nlk->nli", steps, coordinates)


def find_axes(
    generator: generators.Generator, w: Tensor, mean: Tensor, side: int | None = None
) -> Generator[Step, None, Axes]:
    """Yields a Step per probe, which has no loss; returns the axes of a model with w.

    ``w`` [N, w_dim]: random latents of the model around their ``mean`` [w_dim], one for each probe. ``side``: at which
    the images are asked, instead of the whole; layers that do not show there keep their own axes.
    """
    random = torch.Generator().manual_seed(_SEED)
    gradients = []
    for probed in torch.lerp(mean, w, _TRUNCATION_PSI):
        ws = probed.expand(1, generator.num_ws, -1).clone().requires_grad_()
        image = synthesise(generator, ws, Drawing(side=side))
        (gradient,) = torch.autograd.grad((image * _random_change(image, random)).sum(), ws)
        # How strongly an image answers says nothing about the directions in which it does.
        # What is no number is left to the search itself, which says so.
        gradients.append((gradient[0] / gradient.norm().clamp_min(_TINY)).nan_to_num(0.0, 0.0, 0.0))
        yield Step(0.0, image.detach())
    by_layer = torch.stack(gradients, dim=1).cpu()  # [num_ws, N, w_dim]; not every device has the decomposition
    return Axes(_frame(by_layer.sum(0, keepdim=True), mean.device), _frame(by_layer, mean.device))


def _random_change(image: Tensor, random: torch.Generator) -> Tensor:
    """Noise of the shape of ``image`` [1, C, R, R], as strong at each scale from a few pixels a side to all."""
    side, change = _COARSEST_CHANGE, torch.zeros_like(image)
    while side <= image.shape[-1]:
        noise = torch.randn([1, image.shape[1], side, side], generator=random).to(image)
        change = change + F.interpolate(noise, size=image.shape[-2:], mode="bilinear", align_corners=False)
        side *= 2
    return change


def _frame(gradients: Tensor, device: torch.device) -> Frame:
    """Of gradients [L, N, D]; the axis with most of them comes first, those without any last, in any order."""
    _, singular, axes = torch.linalg.svd(gradients, full_matrices=True)
    # The loss of a search is a sum of squares, whose curvature along an axis is the mean square of such gradients.
    curvature = torch.zeros(axes.shape[:2])
    curvature[:, : singular.shape[1]] = singular.square()
    curvature /= curvature.max().clamp_min(_TINY)
    reach = ((curvature + _DAMPING) / (1 + _DAMPING)).rsqrt()
    return Frame(axes.mT.contiguous().to(device), reach.to(device))
