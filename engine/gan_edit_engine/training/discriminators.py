"""What tells photos from samples: `features` first (shared by both losses), then `judge` on them.

The projected discriminator follows Sauer et al. 2021, "Projected GANs Converge Faster": frozen pretrained features,
mixed by frozen random convolutions, judged by one small network per scale.
"""

from __future__ import annotations

from abc import abstractmethod
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from gan_edit_engine.generators import discriminator
from gan_edit_engine.generators.discriminator import DiscriminatorConfig
from gan_edit_engine.networks.efficientnet_lite0 import LITE0_CHANNELS, LITE0_SIDE, EfficientNetLite0, at_lite0_side

LRELU_SLOPE = 0.2


class Discriminator(nn.Module):
    """Logits of images, in two halves so that one pass through the frozen part serves both players."""

    @abstractmethod
    def features(self, images: Tensor) -> list[Tensor]:
        """What is judged, from images [N, 3, R, R] in -1..1; differentiable in the images, nothing here learns."""

    @abstractmethod
    def judge(self, features: list[Tensor]) -> list[Tensor]:
        """Logits, one tensor [N, ...] per judge, high for photos."""

    def loss(self, photos: Tensor, samples: Tensor) -> Tensor:
        """What one judge minimises, of its logits: the hinge loss (Lim & Ye 2017), as in Projected GANs."""
        return F.relu(1 - photos).mean() + F.relu(1 + samples).mean()

    def generator_loss(self, samples: Tensor) -> Tensor:
        """What the generator minimises, of one judge's logits of its samples."""
        return -samples.mean()


class StyleGAN2Discriminator(Discriminator):
    """The discriminator of StyleGAN2 on the image itself, with the logistic loss; to be used with the R1 penalty."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.network = discriminator.Discriminator(config)

    def features(self, images: Tensor) -> list[Tensor]:
        return [images]

    def judge(self, features: list[Tensor]) -> list[Tensor]:
        return [self.network(features[0])]

    def loss(self, photos: Tensor, samples: Tensor) -> Tensor:
        return F.softplus(-photos).mean() + F.softplus(samples).mean()

    def generator_loss(self, samples: Tensor) -> Tensor:
        return F.softplus(-samples).mean()


class RandomMixing(nn.Module):
    """Frozen random 1x1 projections per scale, then top-down 3x3 mixing, so that every scale carries the coarser."""

    def __init__(self, channels: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels)
        self.merge = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in channels)
        for conv in (*self.lateral, *self.merge):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="linear")
            nn.init.zeros_(conv.bias)
        self.requires_grad_(False)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps fine to coarse, each half the side of the one before -> as many maps of ``width`` channels."""
        mixed: list[Tensor] = []
        for lateral, merge, x in zip(reversed(self.lateral), reversed(self.merge), reversed(maps), strict=True):
            x = lateral(x)
            if mixed:
                x = x + F.interpolate(mixed[-1], scale_factor=2, mode="nearest")
            mixed.append(merge(x))
        return mixed[::-1]


def _spectral(in_channels: int, out_channels: int, kernel: int, stride: int, padding: int) -> nn.Module:
    return spectral_norm(nn.Conv2d(in_channels, out_channels, kernel, stride, padding))


def _down(in_channels: int, out_channels: int) -> list[nn.Module]:
    conv = _spectral(in_channels, out_channels, 4, 2, 1)
    return [conv, nn.BatchNorm2d(out_channels), nn.LeakyReLU(LRELU_SLOPE)]


def judge_of_side(side: int, width: int, hidden: int) -> nn.Sequential:
    """A judge of maps [N, width, side, side]: halved until 4 or 8 remain, then one 4x4 convolution to logits.

    Batch normalisation works here where group normalisation diverged; photos and samples must go through apart.
    """
    layers: list[nn.Module] = []
    channels = width
    if side <= 8:
        layers += [_spectral(width, hidden, 3, 1, 1), nn.BatchNorm2d(hidden), nn.LeakyReLU(LRELU_SLOPE)]
        channels = hidden
    while side > 8:
        layers += _down(channels, hidden)
        channels, side = hidden, side // 2
    return nn.Sequential(*layers, _spectral(channels, 1, 4, 1, 0))


class ProjectedDiscriminator(Discriminator):
    """Four judges on frozen EfficientNet-lite0 features (strides 4 to 32), randomly mixed."""

    # The map at stride 2 is left out: it costs most and tells little beyond texture.
    finest, end = 1, 5

    def __init__(self, width: int = 64, hidden: int = 128, compute_dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.compute_dtype = compute_dtype
        self.mixing = RandomMixing(LITE0_CHANNELS[self.finest : self.end], width)
        strides = [2 << i for i in range(self.finest, self.end)]
        self.judges = nn.ModuleList(self._judge(LITE0_SIDE // stride, width, hidden) for stride in strides)
        self.frozen = EfficientNetLite0().to(compute_dtype).to(memory_format=torch.channels_last)
        self.mixing.to(compute_dtype).to(memory_format=torch.channels_last)

    def _judge(self, side: int, width: int, hidden: int) -> nn.Module:
        return judge_of_side(side, width, hidden)

    def _at_its_size(self, images: Tensor) -> Tensor:
        return at_lite0_side(images)

    def features(self, images: Tensor) -> list[Tensor]:
        images = self._at_its_size(images).to(self.compute_dtype)
        images = images.contiguous(memory_format=torch.channels_last)
        maps = self.frozen.features(images, self.end)
        mixed: list[Tensor] = self.mixing(maps[self.finest :])
        return mixed

    def judge(self, features: list[Tensor]) -> list[Tensor]:
        half = self.compute_dtype == torch.bfloat16
        with torch.autocast(features[0].device.type, dtype=torch.bfloat16) if half else nullcontext():
            return [judge(x).float() for judge, x in zip(self.judges, features, strict=True)]


class DetailDiscriminator(ProjectedDiscriminator):
    """Three judges (strides 2 to 8) that see small pieces only, each from a few tens of pixels: fur, not faces."""

    finest, end = 0, 3

    def _at_its_size(self, images: Tensor) -> Tensor:
        return images

    def _judge(self, side: int, width: int, hidden: int) -> nn.Module:
        layers: list[nn.Module] = []
        for channels in (width, hidden):
            layers += [_spectral(channels, hidden, 3, 1, 1), nn.BatchNorm2d(hidden), nn.LeakyReLU(LRELU_SLOPE)]
        return nn.Sequential(*layers, _spectral(hidden, 1, 1, 1, 0))
