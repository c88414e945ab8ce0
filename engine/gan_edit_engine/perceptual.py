"""The perceptual loss: how differently two images look to a network trained on ImageNet.

Features are scaled to unit length over their channels at each position and compared by squared distance, averaged
over positions and layers (the unweighted form of LPIPS; Zhang et al., 2018).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from gan_edit_engine.feature_networks import EfficientNetLite0
from gan_edit_engine.losses import resize_weight, weighted_mean

_LITE0_MAPS = 3  # strides 2, 4 and 8
_VGG19_FILE = "vgg19-dcbb9e9d.pth"  # torchvision's ImageNet weights
# Indices in torchvision's vgg19().features after which a map is taken: the ReLUs of conv1_1, 1_2, 2_1, 2_2 and 3_1,
# the layers that the report keeps (deeper ones made its weights explode).
_VGG19_TAPS = (1, 3, 6, 8, 11)
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_MIN_SIDE = 128  # smaller images are enlarged: the networks were trained on objects of 100 pixels and more


class FeatureNetwork(Protocol):
    """Gives feature maps [N, C_i, H_i, W_i] of an image [N, 3, H, W] in −1..1."""

    def __call__(self, image: Tensor) -> list[Tensor]: ...


class _Lite0(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.network = EfficientNetLite0()

    def forward(self, image: Tensor) -> list[Tensor]:
        return self.network.features(image, _LITE0_MAPS)


class _Vgg19(nn.Module):
    mean: Tensor
    std: Tensor

    def __init__(self, weights: Path) -> None:
        super().__init__()
        network = torchvision.models.vgg19()
        network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        self.layers = network.features[: _VGG19_TAPS[-1] + 1].requires_grad_(False)
        self.register_buffer("mean", torch.tensor(_IMAGENET_MEAN)[:, None, None])
        self.register_buffer("std", torch.tensor(_IMAGENET_STD)[:, None, None])

    def forward(self, image: Tensor) -> list[Tensor]:
        x = ((image + 1) / 2 - self.mean) / self.std
        maps = []
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index in _VGG19_TAPS:
                maps.append(x)
        return maps


@dataclass(frozen=True)
class Target:
    """The features of the image that is to be matched, and the weight of each of their positions."""

    maps: list[Tensor]
    weights: list[Tensor]


class Perceptual:
    """The perceptual loss by one network; ``name`` says which."""

    def __init__(self, name: str, network: FeatureNetwork) -> None:
        self.name = name
        self._network = network

    @torch.no_grad()
    def target(self, image: Tensor, weight: Tensor) -> Target:
        """Features of ``image`` [N, 1 or 3, H, W] in −1..1, to be matched where ``weight`` [N, 1, H, W] is above 0."""
        maps = self._maps(image)
        return Target(maps, [resize_weight(weight, (m.shape[-2], m.shape[-1])) for m in maps])

    def loss(self, image: Tensor, target: Target) -> Tensor:
        """Scalar distance of ``image`` [N, 1 or 3, H, W] in −1..1 from the target."""
        distances = [
            weighted_mean((ours - theirs).square().sum(1, keepdim=True), weight)
            for ours, theirs, weight in zip(self._maps(image), target.maps, target.weights, strict=True)
        ]
        return torch.stack(distances).mean()

    def _maps(self, image: Tensor) -> list[Tensor]:
        if image.shape[1] == 1:
            image = image.expand(-1, 3, -1, -1)
        if image.shape[-1] < _MIN_SIDE:
            image = F.interpolate(image, size=(_MIN_SIDE, _MIN_SIDE), mode="bilinear", align_corners=False)
        return [F.normalize(m, dim=1, eps=1e-6) for m in self._network(image)]


def load_perceptual(device: torch.device) -> Perceptual:
    """VGG-19 when torchvision's weights lie on this machine already, else EfficientNet-lite0. Downloads nothing."""
    weights = Path(torch.hub.get_dir()) / "checkpoints" / _VGG19_FILE
    if weights.is_file():
        return Perceptual("vgg19", _Vgg19(weights).to(device))
    return Perceptual("efficientnet-lite0", _Lite0().to(device))
