"""StyleGAN3-T and -R (Karras et al. 2021) and StyleGAN-XL's generators, which use the same layers.

The geometry of each layer (sizes, factors, taps, padding) is part of the configuration and the low-pass filters are
part of the weights, as in official checkpoints, so any schedule loads: T, R, and XL's super-resolution heads.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_edit_engine.generators.base import Noise, check_layers, check_positive, check_ws
from gan_edit_engine.generators.layers import DEMODULATION_EPS, LRELU_SLOPE, MAPPING_LR_MULTIPLIER, FullyConnected
from gan_edit_engine.generators.mapping import MappedGenerator, MappingConfig, MappingNetwork

MAX_SIZE = 4096
MAX_FACTOR = 16
MAX_TAPS = 256


# Pixels that every layer carries on each side of what will be seen (StyleGAN3, appendix; margin_size of the official
# configurations).
MARGIN = 10


@dataclass(frozen=True)
class LayerSpec:
    """One synthesis layer: sizes in pixels, filters in taps (1: identity), padding of the upsampled image."""

    name: str
    in_channels: int
    out_channels: int
    in_size: int
    out_size: int
    up_factor: int
    up_taps: int
    down_factor: int
    down_taps: int
    down_radial: bool
    padding: tuple[int, int]
    kernel: int
    is_torgb: bool
    conv_clamp: float | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "padding", tuple(self.padding))
        bounds = {
            "in_size": MAX_SIZE,
            "out_size": MAX_SIZE,
            "up_factor": MAX_FACTOR,
            "down_factor": MAX_FACTOR,
            "up_taps": MAX_TAPS,
            "down_taps": MAX_TAPS,
            "kernel": 7,
        }
        check_positive(in_channels=self.in_channels, out_channels=self.out_channels)
        for field, limit in bounds.items():
            if not 1 <= getattr(self, field) <= limit:
                raise ValueError(f"layer {self.name[:40]!r} has an impossible {field}: {getattr(self, field)}")
        if len(self.padding) != 2 or any(abs(p) > MAX_SIZE for p in self.padding) or "." in self.name:
            raise ValueError(f"layer {self.name[:40]!r} has an impossible padding or name")
        if self.computed_size() != self.out_size:
            raise ValueError(f"layer {self.name[:40]!r} gives {self.computed_size()} pixels, not {self.out_size}")

    def computed_size(self) -> int:
        """Side of the output that the convolution, both filters and both factors leave."""
        upsampled = (self.in_size + self.kernel - 1) * self.up_factor + sum(self.padding)
        filtered = upsampled - (self.up_taps - 1) - (self.down_taps - 1)
        return -(-filtered // self.down_factor)


@dataclass(frozen=True)
class StyleGAN3Config:
    """A StyleGAN3 by its layers; sampling rates and bandwidth in cycles per image."""

    z_dim: int
    c_dim: int
    w_dim: int
    resolution: int
    image_channels: int
    mapping_layers: int
    input_channels: int
    input_size: int
    input_sampling_rate: float
    input_bandwidth: float
    layers: tuple[LayerSpec, ...]
    output_scale: float = 0.25
    # StyleGAN-XL looks classes up in a table of image-network features (count x features); 0: a dense layer.
    embedding_count: int = 0
    embedding_features: int = 0
    mapping_lr_multiplier: float = MAPPING_LR_MULTIPLIER

    def __post_init__(self) -> None:
        _ = self.mapping  # checks itself
        check_layers(len(self.layers), "synthesis network")
        check_positive(z_dim=self.z_dim, w_dim=self.w_dim, input_channels=self.input_channels)
        if self.layers[-1].out_size != self.resolution:
            raise ValueError("the last layer does not have the image's size")
        sizes = [self.input_size, *(layer.out_size for layer in self.layers)]
        if any(layer.in_size != size for layer, size in zip(self.layers, sizes, strict=False)):
            raise ValueError("the layers' sizes do not follow each other")
        if not 1 <= self.input_size <= MAX_SIZE:
            raise ValueError(f"the input has an impossible size: {self.input_size}")
        if self.embedding_count and self.embedding_count < self.c_dim:
            raise ValueError(f"there are {self.c_dim} classes but only {self.embedding_count} embeddings")

    @property
    def num_ws(self) -> int:
        """One w for the input and one per layer."""
        return len(self.layers) + 1

    @property
    def mapping(self) -> MappingConfig:
        """Of the mapping network."""
        return MappingConfig(
            self.z_dim,
            self.c_dim,
            self.w_dim,
            self.num_ws,
            self.mapping_layers,
            lr_multiplier=self.mapping_lr_multiplier,
        )


class FourierInput(nn.Module):
    """Sine waves, rotated and shifted by w and by the user's ``transform`` [3, 3] (of the sampling grid)."""

    transform: Tensor
    freqs: Tensor
    phases: Tensor

    def __init__(self, config: StyleGAN3Config) -> None:
        super().__init__()
        self.size = config.input_size
        self.sampling_rate = config.input_sampling_rate
        self.bandwidth = config.input_bandwidth
        channels = config.input_channels
        self.weight = nn.Parameter(torch.randn(channels, channels))
        self.affine = FullyConnected(config.w_dim, 4)
        self.register_buffer("transform", torch.eye(3))
        self.register_buffer("freqs", torch.zeros(channels, 2))
        self.register_buffer("phases", torch.zeros(channels))

    def forward(self, w: Tensor) -> Tensor:
        """w [N, w_dim] -> features [N, C, size, size]."""
        rotation_and_shift = self.affine(w)
        cos, sin, dx, dy = (rotation_and_shift / rotation_and_shift[:, :2].norm(dim=1, keepdim=True)).unbind(dim=1)
        zero, one = torch.zeros_like(cos), torch.ones_like(cos)
        rotate = torch.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one], dim=1).reshape(-1, 3, 3)
        shift = torch.stack([one, zero, -dx, zero, one, -dy, zero, zero, one], dim=1).reshape(-1, 3, 3)
        transform = rotate @ shift @ self.transform
        phases = self.phases + (self.freqs @ transform[:, :2, 2:]).squeeze(2)  # [N, C]
        freqs = self.freqs @ transform[:, :2, :2]  # [N, C, 2]
        # Waves that the transform moves beyond the band fade out instead of aliasing.
        excess = (freqs.norm(dim=2) - self.bandwidth) / (self.sampling_rate / 2 - self.bandwidth)
        amplitudes = (1 - excess).clamp(0, 1)
        axis = (torch.arange(self.size, device=w.device, dtype=w.dtype) + 0.5) / self.sampling_rate
        axis = axis - 0.5 * self.size / self.sampling_rate
        grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=2)  # [size, size, (x, y)]
        waves = torch.einsum("hwk,nck->nhwc", grid, freqs) + phases[:, None, None]
        waves = (2 * math.pi * waves).sin() * amplitudes[:, None, None]
        return (waves @ (self.weight / math.sqrt(self.weight.shape[0])).T).permute(0, 3, 1, 2)


def filter_axes(x: Tensor, f: Tensor | None, gain: float = 1.0) -> Tensor:
    """True convolution without padding of each channel of x with f: [K] along both axes, or [K, K]; None: identity."""
    if f is None:
        return x * gain
    channels = x.shape[1]
    if f.ndim == 2:
        return F.conv2d(x, (f.flip([0, 1]) * gain).expand(channels, 1, -1, -1), groups=channels)
    taps = (f.flip(0) * math.sqrt(gain)).expand(channels, 1, 1, -1)
    return F.conv2d(F.conv2d(x, taps, groups=channels), taps.transpose(2, 3), groups=channels)


class SynthesisLayer(nn.Module):
    """Modulated convolution, then a leaky ReLU at a higher sampling rate between two low-pass filters."""

    magnitude_ema: Tensor
    up_filter: Tensor | None
    down_filter: Tensor | None

    def __init__(self, spec: LayerSpec, w_dim: int) -> None:
        super().__init__()
        self.spec = spec
        self.affine = FullyConnected(w_dim, spec.in_channels, bias_init=1)
        self.weight = nn.Parameter(torch.randn(spec.out_channels, spec.in_channels, spec.kernel, spec.kernel))
        self.bias = nn.Parameter(torch.zeros(spec.out_channels))
        self.register_buffer("magnitude_ema", torch.ones([]))
        down_shape = [spec.down_taps] * (2 if spec.down_radial else 1)
        self.register_buffer("up_filter", torch.zeros(spec.up_taps) if spec.up_taps > 1 else None)
        self.register_buffer("down_filter", torch.zeros(down_shape) if spec.down_taps > 1 else None)

    def _convolve(self, x: Tensor, styles: Tensor) -> Tensor:
        x = F.conv2d(x * styles[:, :, None, None], self.weight, padding=self.spec.kernel - 1)
        if self.spec.is_torgb:
            return x
        # Both factors have unit mean square (StyleGAN3, appendix) up to the epsilon, which this keeps in proportion.
        energy = self.weight.square().sum(dim=[2, 3])
        scale = energy.mean(dim=1, keepdim=True) / self.spec.kernel**2
        unit = energy / scale
        power = styles.square()
        demodulation = (power @ unit.T + DEMODULATION_EPS * power.mean(dim=1, keepdim=True)).rsqrt()
        return x * (demodulation * scale.rsqrt().T)[:, :, None, None]

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x [N, I, in_size, in_size], w [N, w_dim] -> [N, O, out_size, out_size]."""
        spec = self.spec
        styles = self.affine(w)
        if spec.is_torgb:
            styles = styles / math.sqrt(spec.in_channels * spec.kernel**2)
        x = self._convolve(x, styles) * self.magnitude_ema.rsqrt() + self.bias[:, None, None]
        x = self._upsample(x)
        if not spec.is_torgb:
            x = F.leaky_relu(x, LRELU_SLOPE) * math.sqrt(2)
        if spec.conv_clamp is not None:
            x = x.clamp(-spec.conv_clamp, spec.conv_clamp)
        return filter_axes(x, self.down_filter)[:, :, :: spec.down_factor, :: spec.down_factor]

    def _upsample(self, x: Tensor) -> Tensor:
        up, (before, after) = self.spec.up_factor, self.spec.padding
        n, channels, height, width = x.shape
        spread = x.new_zeros(n, channels, height, up, width, up)
        spread[:, :, :, 0, :, 0] = x
        x = spread.reshape(n, channels, height * up, width * up)
        return filter_axes(F.pad(x, [before, after, before, after]), self.up_filter, gain=up**2)


class SynthesisNetwork(nn.Module):
    """ws [N, num_ws, w_dim] -> image; the first w steers the Fourier input. ``noise`` is accepted, there is none."""

    def __init__(self, config: StyleGAN3Config) -> None:
        super().__init__()
        self.config = config
        self.input = FourierInput(config)
        for spec in config.layers:
            self.add_module(spec.name, SynthesisLayer(spec, config.w_dim))

    def steps(self, ws: Tensor) -> Iterator[Tensor]:
        """What comes out of each layer [N, C, H, W], coarse to fine; the last is the image before its scaling."""
        check_ws(ws, self.config.num_ws, self.config.w_dim)
        vectors = ws.to(self.input.weight.dtype).unbind(dim=1)
        x = self.input(vectors[0])
        for spec, w in zip(self.config.layers, vectors[1:], strict=True):
            x = self.get_submodule(spec.name)(x, w)
            yield x

    def forward(self, ws: Tensor, noise: Noise = "const") -> Tensor:
        *_, image = self.steps(ws)
        return image * self.config.output_scale


class ClassTable(nn.Module):
    """Features of a class by table look-up: c [N, c_dim] -> [N, features]; the key is ``embed.weight``."""

    def __init__(self, count: int, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(count, features))

    def forward(self, c: Tensor) -> Tensor:
        return self.weight[c.argmax(dim=1)]


class ClassTableMapping(MappingNetwork):
    """StyleGAN-XL's mapping: class features come from a table and are projected; there is one mean w per class."""

    def __init__(self, config: StyleGAN3Config) -> None:
        # The class features have z_dim entries here, so the dense layers are built for a doubled, classless z.
        super().__init__(replace(config.mapping, z_dim=2 * config.z_dim, c_dim=0))
        self.z_dim, self.c_dim = config.z_dim, config.c_dim
        self.add_module("embed", ClassTable(config.embedding_count, config.embedding_features))
        self.embed_proj = FullyConnected(config.embedding_features, config.z_dim, lrelu=True)
        self.register_buffer("w_avg", torch.zeros(config.c_dim, config.w_dim))

    def embed_class(self, c: Tensor) -> Tensor:
        return self.embed_proj(self.embed(c))

    def center(self, c: Tensor | None) -> Tensor:
        return self.w_avg.mean(dim=0) if c is None else self.w_avg[c.argmax(dim=1)][:, None]


class StyleGAN3(MappedGenerator):
    """The generator, of any schedule of layers."""

    family = "stylegan3"
    synthesis: SynthesisNetwork

    def __init__(self, config: StyleGAN3Config) -> None:
        super().__init__(
            config, ClassTableMapping(config) if config.embedding_count else MappingNetwork(config.mapping)
        )
        self.synthesis = SynthesisNetwork(config)

    def features(self, ws: Tensor, noise: Noise = "const") -> Iterator[Tensor]:
        """Without the margin that all layers but those of the image's own size carry around what will be seen."""
        inside = slice(MARGIN, -MARGIN)
        for spec, x in zip(self.config.layers, self.synthesis.steps(ws), strict=True):
            if not spec.is_torgb:
                yield x[..., inside, inside] if 2 * MARGIN < x.shape[-1] != self.resolution else x
