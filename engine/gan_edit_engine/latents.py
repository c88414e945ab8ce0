"""Latents z, w and w+: the model's typical ones, and where a search starts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gan_edit_engine.generators import Generator
from gan_edit_protocol.errors import GanEditError

_STATISTICS_SAMPLES = 10_000  # as many as the official projector draws
_STATISTICS_SEED = 123


@dataclass(frozen=True)
class Statistics:
    """Mean [w_dim] and scalar standard deviation (root mean square distance per dimension) of w."""

    mean: Tensor
    std: float


def random_z(generator: Generator, count: int, seed: int, device: torch.device) -> Tensor:
    """``count`` latents [count, z_dim] from N(0, 1), the same for the same seed on every device."""
    random = torch.Generator().manual_seed(seed)
    return torch.randn([count, generator.z_dim], generator=random).to(device)


def label(generator: Generator, count: int, device: torch.device) -> Tensor | None:
    """The class vector [count, c_dim] that a conditional model gets when none is chosen: class 0."""
    if generator.c_dim == 0:
        return None
    c = torch.zeros([count, generator.c_dim], device=device)
    c[:, 0] = 1
    return c


def map_to_w(generator: Generator, z: Tensor) -> Tensor:
    """w [N, w_dim] of z [N, z_dim]: the first of the (equal) vectors that the mapping gives."""
    ws: Tensor = generator.mapping(z, label(generator, len(z), z.device))
    return ws[:, 0]


@torch.no_grad()
def statistics(generator: Generator, device: torch.device) -> Statistics:
    """Mean and spread of w over 10,000 samples (Karras et al., StyleGAN2, 2020, projection to latent space)."""
    w = map_to_w(generator, random_z(generator, _STATISTICS_SAMPLES, _STATISTICS_SEED, device))
    mean = w.mean(0)
    return Statistics(mean, (w - mean).square().mean().sqrt().item())


@torch.no_grad()
def starting_latent(generator: Generator, space: str, samples: int, seed: int, device: torch.device) -> Tensor:
    """Where a search in ``space`` starts: the mean of ``samples`` random z [1, z_dim], or of their w [1, w_dim]."""
    if space not in generator.spaces:
        offered = ", ".join(generator.spaces)
        raise GanEditError("no_such_space", f"This model has no latent space {space}.", f"It offers {offered}.")
    z = random_z(generator, samples, seed, device)
    latents = z if space == "z" else map_to_w(generator, z)
    return latents.mean(0, keepdim=True)
