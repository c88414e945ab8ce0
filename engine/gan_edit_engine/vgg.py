"""VGG-16 and VGG-19 (Simonyan & Zisserman, 2014) as frozen feature extractors, cut after the last layer asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn
from torch.nn import functional as F

CONVOLUTIONS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
"""Convolutions in each block; a 2×2 maximum pooling lies between blocks."""


def layer_names(architecture: str) -> tuple[str, ...]:
    """All layers of "vgg16" or "vgg19" in order: conv1_1, conv1_2, conv2_1 …"""
    blocks = enumerate(CONVOLUTIONS[architecture], start=1)
    return tuple(f"conv{block}_{number}" for block, count in blocks for number in range(1, count + 1))


class Vgg(nn.Module):
    """The convolutions of a VGG up to the last of ``layers``, with weights under torchvision's ``features.N`` names.

    ``layers``: names such as conv1_2; a map is what comes out of the layer's ReLU.
    """

    def __init__(self, architecture: str, state: Mapping[str, Tensor], layers: Sequence[str]) -> None:
        super().__init__()
        names = layer_names(architecture)
        self.layers = frozenset(layers)
        self.depth = max(names.index(name) for name in layers) + 1
        self.names = names[: self.depth]
        for name, position in zip(self.names, _positions(architecture), strict=False):
            self.register_buffer(f"{name}_weight", state[f"features.{position}.weight"].float())
            self.register_buffer(f"{name}_bias", state[f"features.{position}.bias"].float())

    def forward(self, x: Tensor) -> list[Tensor]:
        """The chosen maps, in order, of an image [N, 3, H, W] normalised as the weights expect."""
        maps = []
        for name in self.names:
            if name.endswith("_1") and name != "conv1_1":
                x = F.max_pool2d(x, kernel_size=2)
            x = F.relu(F.conv2d(x, getattr(self, f"{name}_weight"), getattr(self, f"{name}_bias"), padding=1))
            if name in self.layers:
                maps.append(x)
        return maps


def _positions(architecture: str) -> list[int]:
    """The place of each convolution in torchvision's ``features``: a ReLU after each, a pooling after each block."""
    positions, position = [], 0
    for count in CONVOLUTIONS[architecture]:
        positions += [position + 2 * number for number in range(count)]
        position += 2 * count + 1
    return positions
