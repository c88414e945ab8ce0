"""Which places are of one kind with what a stroke lies on, as the generator's own features tell.

A generator that draws eyes knows where they are: the features that it draws from tell an iris from fur, in both eyes
alike, whatever their colours (Zhang et al., "DatasetGAN", 2021, make a segmentation of that; Collins et al., "Editing
in Style", 2020, find parts by clustering). So a stroke through an iris says "this kind of place", and the features say
where that is.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_edit_engine import generators
from gan_edit_engine.generators import Noise
from gan_edit_engine.inversion.losses import area_averaged
from gan_edit_engine.inversion.optimize import Step

SAMPLES = 16
"""Images over which features are centred."""
_LARGEST = 64  # pixels: the two last sizes of feature maps up to here are asked; finer ones know colours and hairs only
_TINY = 1e-6


@dataclass(frozen=True)
class FeatureStatistics:
    """Mean and standard deviation [1, C, 1, 1] of each channel over typical images, by the side of the maps."""

    mean: dict[int, Tensor]
    std: dict[int, Tensor]


def feature_statistics(generator: generators.Generator, ws: Tensor) -> Generator[Step, None, FeatureStatistics]:
    """Of the images of latents ws [N, num_ws, w_dim]; yields a Step for each of them."""
    found: dict[int, list[Tensor]] = {}
    for one in ws.split(1):
        with torch.no_grad():
            maps = _features(generator, one, "const")
        for side, features in maps.items():
            found.setdefault(side, []).append(features)
        yield Step(0.0, one)
    together = {side: torch.cat(parts) for side, parts in found.items()}
    return FeatureStatistics(
        {side: features.mean((0, 2, 3), keepdim=True) for side, features in together.items()},
        {side: features.std((0, 2, 3), keepdim=True).clamp_min(_TINY) for side, features in together.items()},
    )


def _features(generator: generators.Generator, ws: Tensor, noise: Noise) -> dict[int, Tensor]:
    """Feature maps [N, C, side, side] by their side: the last of each of the two largest sides up to ``_LARGEST``."""
    maps = {features.shape[-1]: features for features in generator.features_within(ws, _LARGEST, noise)}
    return {side: maps[side] for side in sorted(maps)[-2:]}


@torch.no_grad()
def kinship(
    generator: generators.Generator, known: FeatureStatistics, ws: Tensor, noise: Noise, strokes: Tensor
) -> Tensor:
    """For each stroke how much every place is of the kind that it lies on: [N, 1, R, R] in 0..1, 1 is like under it.

    ``strokes`` [N, 1, R, R] in 0..1; ws [1, num_ws, w_dim]: the image that they are painted on.
    """
    alike = torch.zeros_like(strokes)
    maps = _features(generator, ws, noise)
    for side, features in maps.items():
        seen = F.normalize((features - known.mean[side]) / known.std[side], dim=1)
        weight = area_averaged(strokes, side, side)
        likeness = (seen * F.normalize(_mean(seen, weight), dim=1)).sum(1, keepdim=True)
        likeness = likeness / _mean(likeness, weight).clamp_min(_TINY)
        alike += F.interpolate(likeness, size=strokes.shape[-2:], mode="bilinear", align_corners=False)
    return (alike / max(1, len(maps))).clamp(0, 1)


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """[N, C, 1, 1]: the mean of ``values`` under each of N weights."""
    return (values * weight).sum((2, 3), keepdim=True) / weight.sum((2, 3), keepdim=True).clamp_min(_TINY)
