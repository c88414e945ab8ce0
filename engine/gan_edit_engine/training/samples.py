"""Pictures of how far a generator is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gan_edit_engine.generators import Generator
from gan_edit_engine.system.atomic_write import replacing


def fixed_latents(count: int, z_dim: int, seed: int) -> Tensor:
    """z [count, z_dim] that depends on the seed alone."""
    return torch.randn(count, z_dim, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def sample_images(generator: Generator, z: Tensor, truncation_psi: float = 1.0, batch: int = 32) -> Tensor:
    """Samples of z [N, z_dim] with the stored noise as bytes [N, C, R, R], where the generator lies."""
    parts = z.to(generator.w_avg.device).split(batch)
    return torch.cat([to_bytes(generator(part, truncation_psi=truncation_psi).float()) for part in parts])


def to_bytes(images: Tensor) -> Tensor:
    """Images in -1..1 as uint8, rounded to the nearest of 256 levels."""
    return (images * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8)


def grid(images: Tensor, columns: int) -> np.ndarray:
    """Byte images [N, C, R, R] beside and below each other, [H, W, C]; N a multiple of ``columns``."""
    n, channels, side, _ = images.shape
    rows = images.reshape(n // columns, columns, channels, side, side)
    return rows.permute(0, 3, 1, 4, 2).reshape(n // columns * side, columns * side, channels).cpu().numpy()


def save_grid(path: Path, images: Tensor, columns: int) -> None:
    """Write byte images [N, C, R, R] as one PNG, whole or not at all; GanEditError (bad_output) if it fails."""
    with replacing(path) as part:
        Image.fromarray(grid(images, columns).squeeze()).save(part, "PNG")
