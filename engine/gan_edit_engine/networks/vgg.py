"""VGG-16 and VGG-19 (Simonyan & Zisserman, 2014) as frozen feature extractors, cut after the last layer asked for."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_edit_protocol.errors import GanEditError

CONVOLUTIONS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
"""Convolutions in each block; a 2×2 maximum pooling lies between blocks."""


def layer_names(architecture: str) -> tuple[str, ...]:
    """All layers of "vgg16" or "vgg19" in order: conv1_1, conv1_2, conv2_1 …"""
    blocks = enumerate(CONVOLUTIONS[architecture], start=1)
    return tuple(f"conv{block}_{number}" for block, count in blocks for number in range(1, count + 1))


def read_layers(architecture: str, text: str) -> dict[str, float]:
    """The layers that a text names with the weight of each, in the network's order: "conv3_1:0.5 conv1_1".

    A weight is a number above 0, relative to the other layers'; without one it is 1. GanEditError for a text that names
    no layer, an unknown one, one twice, or a weight that is none.
    """
    known = layer_names(architecture)
    found: dict[str, float] = {}
    for part in text.split() or [""]:
        name, colon, weight = part.partition(":")
        if name not in known:
            title = architecture.upper().replace("VGG", "VGG-")
            raise GanEditError("bad_setting", f"{title} has no layer {name!r}.", f"Its layers are {', '.join(known)}.")
        if name in found:
            raise GanEditError("bad_setting", f"The layer {name} is named twice.", "Name it once, with its weight.")
        found[name] = _read_weight(name, weight) if colon else 1.0
    return {name: found[name] for name in known if name in found}


def _read_weight(name: str, text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not 0 < weight < math.inf:
        raise GanEditError(
            "bad_setting",
            f"The weight of the layer {name} cannot be {reprlib.repr(text)}.",
            "Use a number above 0, as in conv1_1:0.5.",
        )
    return weight


class Vgg(nn.Module):
    """The convolutions of a VGG up to the last of ``layers``, with weights under torchvision's ``features.N`` names.

    ``layers``: names such as conv1_2; a map is what comes out of the layer's ReLU.
    Computes in ``dtype``, gives float32.
    """

    def __init__(
        self,
        architecture: str,
        state: Mapping[str, Tensor],
        layers: Sequence[str],
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.dtype = dtype
        names = layer_names(architecture)
        self.layers = frozenset(layers)
        self.depth = max(names.index(name) for name in layers) + 1
        self.names = names[: self.depth]
        for name, position in zip(self.names, _positions(architecture), strict=False):
            self.register_buffer(f"{name}_weight", state[f"features.{position}.weight"].to(dtype))
            self.register_buffer(f"{name}_bias", state[f"features.{position}.bias"].to(dtype))

    def forward(self, x: Tensor) -> list[Tensor]:
        """The chosen maps, in order, of an image [N, 3, H, W] normalised as the weights expect."""
        maps = []
        x = x.to(self.dtype)
        for name in self.names:
            if name.endswith("_1") and name != "conv1_1":
                x = F.max_pool2d(x, kernel_size=2)
            x = F.relu(F.conv2d(x, getattr(self, f"{name}_weight"), getattr(self, f"{name}_bias"), padding=1))
            if name in self.layers:
                maps.append(x.float())
        return maps


def _positions(architecture: str) -> list[int]:
    """The place of each convolution in torchvision's ``features``: a ReLU after each, a pooling after each block."""
    positions, position = [], 0
    for count in CONVOLUTIONS[architecture]:
        positions += [position + 2 * number for number in range(count)]
        position += 2 * count + 1
    return positions
