"""The StyleGAN2 discriminator (residual architecture): logits, and feature maps for feature-space losses."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_edit_engine.generators.base import check_labels, check_layers, check_positive, normalize_second_moment
from gan_edit_engine.generators.layers import (
    LRELU_SLOPE,
    FullyConnected,
    add_dense_layers,
    downsample_padding,
    fir,
    make_filter,
    run_dense_layers,
    square_filter,
)


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Shape of a StyleGAN2 discriminator; channels(r) = min(channel_base // r, channel_max)."""

    resolution: int
    c_dim: int = 0
    image_channels: int = 3
    channel_base: int = 32768
    channel_max: int = 512
    conv_clamp: float | None = None
    # Length of the class projection and number of its dense layers (conditional only).
    cmap_dim: int = 512
    mapping_layers: int = 8
    # Minibatch standard deviation over groups of this size (Karras et al. 2018), as one extra feature map.
    group_size: int = 4
    resample_filter: tuple[float, ...] = (1, 3, 3, 1)

    def __post_init__(self) -> None:
        if self.resolution not in tuple(2**i for i in range(3, 11)):
            raise ValueError(f"the discriminator's resolution must be a power of two, 8 to 1024, not {self.resolution}")
        check_positive(channels=self.channels(self.resolution), group_size=self.group_size, cmap_dim=self.cmap_dim)
        if self.c_dim:
            check_layers(self.mapping_layers, "class mapping")

    def channels(self, resolution: int) -> int:
        """Feature channels at ``resolution``."""
        return min(self.channel_base // resolution, self.channel_max)


class Conv(nn.Module):
    """Convolution with run-time weight scaling and optional halving of the image; leaky ReLU unless bias-free."""

    resample_filter: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        config: DiscriminatorConfig,
        down: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.down = down
        self.clamp = config.conv_clamp
        self.weight_gain = 1 / math.sqrt(in_channels * kernel**2)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.register_buffer("resample_filter", make_filter(config.resample_filter))

    def forward(self, x: Tensor, gain: float = 1.0) -> Tensor:
        kernel = self.weight.shape[-1]
        weight = self.weight * self.weight_gain
        if self.down == 2:
            f = square_filter(self.resample_filter)
            x = fir(x, f, gain=1, padding=downsample_padding(f.shape[0], kernel))
            x = F.conv2d(x, weight, stride=2)
        else:
            x = F.conv2d(x, weight, padding=kernel // 2)
        if self.bias is None:
            return x * gain
        x = F.leaky_relu(x + self.bias[:, None, None], LRELU_SLOPE) * (math.sqrt(2) * gain)
        return x if self.clamp is None else x.clamp(-self.clamp * gain, self.clamp * gain)


class Block(nn.Module):
    """Feature maps [N, C, R, R] -> [N, C', R/2, R/2]; the first block takes the image."""

    def __init__(self, resolution: int, config: DiscriminatorConfig) -> None:
        super().__init__()
        width, out = config.channels(resolution), config.channels(resolution // 2)
        if resolution == config.resolution:
            self.fromrgb = Conv(config.image_channels, width, 1, config)
        self.conv0 = Conv(width, width, 3, config)
        self.conv1 = Conv(width, out, 3, config, down=2)
        self.skip = Conv(width, out, 1, config, down=2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if hasattr(self, "fromrgb"):
            x = self.fromrgb(x)
        half = math.sqrt(0.5)
        return self.skip(x, gain=half) + self.conv1(self.conv0(x), gain=half)


def minibatch_deviation(x: Tensor, group_size: int) -> Tensor:
    """x [N, C, H, W] with one more channel: the mean standard deviation within groups of images.

    Groups hold at most ``group_size`` images, fewer where N is not a multiple (a single image: 1).
    """
    n, channels, height, width = x.shape
    group = max(size for size in range(1, min(group_size, n) + 1) if n % size == 0)
    grouped = x.reshape(group, -1, channels, height, width)
    deviation = ((grouped - grouped.mean(dim=0)).square().mean(dim=0) + 1e-8).sqrt()
    deviation = deviation.mean(dim=[1, 2, 3]).reshape(-1, 1, 1, 1).repeat(group, 1, height, width)
    return torch.cat([x, deviation], dim=1)


class Epilogue(nn.Module):
    """Feature maps [N, C, 4, 4] -> [N, cmap_dim or 1]."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        width = config.channels(4)
        self.group_size = config.group_size
        self.conv = Conv(width + 1, width, 3, config)
        self.fc = FullyConnected(width * 16, width, lrelu=True)
        self.out = FullyConnected(width, config.cmap_dim if config.c_dim else 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(minibatch_deviation(x, self.group_size))
        return self.out(self.fc(x.flatten(1)))


class ClassMapping(nn.Module):
    """Class vectors c [N, c_dim] -> projections [N, cmap_dim]."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.num_layers = config.mapping_layers
        self.embed = FullyConnected(config.c_dim, config.cmap_dim)
        add_dense_layers(self, [config.cmap_dim] * (config.mapping_layers + 1))

    def forward(self, c: Tensor) -> Tensor:
        return run_dense_layers(self, normalize_second_moment(self.embed(c)), self.num_layers)


class Discriminator(nn.Module):
    """Official parameter names: ``b{R}.*``, ``b4.*``, ``mapping.*``."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        for resolution in self.block_resolutions():
            self.add_module(f"b{resolution}", Block(resolution, config))
        self.b4 = Epilogue(config)
        if config.c_dim:
            self.mapping = ClassMapping(config)

    def block_resolutions(self) -> Iterator[int]:
        """Image resolution first, down to 8."""
        resolution = self.config.resolution
        while resolution > 4:
            yield resolution
            resolution //= 2

    def features(self, image: Tensor) -> list[Tensor]:
        """Output of each block for image [N, image_channels, H, W] in -1..1: [N, C, H/2, W/2], ..., [N, C, 4, 4]."""
        expected = (self.config.image_channels, self.config.resolution, self.config.resolution)
        if tuple(image.shape[1:]) != expected:
            raise ValueError(f"The discriminator takes images of {list(expected)}, not {list(image.shape[1:])}.")
        outputs = []
        for resolution in self.block_resolutions():
            image = self.get_submodule(f"b{resolution}")(image)
            outputs.append(image)
        return outputs

    def forward(self, image: Tensor, c: Tensor | None = None) -> Tensor:
        """Logits [N, 1]: high for images that look real."""
        x = self.b4(self.features(image)[-1])
        c = check_labels(c, self.config.c_dim, len(image))
        if c is None:
            return x
        return (x * self.mapping(c.to(x.dtype))).sum(dim=1, keepdim=True) / math.sqrt(self.config.cmap_dim)
