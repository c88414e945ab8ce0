"""VGG-16 with the weights and linear layers of LPIPS: a measure that no training here looks through."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Convolutions of each stage by torchvision's position; a 2x2 max pool between stages (Simonyan & Zisserman 2015, D).
STAGES = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))
# LPIPS 0.1 scales -1..1 images so (Zhang et al. 2018): ImageNet's mean and deviation, rounded, in that range.
SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)


class Vgg16Lpips(nn.Module):
    """Frozen; weights as the model library keeps them: ``features.N.weight``, ``.bias``, ``lin0`` .. ``lin4`` [C]."""

    shift: Tensor
    scale: Tensor

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.register_buffer("shift", torch.tensor(SHIFT)[:, None, None], persistent=False)
        self.register_buffer("scale", torch.tensor(SCALE)[:, None, None], persistent=False)
        for name, value in weights.items():
            self.register_buffer(name.replace(".", "_"), value.float())

    def maps(self, images: Tensor) -> list[Tensor]:
        """The last ReLU of each stage (conv1_2 .. conv5_3) for images [N, 3, H, W] in -1..1."""
        x = (images - self.shift) / self.scale
        found: list[Tensor] = []
        for positions in STAGES:
            x = F.max_pool2d(x, 2) if found else x
            for i in positions:
                weight, bias = self.get_buffer(f"features_{i}_weight"), self.get_buffer(f"features_{i}_bias")
                x = F.relu(F.conv2d(x, weight, bias, padding=1))
            found.append(x)
        return found

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """LPIPS [N] between images [N, 3, H, W] in -1..1: 0 for equal ones, about 0.7 for unrelated photos."""
        total = a.new_zeros(len(a))
        for stage, (x, y) in enumerate(zip(self.maps(a), self.maps(b), strict=True)):
            difference = (F.normalize(x, dim=1, eps=1e-10) - F.normalize(y, dim=1, eps=1e-10)).square()
            head = self.get_buffer(f"lin{stage}")[:, None, None]
            total = total + (difference * head).sum(dim=1).mean(dim=(1, 2))
        return total
