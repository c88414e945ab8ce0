"""Terms of the losses. Every image term is a mean over the pixels that its weight map selects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

_SMALLEST_NOISE = 8  # the noise regulariser's pyramid ends at this side


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Mean of ``values`` [N, C, H, W] under ``weight`` [N, 1, H, W] (≥ 0); 0 where no pixel counts.

    Normalised by the mask's area as in iGAN (Zhu et al., 2016), so that a small scribble pulls as hard as a large one.
    """
    return (values * weight).sum() / (weight.sum() * values.shape[1]).clamp_min(1e-6)


def pixel_loss(image: Tensor, target: Tensor, weight: Tensor, norm: str = "l2") -> Tensor:
    """Mean squared ("l2") or absolute ("l1") error of images [N, C, H, W] in −1..1 under ``weight`` [N, 1, H, W]."""
    difference = image - target
    return weighted_mean(difference.abs() if norm == "l1" else difference.square(), weight)


def gram(features: Tensor, weight: Tensor) -> Tensor:
    """The Gram matrix f fᵀ [N, C, C] of features [N, C, H, W], the mean over positions under weight [N, 1, H, W].

    Gatys et al., "Image Style Transfer Using Convolutional Neural Networks", 2016.
    """
    weighted = (features * weight).flatten(2)
    return weighted @ features.flatten(2).transpose(1, 2) / weight.sum().clamp_min(1e-6)


def style_distances(grams: Sequence[Tensor], targets: Sequence[Tensor]) -> list[Tensor]:
    """For each layer the squared distance of Gram matrices relative to the target's own size."""
    return [(g - t).square().sum() / t.square().sum().clamp_min(1e-12) for g, t in zip(grams, targets, strict=True)]


def latent_distance(ws: Tensor, centre: Tensor, std: float) -> Tensor:
    """Mean squared distance of latents from ``centre`` in units of the model's own spread ``std``."""
    return ((ws - centre) / std).square().mean()


def noise_regularity(noises: Iterable[Tensor]) -> Tensor:
    """How much noise maps [H, W] carry a picture: squared correlation of neighbours, at each size down to 8 pixels.

    Karras et al., StyleGAN2, 2020, appendix D. 0 for maps of independent values.
    """
    total = torch.zeros(())  # a scalar, which may be added to on any device
    for noise in noises:
        level = noise[None, None]
        while True:
            for dimension in (2, 3):
                total = total + (level * level.roll(1, dimension)).mean().square()
            if level.shape[-1] <= _SMALLEST_NOISE:
                break
            level = F.avg_pool2d(level, kernel_size=2)
    return total


@torch.no_grad()
def renormalise_noise(noises: Iterable[Tensor]) -> None:
    """Noise maps back to mean 0 and variance 1, in place (Karras et al., StyleGAN2, 2020, appendix D)."""
    for noise in noises:
        noise -= noise.mean()
        noise *= noise.square().mean().rsqrt()


def area_averaged(images: Tensor, height: int, width: int) -> Tensor:
    """Images or weight maps [N, C, H, W] at another resolution, each value the mean of the area it covers."""
    rows, columns = images.shape[-2:]
    if (rows, columns) == (height, width):
        return images
    if rows % height == 0 and columns % width == 0:
        return F.avg_pool2d(images, (rows // height, columns // width))
    # The gradient of torch's adaptive_avg_pool2d, whose values these are, is not the same in every run on CUDA.
    return _shares(rows, height, images) @ images @ _shares(columns, width, images).mT


def _shares(old: int, new: int, like: Tensor) -> Tensor:
    """How much of each of ``old`` positions is in each of ``new`` [new, old]: alike of all that it touches."""
    first, here = torch.arange(new, device=like.device)[:, None] * old, torch.arange(old, device=like.device) * new
    touched = ((here + new > first) & (here < first + old)).to(like.dtype)
    return touched / touched.sum(1, keepdim=True)
