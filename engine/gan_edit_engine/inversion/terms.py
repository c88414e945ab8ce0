"""The terms of what a search is asked for, one class each: first a projection's, then an edit's.

A term is made once for a search and the side at which images are looked at, and called with each :class:`Look`. Images
are [1, C, S, S] in −1..1, weights [1, 1, S, S] in 0..1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_edit_engine.inversion.coarse_to_fine import CoarseToFine
from gan_edit_engine.inversion.latents import Statistics
from gan_edit_engine.inversion.losses import latent_distance, noise_regularity, pixel_loss, weighted_mean
from gan_edit_engine.inversion.perceptual import Perceptual
from gan_edit_engine.inversion.subject import Subject

_SQUARES = 8  # along the image's side: paint is compared by means over as many squares, which overlap by half
_BY_PIXELS = 0.2  # of the paint's term compares pixel by pixel, so that a stroke's ends count too
_TURN = 0.15  # change (RMS of the channels, −1..1) at which keeping a place costs half of the most


@dataclass(frozen=True)
class Look:
    """An image of the search and the ``latent`` that it is of: ws [1, num_ws, w_dim], in a projection through W or Z
    what is searched there.

    ``move`` [1, K]: how far the latent went along W, in units of the model's own spread along each direction.
    ``features`` [1, C, S, S], coarse to fine: what the image is drawn from. Both only where a term asks for them.
    ``share`` 0..1: of the steps that lie behind.
    """

    image: Tensor
    latent: Tensor
    move: Tensor | None = None
    features: Sequence[Tensor] = ()
    share: float = 1.0


class Term(Protocol):
    """One wish: a scalar, 0 where it is fulfilled, and its weight."""

    weight: float

    def __call__(self, look: Look) -> Tensor: ...


def total(terms: Iterable[Term], look: Look) -> Tensor:
    """The weighted sum."""
    return torch.stack([term.weight * term(look) for term in terms]).sum()


class ReproducePixels:
    """The pixels are the subject's, by squared (l2) or absolute (l1) differences."""

    def __init__(self, weight: float, subject: Subject, norm: str = "l2") -> None:
        self.weight, self._subject, self._norm = weight, subject, norm

    def __call__(self, look: Look) -> Tensor:
        return pixel_loss(look.image, self._subject.image, self._subject.weight, self._norm)


class LookAlike:
    """To a frozen network the image looks like the subject: the perceptual loss."""

    def __init__(self, weight: float, perceptual: Perceptual, targets: CoarseToFine) -> None:
        self.weight, self._perceptual, self._targets = weight, perceptual, targets

    def __call__(self, look: Look) -> Tensor:
        return self._perceptual.loss(look.image, self._targets.at(look.share))


class LookAlikeInStyle:
    """As :class:`LookAlike`, and ``style_weight`` times the difference of textures, for which it looks but once."""

    weight = 1.0

    def __init__(self, weight: float, style_weight: float, perceptual: Perceptual, targets: CoarseToFine) -> None:
        self._weights, self._perceptual, self._targets = (weight, style_weight), perceptual, targets

    def __call__(self, look: Look) -> Tensor:
        content, style = self._perceptual.compare(look.image, self._targets.at(look.share))
        return self._weights[0] * content + self._weights[1] * style


class BeNormal:
    """z stays as short as the model's own."""

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def __call__(self, look: Look) -> Tensor:
        return look.latent.square().mean()


class StayNearMean:
    """w or w+ stays near the mean, in units of the model's spread."""

    def __init__(self, weight: float, statistics: Statistics) -> None:
        self.weight, self._statistics = weight, statistics

    def __call__(self, look: Look) -> Tensor:
        return self._statistics.distance(look.latent)


class BeNoise:
    """Noise maps that are searched too carry no picture."""

    def __init__(self, weight: float, noises: Sequence[Tensor]) -> None:
        self.weight, self._noises = weight, noises

    def __call__(self, look: Look) -> Tensor:
        return noise_regularity(self._noises)


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
        assert look.move is not None  # it is a term of searches along W
        return look.move.square().mean()


class StayLikely:
    """The latent stays one that the model itself would draw: minus twice its log likelihood, per dimension.

    Of several latents [N, num_ws, w_dim] the sum.
    """

    def __init__(self, weight: float, statistics: Statistics) -> None:
        self.weight, self._statistics = weight, statistics

    def __call__(self, look: Look) -> Tensor:
        return len(look.latent) * self._statistics.gaussian_distance(look.latent)


class StayNear:
    """In W+ the layers part from the common move ``centre`` only where that gives much; ``std``: the model's spread."""

    def __init__(self, weight: float, centre: Tensor, std: float) -> None:
        self.weight, self._centre, self._std = weight, centre, std

    def __call__(self, look: Look) -> Tensor:
        return latent_distance(look.latent, self._centre, self._std)
