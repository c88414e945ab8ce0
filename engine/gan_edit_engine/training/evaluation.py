"""Features that a set of images is measured by, and how different its images are from each other."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gan_edit_engine.inversion.losses import area_averaged
from gan_edit_engine.networks.efficientnet_lite0 import EfficientNetLite0, at_lite0_side
from gan_edit_engine.networks.lpips import Lpips

# Every model is measured at this side, larger ones area-averaged down to it, so that the figures compare.
SIDE = 64


class Vgg16Features(nn.Module):
    """Spatial mean of conv5_3: images [N, 3, 64, 64] in -1..1 -> [N, 512]."""

    def __init__(self, network: Lpips) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        conv5_3: Tensor = self.network(images)[-1]
        return conv5_3.mean(dim=(2, 3))


class Lite0Features(nn.Module):
    """Spatial means of the maps at strides 16 and 32: images [N, 3, 64, 64] in -1..1 -> [N, 432]."""

    def __init__(self) -> None:
        super().__init__()
        self.network = EfficientNetLite0()

    def forward(self, images: Tensor) -> Tensor:
        maps = self.network.features(at_lite0_side(images))
        return torch.cat([m.mean(dim=(2, 3)) for m in maps[-2:]], dim=1)


def to_floats(images: Tensor) -> Tensor:
    """Byte images [N, 3, R, R] as floats in -1..1 at the side of the measure, area-averaged."""
    return area_averaged(images.float() / 127.5 - 1, SIDE, SIDE)


@torch.no_grad()
def all_features(features: nn.Module, images: Tensor, batch: int = 50) -> NDArray[np.float32]:
    """Features [N, D] of byte images [N, 3, R, R] that lie where the network does."""
    parts = (to_floats(part).contiguous(memory_format=torch.channels_last) for part in images.split(batch))
    return torch.cat([features(part) for part in parts]).cpu().numpy()


@torch.no_grad()
def diversity(network: Lpips, images: Tensor, pairs: int, seed: int = 0, batch: int = 25) -> float:
    """Mean LPIPS between ``pairs`` random disjoint pairs of byte images [N, 3, R, R]."""
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[: 2 * pairs]
    first, second = to_floats(images[order[:pairs]]), to_floats(images[order[pairs:]])
    parts = [network.distance(a, b) for a, b in zip(first.split(batch), second.split(batch), strict=True)]
    return torch.cat(parts).mean().item()
