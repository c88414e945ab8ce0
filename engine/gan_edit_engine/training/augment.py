"""Differentiable augmentation of what the discriminator sees, the same for photos and samples."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

# Strengths of DiffAugment (Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training").
BRIGHTNESS = 0.5
TRANSLATION = 0.125
CUTOUT = 0.5
# Of `shaken`: as far as the points of aligned photos are off, and as light differs between cameras.
TURN = math.radians(4)
SIZE, SHIFT = 0.05, 0.03
LIGHT, CONTRAST, SATURATION = 0.15, 0.2, 0.3


def _per_image(images: Tensor, low: float, high: float) -> Tensor:
    return torch.rand(len(images), 1, 1, 1, dtype=images.dtype, device=images.device) * (high - low) + low


def colour(images: Tensor) -> Tensor:
    """Random brightness, saturation (0..2) and contrast (0.5..1.5) per image of [N, C, H, W]."""
    images = images + _per_image(images, -BRIGHTNESS, BRIGHTNESS)
    grey = images.mean(dim=1, keepdim=True)
    images = grey + (images - grey) * _per_image(images, 0, 2)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (images - mean) * _per_image(images, 0.5, 1.5)


def translate(images: Tensor) -> Tensor:
    """Shift each image by up to 1/8 of its side either way; what comes in from outside is 0 (grey)."""
    side = images.shape[-1]
    reach = round(side * TRANSLATION)
    padded = F.pad(images, [reach] * 4)
    corners = torch.randint(0, 2 * reach + 1, (len(images), 2)).tolist()
    return torch.stack([one[:, y : y + side, x : x + side] for one, (y, x) in zip(padded, corners, strict=True)])


def cutout(images: Tensor) -> Tensor:
    """Set a square of half the side to 0 (grey), centred anywhere in each image."""
    side = images.shape[-1]
    half = round(side * CUTOUT) // 2
    centres = torch.randint(0, side + 1, (len(images), 2), device=images.device)
    distance = (torch.arange(side, device=images.device) + 0.5 - centres[:, :, None]).abs()
    inside = (distance < half)[:, 0, :, None] & (distance < half)[:, 1, None, :]
    return images * (~inside)[:, None].to(images.dtype)


def diff_augment(images: Tensor, probability: float = 1.0) -> Tensor:
    """Colour, translation and cutout of DiffAugment on [N, C, H, W] in -1..1; random by torch's global generator.

    Each of the three happens to an image with this ``probability`` (that of Karras et al. 2020, "Training Generative
    Adversarial Networks with Limited Data", is one for all): what an image is never seen without is learned loosely.
    """
    for change in (colour, translate, cutout):
        changed = change(images)
        if probability < 1:
            changed = torch.where(_per_image(images, 0, 1) < probability, changed, images)
        images = changed
    return images


def shaken(images: Tensor) -> Tensor:
    """Each of [N, 3, H, W] in -1..1 turned, scaled, moved and lit a little otherwise, mirrored beyond its border."""
    turn, size = _per_image(images, -TURN, TURN).flatten(), 1 + _per_image(images, -SIZE, SIZE).flatten()
    across, down = (2 * _per_image(images, -SHIFT, SHIFT).flatten() for _ in range(2))
    rows = [size * turn.cos(), -size * turn.sin(), across, size * turn.sin(), size * turn.cos(), down]
    grid = F.affine_grid(torch.stack(rows, dim=1).unflatten(1, (2, 3)), list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    grey = moved.mean(dim=1, keepdim=True)
    coloured = grey + (moved - grey) * (1 + _per_image(images, -SATURATION, SATURATION))
    lit = coloured * (1 + _per_image(images, -CONTRAST, CONTRAST)) + _per_image(images, -LIGHT, LIGHT)
    return lit.clamp(-1, 1)


def blur(images: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of [N, C, H, W]; ``sigma`` in pixels, below 0.2 nothing is done."""
    if sigma < 0.2:
        return images
    radius = math.ceil(3 * sigma)
    x = torch.arange(-radius, radius + 1, dtype=images.dtype, device=images.device)
    taps = torch.exp(-0.5 * (x / sigma) ** 2)
    taps = taps / taps.sum()
    channels = images.shape[1]
    images = F.pad(images, [radius] * 4, mode="reflect")
    images = F.conv2d(images, taps.expand(channels, 1, 1, -1), groups=channels)
    return F.conv2d(images, taps[:, None].expand(channels, 1, -1, 1), groups=channels)
