"""Whether an image has everything where the model's images have it: two eyes, and a nose between them.

An image without eyes can have a likely latent. The generator's features tell it: at 16 pixels they know what a place
is, whatever its colour. In each place they are compared with the mean of the model's own images.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from gan_edit_engine import generators
from gan_edit_engine.terms import Look

_SIDE = 16  # pixels of the feature maps; finer ones differ with fur and light
_USUAL = 0.1  # oddness up to which an image is well drawn; nine of ten random ones at truncation .7 are odder
_TINY = 1e-8


@dataclass(frozen=True)
class Anatomy:
    """``typical`` [1, C, S, S]: what the features are in each place of the model's images, of unit length there."""

    typical: Tensor

    @staticmethod
    def of(features: Tensor) -> Anatomy:
        """That of images with these features [N, C, S, S], as `places` gives them."""
        return Anatomy(_unit(features.mean(0, keepdim=True)))

    def oddness(self, features: Tensor) -> Tensor:
        """Of each image [N]: 1 less the cosine to what is typical, in the mean over all places; .2 for most samples."""
        return 1 - (features * self.typical).sum(1).mean((1, 2))


def places(generator: generators.Generator, ws: Tensor) -> Tensor:
    """What each place of the images of ws [N, num_ws, w_dim] is: features [N, C, S, S], each place's of unit length.

    [N, 0, 1, 1] of a family that has none to show.
    """
    found = ws.new_zeros([len(ws), 0, 1, 1])
    for features in generator.features(ws):
        if features.shape[-1] > _SIDE:
            break
        found = features
    return _unit(found)


class StayWhole:
    """Everything stays where it is in the model's images, as far as it usually is. Of several latents the sum."""

    def __init__(self, weight: float, generator: generators.Generator, anatomy: Anatomy) -> None:
        self.weight, self._generator, self._anatomy = weight, generator, anatomy

    def __call__(self, look: Look) -> Tensor:
        return self.of(places(self._generator, look.ws)).sum()

    def of(self, features: Tensor) -> Tensor:
        """Of images with these features [N, C, S, S], one each."""
        return F.relu(self._anatomy.oddness(features) - _USUAL)


def _unit(features: Tensor) -> Tensor:
    return features * (features.square().sum(1, keepdim=True) + _TINY).rsqrt()
