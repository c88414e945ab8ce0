"""Whether an image has everything where the model's images have it: two eyes, and a nose between them.

An image without eyes can have a likely latent, and be of just the colours that were painted. The generator's features
tell it: at 16 pixels they know what a place is, whatever its colour, and at 64 whether an eye is open. In each place
they are compared with the mean of the model's own images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_edit_engine.inversion.losses import area_averaged, weighted_mean
from gan_edit_engine.inversion.terms import Look

_TINY = 1e-8


def places(features: Sequence[Tensor], side: int) -> Tensor:
    """What each place of an image is: its finest features [N, C, S, S] of at most ``side``, of unit length each."""
    return unit([maps for maps in features if maps.shape[-1] <= side][-1].float())


def unit(features: Tensor) -> Tensor:
    return features * (features.square().sum(1, keepdim=True) + _TINY).rsqrt()


@dataclass(frozen=True)
class Anatomy:
    """What the features of at most ``side`` pixels are in each place: ``typical`` [1, C, S, S], of unit length each.

    Places count as much as ``where`` [1, 1, R, R] says. ``usual``: the oddness up to which an image is well drawn.
    """

    side: int
    typical: Tensor
    where: Tensor
    usual: float

    def oddness(self, features: Tensor) -> Tensor:
        """Of each image [N] with such `places`, beyond the usual: 1 less the cosine to what is typical, in the mean."""
        unlike = 1 - (features * self.typical).sum(1, keepdim=True)
        weight = area_averaged(self.where, *features.shape[-2:])
        each = [weighted_mean(one, weight) for one in unlike.split(1)]
        return F.relu(torch.stack(each) - self.usual)


class StayWhole:
    """Everything stays what it usually is in its place. Of several images the sum."""

    def __init__(self, weight: float, anatomy: Anatomy) -> None:
        self.weight, self._anatomy = weight, anatomy

    def __call__(self, look: Look) -> Tensor:
        return self._anatomy.oddness(places(look.features, self._anatomy.side)).sum()
