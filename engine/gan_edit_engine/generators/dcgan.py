"""DCGAN generators: pytorch/examples (transposed convolutions) and the course's DCGenerator (upsampling blocks).

Both map z [N, z_dim] straight to an image in -1..1 by a tanh; there is no w, so the mapping only adds an axis.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gan_edit_engine.generators.base import Generator, Noise, check_positive, check_ws

VARIANTS = ("transposed", "upsample")
NORMS = ("batch", "instance")


@dataclass(frozen=True)
class DCGANConfig:
    """``channels`` are the widths after each layer but the last; the image is 4 * 2**len(channels) pixels wide.

    ``first_kernel`` belongs to the upsample variant: 2 or 4 for a padded convolution of the 1x1 input to 4x4, 3 for
    upsampling to 4x4 followed by a convolution. ``bias``: which layers have one ("none", "last", "all").
    """

    z_dim: int = 100
    channels: tuple[int, ...] = (512, 256, 128, 64)
    image_channels: int = 3
    variant: str = "transposed"
    norm: str = "batch"
    first_kernel: int = 4
    bias: str = "none"

    def __post_init__(self) -> None:
        if self.variant not in VARIANTS or self.norm not in NORMS or self.bias not in ("none", "last", "all"):
            raise ValueError("the DCGAN variant, normalisation or bias is unknown")
        if not 1 <= len(self.channels) <= 8:
            raise ValueError(f"a DCGAN has 2 to 9 layers, not {len(self.channels) + 1}")
        if self.first_kernel not in (2, 3, 4):
            raise ValueError(f"the first layer of a DCGAN has a kernel of 2, 3 or 4, not {self.first_kernel}")
        check_positive(z_dim=self.z_dim, channels=min(self.channels))
        if self.image_channels not in (1, 3):
            raise ValueError(f"an image has 1 or 3 channels, not {self.image_channels}")

    @property
    def resolution(self) -> int:
        """Side of the image in pixels."""
        return 4 * 2 ** len(self.channels)

    def has_bias(self, layer: int) -> bool:
        """Whether the convolution of layer 0 ... len(channels) has a bias."""
        return self.bias == "all" or (self.bias == "last" and layer == len(self.channels))


class AddAxis(nn.Module):
    """The mapping of a family without w: z [N, z_dim] -> [N, 1, z_dim]; truncation towards the mean z, zero."""

    def __init__(self, z_dim: int) -> None:
        super().__init__()
        self.z_dim = z_dim

    def forward(
        self,
        z: Tensor,
        c: Tensor | None = None,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
    ) -> Tensor:
        if z.ndim != 2 or z.shape[1] != self.z_dim:
            raise ValueError(f"z must be [N, {self.z_dim}], not {list(z.shape)}.")
        return z[:, None] * truncation_psi


def _norm(config: DCGANConfig, channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels) if config.norm == "batch" else nn.InstanceNorm2d(channels)


def transposed_layers(config: DCGANConfig) -> nn.Sequential:
    """pytorch/examples: ConvTranspose2d, norm, ReLU, ...; keys ``main.{0, 1, 3, 4, ...}``."""
    layers: list[nn.Module] = []
    width = config.z_dim
    for i, out in enumerate((*config.channels, config.image_channels)):
        stride, padding = (1, 0) if i == 0 else (2, 1)
        layers.append(nn.ConvTranspose2d(width, out, 4, stride, padding, bias=config.has_bias(i)))
        last = i == len(config.channels)
        layers += [nn.Tanh()] if last else [_norm(config, out), nn.ReLU()]
        width = out
    return nn.Sequential(*layers)


def upsample_block(config: DCGANConfig, layer: int, width: int, out: int) -> nn.Sequential:
    """One up_conv of the course: nearest upsampling (not in a padded first layer), convolution, norm, ReLU or tanh."""
    last = layer == len(config.channels)
    bias = config.has_bias(layer)
    after: list[nn.Module] = [nn.Tanh()] if last else [_norm(config, out), nn.ReLU()]
    if layer == 0 and config.first_kernel != 3:
        kernel = config.first_kernel
        # A 1x1 input padded by p gives 2p + 2 - kernel pixels: 4 for both kernels.
        return nn.Sequential(nn.Conv2d(width, out, kernel, padding=(kernel + 2) // 2, bias=bias), *after)
    upsample = nn.Upsample(scale_factor=4 if layer == 0 else 2, mode="nearest")
    return nn.Sequential(upsample, nn.Conv2d(width, out, 3, padding=1, bias=bias), *after)


class Synthesis(nn.Module):
    """ws [N, 1, z_dim] -> image [N, image_channels, H, W] in -1..1. ``noise`` is accepted, there is none."""

    def __init__(self, config: DCGANConfig) -> None:
        super().__init__()
        self.config = config
        if config.variant == "transposed":
            self.main = transposed_layers(config)
            return
        widths = (config.z_dim, *config.channels, config.image_channels)
        for i, (width, out) in enumerate(zip(widths, widths[1:], strict=False)):
            self.add_module(f"up_conv{i + 1}", upsample_block(config, i, width, out))

    def steps(self, ws: Tensor) -> Iterator[Tensor]:
        """What comes out of each layer [N, C, H, W], coarse to fine; the last is the image."""
        check_ws(ws, 1, self.config.z_dim)
        x = ws[:, 0, :, None, None]
        for layer in self.main if self.config.variant == "transposed" else self.children():
            x = layer(x)
            yield x

    def forward(self, ws: Tensor, noise: Noise = "const") -> Tensor:
        *_, image = self.steps(ws)
        return image


class DCGAN(Generator):
    """The generator; one latent space, z."""

    synthesis: Synthesis
    family = "dcgan"
    spaces = ("z",)
    num_ws = 1
    c_dim = 0

    def __init__(self, config: DCGANConfig) -> None:
        super().__init__()
        self.config = config
        self.z_dim = self.w_dim = config.z_dim
        self.resolution, self.image_channels = config.resolution, config.image_channels
        self.mapping = AddAxis(config.z_dim)
        self.synthesis = Synthesis(config)

    def features(self, ws: Tensor, noise: Noise = "const") -> Iterator[Tensor]:
        return (x for x in self.synthesis.steps(ws) if x.shape[-1] < self.resolution)

    @property
    def w_avg(self) -> Tensor:
        return torch.zeros(self.z_dim, device=next(self.parameters()).device)
