"""VGG-16 and VGG-19 (Simonyan & Zisserman, 2014) as frozen feature extractors, cut after the last layer asked for."""

from __future__ import annotations

import functools
import math
import reprlib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from gan_edit_protocol.errors import GanEditError

# What VGG's weights expect of images in −1..1: ImageNet's mean and standard deviation, 2·(.485, .456, .406) − 1 and
# 2·(.229, .224, .225), in the rounding that LPIPS was trained with.
_IMAGENET_MEAN, _IMAGENET_STD = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


def _features(architecture: str) -> nn.Sequential:
    """torchvision's layers of "vgg16" or "vgg19" but the classifier's, without memory for their weights."""
    # Brings 0.4 s and 13 MB, which only who looks through a VGG is to wait for.
    from torchvision import models  # noqa: PLC0415

    with torch.device("meta"):
        network: nn.Sequential = models.get_model(architecture, weights=None, init_weights=False).features
    return network


@functools.cache
def convolutions(architecture: str) -> dict[str, int]:
    """All layers of "vgg16" or "vgg19" in order, conv1_1, conv1_2, conv2_1 …, and where torchvision has them."""
    places, block, number = {}, 1, 0
    for place, layer in enumerate(_features(architecture)):
        if isinstance(layer, nn.Conv2d):
            number += 1
            places[f"conv{block}_{number}"] = place
        elif isinstance(layer, nn.MaxPool2d):
            block, number = block + 1, 0
    return places


def read_layers(architecture: str, text: str) -> dict[str, float]:
    """The layers that a text names with the weight of each, in the network's order: "conv3_1:0.5 conv1_1".

    A weight is a number above 0, relative to the other layers'; without one it is 1. GanEditError for a text that names
    no layer, an unknown one, one twice, or a weight that is none.
    """
    known = convolutions(architecture)
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
    """torchvision's VGG up to the last of ``layers``, frozen, with weights under its ``features.N`` names.

    ``layers``: names such as conv1_2; a map is what comes out of the layer's ReLU. The weights are shared with
    ``state`` where it is in ``dtype`` already; they move with the network and are missing from its state. Computes in
    ``dtype``, gives float32.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        architecture: str,
        state: Mapping[str, Tensor],
        layers: Sequence[str],
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.dtype = dtype
        places = convolutions(architecture)
        self.relus = frozenset(places[name] + 1 for name in layers)
        # A feature extractor by torch.fx would leave its generated code behind, some KB for every job.
        self.features = _features(architecture)[: max(self.relus) + 1]
        for place, layer in enumerate(self.features):
            if isinstance(layer, nn.Conv2d):
                for kind in ("weight", "bias"):
                    delattr(layer, kind)
                    layer.register_buffer(kind, state[f"features.{place}.{kind}"].to(dtype), persistent=False)
        self.register_buffer("mean", torch.tensor(_IMAGENET_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(_IMAGENET_STD)[:, None, None], persistent=False)

    def forward(self, image: Tensor) -> list[Tensor]:
        """The chosen maps, in the network's order, of images [N, 1 or 3, H, W] in −1..1."""
        x = ((image.expand(-1, 3, -1, -1) - self.mean) / self.std).to(self.dtype)
        maps = []
        for place, layer in enumerate(self.features):
            x = layer(x)
            if place in self.relus:
                maps.append(x.float())
        return maps
