"""Terms of the losses. Every image term is a mean over the pixels that its weight map selects."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Mean of ``values`` [N, C, H, W] under ``weight`` [N, 1, H, W] (≥ 0); 0 where no pixel counts.

    Normalised by the mask's area as in iGAN (Zhu et al., 2016), so that a small scribble pulls as hard as a large one.
    """
    return (values * weight).sum() / (weight.sum() * values.shape[1]).clamp_min(1e-6)


def pixel_loss(image: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean squared error of images [N, C, H, W] in −1..1 under ``weight`` [N, 1, H, W]."""
    return weighted_mean((image - target).square(), weight)


def latent_distance(ws: Tensor, centre: Tensor, std: float) -> Tensor:
    """Mean squared distance of latents from ``centre`` in units of the model's own spread ``std``."""
    return ((ws - centre) / std).square().mean()


def resize_weight(weight: Tensor, side: tuple[int, int]) -> Tensor:
    """A weight map [N, 1, H, W] at another resolution, each value the mean of the area it covers."""
    return F.adaptive_avg_pool2d(weight, side) if weight.shape[-2:] != torch.Size(side) else weight
