"""LPIPS on an untrained VGG-16 of few channels, for tests that need its distances but not its judgement."""

from __future__ import annotations

import torch
from safetensors.torch import save_file
from torch import Tensor

from gan_edit_engine.library.perceptual_files import weights_path
from gan_edit_engine.networks.lpips import LPIPS_LAYERS
from gan_edit_engine.networks.vgg import convolutions

WIDTH = 4


def weights() -> dict[str, Tensor]:
    """Weights under the names of the library's vgg16-lpips."""
    random = torch.Generator().manual_seed(0)
    state: dict[str, Tensor] = {}
    for number, position in enumerate(convolutions("vgg16").values()):
        shape = (WIDTH, WIDTH if number else 3, 3, 3)
        state[f"features.{position}.weight"] = torch.randn(shape, generator=random) / 4
        state[f"features.{position}.bias"] = torch.randn(WIDTH, generator=random)
    return state | {f"lin{number}": torch.rand(WIDTH, generator=random) for number in range(len(LPIPS_LAYERS))}


def install() -> None:
    """Put it where the models folder keeps vgg16-lpips."""
    path = weights_path("vgg16-lpips")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights(), path)
