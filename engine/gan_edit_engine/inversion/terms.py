"""The terms of an edit's loss, one class each.

A term is made once for an edit and the side at which images are looked at, and called with each :class:`Look`. Images
are [1, C, S, S] in −1..1, weights [1, 1, S, S] in 0..1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_edit_engine.inversion.latents import Statistics
from gan_edit_engine.inversion.losses import latent_distance, pixel_loss, weighted_mean

_SQUARES = 8  # along the image's side: paint is compared by means over as many squares, which overlap by half
_BY_PIXELS = 0.2  # of the paint's term compares pixel by pixel, so that a stroke's ends count too
_TURN = 0.15  # change (RMS of the channels, −1..1) at which keeping a place costs half of the most


@dataclass(frozen=True)
class Look:
    """An image of the search, the latent ws [1, num_ws, w_dim] that it is of, and how far that went along W.

    ``move`` [1, K]: in units of the model's own spread along each direction. ``features`` [1, C, S, S], coarse to fine:
    what the image is drawn from, where a term asks for it.
    """

    image: Tensor
    ws: Tensor
    move: Tensor
    features: Sequence[Tensor] = ()


class Term(Protocol):
    """One wish: a scalar, 0 where it is fulfilled, and its weight."""

    weight: float

    def __call__(self, look: Look) -> Tensor: ...


def total(terms: Iterable[Term], look: Look) -> Tensor:
    """The weighted sum."""
    return torch.stack([term.weight * term(look) for term in terms]).sum()


class FollowPaint:
    """argmin ‖M∗G(w) − M∗S‖² (the report), by local means, and a little by pixels.

    A flat stroke asks for a colour there, not for a surface without light, shade and hair. ``paint`` counts where
    ``painted``. Of several images [N, C, S, S] the sum.
    """

    def __init__(self, weight: float, paint: Tensor, painted: Tensor) -> None:
        self.weight, self._paint, self._painted = weight, paint, painted
        self._square = max(1, paint.shape[-1] // _SQUARES)
        self._cover = self._mean(painted)
        self._means = self._mean(paint * painted) / self._cover.clamp_min(1e-6)

    def __call__(self, look: Look) -> Tensor:
        return self.by_means(look.image) + _BY_PIXELS * pixel_loss(look.image, self._paint, self._painted)

    def by_means(self, image: Tensor) -> Tensor:
        """Mean squared difference of the local means, each as much as is painted there."""
        means = self._mean(image * self._painted) / self._cover.clamp_min(1e-6)
        return weighted_mean((means - self._means).square(), self._cover)

    def _mean(self, values: Tensor) -> Tensor:
        half = self._square // 2
        return F.avg_pool2d(values, self._square, stride=max(1, half), padding=half, count_include_pad=False)


class KeepOutside:
    """What is not selected stays: a direction of W that tints it is a wrong one, whatever it does inside."""

    def __init__(self, weight: float, before: Tensor, outside: Tensor) -> None:
        self.weight, self._before, self._outside = weight, before, outside

    def __call__(self, look: Look) -> Tensor:
        return pixel_loss(look.image, self._before, self._outside, "l1")


class KeepInside:
    """A selected place that no stroke speaks for stays, or changes as a whole (Geman & McClure's function, 1985).

    Small changes cost their square, large ones all the same: a tint everywhere is dear, an iris that turns blue is not.
    ``held`` says how much each place is held. The sum is taken relative to ``selected``: where strokes speak for nearly
    all of it, the little that is left has little to say.
    """

    def __init__(self, weight: float, before: Tensor, held: Tensor, selected: Tensor) -> None:
        self.weight, self._before, self._held = weight, before, held
        self._area = selected.sum().clamp_min(1)

    def __call__(self, look: Look) -> Tensor:
        square = (look.image - self._before).square().mean(1, keepdim=True)
        return (self._held * square / (square + _TURN**2)).sum() / self._area


class StayTypical:
    """The way along W stays one that the model's own latents go."""

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def __call__(self, look: Look) -> Tensor:
        return look.move.square().mean()


class StayLikely:
    """The latent stays one that the model itself would draw: minus twice its log likelihood, per dimension.

    Of several latents [N, num_ws, w_dim] the sum.
    """

    def __init__(self, weight: float, statistics: Statistics) -> None:
        self.weight, self._statistics = weight, statistics

    def __call__(self, look: Look) -> Tensor:
        return len(look.ws) * self._statistics.gaussian_distance(look.ws)


class StayNear:
    """In W+ the layers part from the common move ``centre`` only where that gives much; ``std``: the model's spread."""

    def __init__(self, weight: float, centre: Tensor, std: float) -> None:
        self.weight, self._centre, self._std = weight, centre, std

    def __call__(self, look: Look) -> Tensor:
        return latent_distance(look.ws, self._centre, self._std)
