"""VGG-16 with the weights and linear layers of LPIPS: a measure that no training here looks through."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Convolutions per stage; a 2x2 max pool between stages (Simonyan & Zisserman 2015, configuration D).
STAGES = (2, 2, 3, 3, 3)
# LPIPS 0.1 scales -1..1 images so (Zhang et al. 2018): ImageNet's mean and deviation, rounded, in that range.
SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)


class Vgg16Lpips(nn.Module):
    """Frozen. Weights: ``conv{stage}_{i}.weight/.bias`` and ``lin{stage}.weight`` [1, C, 1, 1] per stage (from 1)."""

    shift: Tensor
    scale: Tensor

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.register_buffer("shift", torch.tensor(SHIFT)[:, None, None])
        self.register_buffer("scale", torch.tensor(SCALE)[:, None, None])
        for name, value in weights.items():
            self.register_buffer(name.replace(".", "_"), value.float())

    def maps(self, images: Tensor) -> list[Tensor]:
        """The last ReLU of each stage (conv1_2 .. conv5_3) for images [N, 3, H, W] in -1..1."""
        x = (images - self.shift) / self.scale
        found: list[Tensor] = []
        for stage, count in enumerate(STAGES, start=1):
            x = F.max_pool2d(x, 2) if stage > 1 else x
            for i in range(1, count + 1):
                name = f"conv{stage}_{i}"
                x = F.relu(F.conv2d(x, self.get_buffer(f"{name}_weight"), self.get_buffer(f"{name}_bias"), padding=1))
            found.append(x)
        return found

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """LPIPS [N] between images [N, 3, H, W] in -1..1: 0 for equal ones, about 0.7 for unrelated photos."""
        total = torch.zeros(len(a))
        for stage, (x, y) in enumerate(zip(self.maps(a), self.maps(b), strict=True), start=1):
            difference = (F.normalize(x, dim=1, eps=1e-10) - F.normalize(y, dim=1, eps=1e-10)).square()
            total = total + F.conv2d(difference, self.get_buffer(f"lin{stage}_weight")).mean(dim=(1, 2, 3))
        return total
