"""LPIPS v0.1 with VGG-16: how different two images look (Zhang et al., "The Unreasonable Effectiveness of Deep
Features as a Perceptual Metric", 2018).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_edit_engine.networks.vgg import Vgg

LPIPS_LAYERS = ("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3")
"""The last layer of each of VGG-16's blocks."""


class Lpips(nn.Module):
    """Frozen; ``state`` as the model library keeps it: torchvision's ``features.N`` and the heads ``lin0`` .. ``lin4``.

    A head [C] weighs the channels of one map. The convolutions compute in ``dtype``, the distances in float32.
    """

    def __init__(self, state: Mapping[str, Tensor], dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.vgg = Vgg("vgg16", state, LPIPS_LAYERS, dtype)
        for number in range(len(LPIPS_LAYERS)):
            self.register_buffer(f"lin{number}", state[f"lin{number}"].float(), persistent=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """The maps of the five layers for images [N, 1 or 3, H, W] in −1..1."""
        maps: list[Tensor] = self.vgg(images)
        return maps

    def differences(self, ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> list[Tensor]:
        """How different maps of `unit_length` are at each position: [N, 1, H, W] of each layer."""
        pairs = enumerate(zip(ours, theirs, strict=True))
        return [
            ((a - b).square() * self.get_buffer(f"lin{number}")[:, None, None]).sum(dim=1, keepdim=True)
            for number, (a, b) in pairs
        ]

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """LPIPS [N] between images [N, 3, H, W] in −1..1: 0 for equal ones, about 0.7 for unrelated photos."""
        maps = ([unit_length(m) for m in self(images)] for images in (a, b))
        means = [difference.mean(dim=(1, 2, 3)) for difference in self.differences(*maps)]
        return torch.stack(means).sum(dim=0)


def unit_length(features: Tensor) -> Tensor:
    """``features`` [N, C, H, W] scaled to length 1 over the channels of each position."""
    return F.normalize(features, dim=1, eps=1e-10)
