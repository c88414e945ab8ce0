"""The perceptual loss: how differently two images look to a frozen network.

Features are scaled to unit length over their channels at each position and compared by squared distance, averaged
over positions (Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", 2018). With
``vgg16-lpips`` that is LPIPS itself, with its learned weight of each channel; the other networks weigh all channels
alike, and ``vgg16`` and ``vgg19`` their layers as one asks for.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from gan_edit_engine.generators.discriminator import Discriminator
from gan_edit_engine.inversion.losses import area_averaged, gram, style_distances, weighted_mean
from gan_edit_engine.library.perceptual_files import perceptual_weights
from gan_edit_engine.networks.digest import weights_digest
from gan_edit_engine.networks.efficientnet_lite0 import EfficientNetLite0
from gan_edit_engine.networks.lpips import Lpips, unit_length
from gan_edit_engine.networks.vgg import Vgg, read_layers
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.settings import ProjectSettings

_LITE0_MAPS = 3  # strides 2, 4 and 8
_HUB_VGG19 = "vgg19-dcbb9e9d.pth"  # torchvision's file, where torch.hub keeps it
_MIN_SIDE = 128  # smaller images are enlarged: the networks were trained on objects of 100 pixels and more
_MIN_LPIPS_SIDE = 64  # LPIPS was trained on patches of this side

VGGS = {"vgg16-lpips": "vgg16", "vgg16": "vgg16", "vgg19": "vgg19"}
"""The architecture of each perceptual network that is a VGG."""

_PREFERENCE = ("vgg16-lpips", "vgg19", "efficientnet-lite0")


@dataclass(frozen=True)
class Target:
    """Features of the image that is to be matched, at unit length, the weight of their positions, and Gram matrices.

    ``grams`` is empty where the style does not count. Larger images are compared at ``side``, area-averaged.
    """

    maps: list[Tensor]
    weights: list[Tensor]
    grams: list[Tensor]
    side: int


class Perceptual(nn.Module):
    """The perceptual loss by one network; ``name`` says which.

    ``network``: gives feature maps [N, C_i, H_i, W_i] of images [N, 1 or 3, H, W] in −1..1. Of `Lpips` the distances
    are summed; those of others, which weigh all channels alike, are averaged over the maps: by ``shares``, one number
    for each map, or alike. ``least_side``: what images are not shrunk below. ``digest``: tells networks of one
    ``name`` apart.
    """

    def __init__(
        self,
        name: str,
        network: nn.Module,
        shares: Sequence[float] | None = None,
        least_side: int = _MIN_SIDE,
        digest: str = "",
    ) -> None:
        super().__init__()
        self.digest = digest
        self.name, self._least_side = name, least_side
        self.network, self._shares = network, shares

    @torch.no_grad()
    def target(self, image: Tensor, weight: Tensor, style: bool = False, side: int = sys.maxsize) -> Target:
        """Features of ``image`` [N, 1 or 3, H, W] in −1..1, to be matched where ``weight`` [N, 1, H, W] is above 0.

        ``style``: with the Gram matrices that :meth:`compare` needs. ``side``: square images that are larger are
        compared at this side, in pixels, or at the least that the network can judge.
        """
        side = self.side_seen(image.shape[-1], side)
        maps = self._maps(image, side)
        weights = [area_averaged(weight, m.shape[-2], m.shape[-1]) for m in maps]
        grams = [gram(m, w) for m, w in zip(maps, weights, strict=True)] if style else []
        return Target([unit_length(m) for m in maps], weights, grams, side)

    def side_seen(self, side: int, wanted: int) -> int:
        """The side at which images of ``side`` pixels are compared where ``wanted`` is asked for: none is enlarged."""
        return min(side, max(wanted, self._least_side))

    def _maps(self, image: Tensor, side: int) -> list[Tensor]:
        maps: list[Tensor] = self.network(area_averaged(image, side, side) if image.shape[-1] > side else image)
        return maps

    def loss(self, image: Tensor, target: Target) -> Tensor:
        """Scalar distance of ``image`` [N, 1 or 3, H, W] in −1..1 from the target."""
        return self._content(self._maps(image, target.side), target)

    def compare(self, image: Tensor, target: Target) -> tuple[Tensor, Tensor]:
        """(perceptual distance, distance of the style's Gram matrices) of ``image`` from the target with its style."""
        maps = self._maps(image, target.side)
        grams = [gram(m, w) for m, w in zip(maps, target.weights, strict=True)]
        return self._content(maps, target), self._mean(style_distances(grams, target.grams))

    def _content(self, maps: list[Tensor], target: Target) -> Tensor:
        ours = [unit_length(m) for m in maps]
        if isinstance(self.network, Lpips):
            return torch.stack(_means(self.network.differences(ours, target.maps), target.weights)).sum()
        differences = [(a - b).square().sum(1, keepdim=True) for a, b in zip(ours, target.maps, strict=True)]
        return self._mean(_means(differences, target.weights))

    def _mean(self, distances: Sequence[Tensor]) -> Tensor:
        """The mean over the maps by their shares."""
        shares = self._shares or [1.0] * len(distances)
        return torch.stack([share * d for share, d in zip(shares, distances, strict=True)]).sum() / sum(shares)


def _means(differences: Sequence[Tensor], weights: Sequence[Tensor]) -> list[Tensor]:
    return [weighted_mean(d, weight) for d, weight in zip(differences, weights, strict=True)]


def resolved_choice(choice: str) -> str:
    """The perceptual network that ``choice`` stands for on this machine.

    "auto" is the first of LPIPS, VGG-19 and EfficientNet-lite0 whose weights are here; the last always are.
    """
    return next(name for name in _PREFERENCE if _is_installed(name)) if choice == "auto" else choice


def load_perceptual(
    choice: str,
    device: torch.device,
    layers: str = ProjectSettings.perceptual_layers,
    dtype: torch.dtype = torch.float32,
    weights: Callable[[], Mapping[str, Tensor]] | None = None,
) -> Perceptual:
    """A perceptual network by name (see `resolved_choice`), on ``device``; ``layers``: of a VGG, see ``read_layers``.

    ``dtype``: what a VGG computes in; the others are small, and bfloat16 would make them slower. ``weights``: gives
    what `vgg_weights` gave for the same VGG, which the network then shares.

    Downloads nothing. Raises GanEditError when the network is not installed or a layer does not exist.
    """
    choice = resolved_choice(choice)
    if choice not in VGGS:
        return Perceptual("efficientnet-lite0", _Lite0Maps()).to(device)
    architecture = VGGS[choice]
    shares = {} if choice == "vgg16-lpips" else read_layers(architecture, layers)
    state = weights() if weights else vgg_weights(architecture, device, dtype)
    if not shares:
        return _lpips(state, dtype).to(device)
    network = _EnlargedVgg(Vgg(architecture, state, tuple(shares), dtype))
    return Perceptual(architecture, network, shares=tuple(shares.values())).to(device)


def vgg_weights(architecture: str, device: torch.device, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """All weights of "vgg16" or "vgg19", the convolutions' in ``dtype``. VGG-16's come with LPIPS' (lin0 …).

    Raises GanEditError when they are not installed.
    """
    state = _vgg19_state() if architecture == "vgg19" else load_file(perceptual_weights("vgg16-lpips"))
    features = {name: value.to(device, dtype) for name, value in state.items() if name.startswith("features.")}
    return features | {name: value.to(device) for name, value in state.items() if name.startswith("lin")}


def load_lpips(device: torch.device, dtype: torch.dtype = torch.float32) -> Perceptual:
    """LPIPS v0.1 with VGG-16, as published: no enlarging, distances summed over its five layers.

    ``dtype``: what the convolutions compute in; the distances themselves are always float32.
    """
    return _lpips(vgg_weights("vgg16", device, dtype), dtype).to(device)


def _lpips(state: Mapping[str, Tensor], dtype: torch.dtype) -> Perceptual:
    return Perceptual("vgg16-lpips", Lpips(state, dtype), least_side=_MIN_LPIPS_SIDE)


def discriminator_features(discriminator: Discriminator) -> Perceptual:
    """The features of a model's own discriminator as the network (Pan et al., Deep Generative Prior, 2020)."""
    # It takes one size only.
    digest = f"{weights_digest(discriminator)} {discriminator.config}"
    return Perceptual("discriminator", _DiscriminatorMaps(discriminator), least_side=sys.maxsize, digest=digest)


def _is_installed(name: str) -> bool:
    try:
        if name == "vgg16-lpips":
            perceptual_weights(name)
        elif name == "vgg19":
            _vgg19_file()
    except GanEditError:
        return False
    return True


def _vgg19_file() -> Path:
    """The library's file, else torchvision's own where torch.hub has put it."""
    hub = Path(torch.hub.get_dir()) / "checkpoints" / _HUB_VGG19
    return hub if hub.is_file() else perceptual_weights("vgg19")


def _vgg19_state() -> dict[str, Tensor]:
    file = _vgg19_file()
    if file.suffix == ".safetensors":
        return load_file(file)
    return dict(torch.load(file, map_location="cpu", weights_only=True))


class _Lite0Maps(nn.Module):
    """The first maps of EfficientNet-lite0 for images [N, 1 or 3, H, W] in −1..1."""

    def __init__(self) -> None:
        super().__init__()
        self.lite0 = EfficientNetLite0()

    def forward(self, image: Tensor) -> list[Tensor]:
        return self.lite0.features(_enlarge(image).expand(-1, 3, -1, -1), _LITE0_MAPS)


class _EnlargedVgg(nn.Module):
    """The maps of a VGG for images [N, 1 or 3, H, W] in −1..1, of which it sees small ones enlarged."""

    def __init__(self, vgg: Vgg) -> None:
        super().__init__()
        self.vgg = vgg

    def forward(self, image: Tensor) -> list[Tensor]:
        maps: list[Tensor] = self.vgg(_enlarge(image))
        return maps


class _DiscriminatorMaps(nn.Module):
    """The maps of a discriminator for images of its own size and channels."""

    def __init__(self, discriminator: Discriminator) -> None:
        super().__init__()
        self.discriminator = discriminator

    def forward(self, image: Tensor) -> list[Tensor]:
        return self.discriminator.features(image)


def _enlarge(image: Tensor) -> Tensor:
    if image.shape[-1] >= _MIN_SIDE:
        return image
    return F.interpolate(image, size=(_MIN_SIDE, _MIN_SIDE), mode="bilinear", align_corners=False)
