"""StyleGAN2's configuration, and what one resolution of its synthesis is made of, in plain PyTorch.

Modulation scales activations instead of building one kernel per sample.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_edit_engine.generators import winograd
from gan_edit_engine.generators.base import check_positive
from gan_edit_engine.generators.layers import (
    DEMODULATION_EPS,
    LRELU_SLOPE,
    MAPPING_ACTIVATIONS,
    MAPPING_LR_MULTIPLIER,
    FullyConnected,
    fold_up_conv,
    make_filter,
    up_conv_folded,
    up_conv_reference,
    upsample,
)
from gan_edit_engine.generators.mapping import MappingConfig

ARCHITECTURES = ("skip", "resnet", "orig")
LARGEST_FOLDED = 128
"""Pixels a side of the largest image whose up-convolutions are folded on a processor."""
LEAST_TRANSFORMED_CHANNELS, LEAST_TRANSFORMED_SIDE = 512, 16
"""Of feature maps that Winograd's convolution takes less than half the time for; smaller ones it takes longer for."""


@dataclass(frozen=True)
class StyleGAN2Config:
    """Everything that decides the shape of a StyleGAN2; defaults are the paper's config-f at 256 px."""

    z_dim: int = 512
    c_dim: int = 0
    w_dim: int = 512
    resolution: int = 256
    image_channels: int = 3
    # Channels at resolution r are min(channel_base // r, channel_max).
    channel_base: int = 32768
    channel_max: int = 512
    mapping_layers: int = 8
    architecture: str = "skip"
    # Training in half precision clamps activations (256 officially); the weights then expect it in float32 too.
    conv_clamp: float | None = None
    use_noise: bool = True
    resample_filter: tuple[float, ...] = (1, 3, 3, 1)
    # Widths within the mapping network; None: w_dim.
    embed_features: int | None = None
    layer_features: int | None = None
    mapping_lr_multiplier: float = MAPPING_LR_MULTIPLIER
    mapping_activation: str = MAPPING_ACTIVATIONS[0]

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise ValueError(
                f"Unknown StyleGAN2 architecture {self.architecture!r}; known: {', '.join(ARCHITECTURES)}."
            )
        if self.resolution not in tuple(2**i for i in range(3, 11)):
            raise ValueError(f"StyleGAN2 resolution must be a power of two from 8 to 1024, not {self.resolution}.")
        if self.image_channels not in (1, 3):
            raise ValueError(f"An image has 1 or 3 channels, not {self.image_channels}.")
        _ = self.mapping  # checks itself
        check_positive(z_dim=self.z_dim, w_dim=self.w_dim, channels=self.channels(self.resolution))
        for name in ("embed_features", "layer_features"):
            check_positive(**{name: 1 if getattr(self, name) is None else getattr(self, name)})

    @property
    def block_resolutions(self) -> tuple[int, ...]:
        """4, 8, ... up to the image's resolution."""
        return tuple(2**i for i in range(2, self.resolution.bit_length()))

    @property
    def num_ws(self) -> int:
        """One w per convolution and one for the last ToRGB."""
        return 2 * len(self.block_resolutions)

    @property
    def mapping(self) -> MappingConfig:
        """Of the mapping network."""
        return MappingConfig(
            self.z_dim,
            self.c_dim,
            self.w_dim,
            self.num_ws,
            self.mapping_layers,
            self.embed_features,
            self.layer_features,
            self.mapping_lr_multiplier,
            self.mapping_activation,
        )

    def channels(self, resolution: int) -> int:
        """Feature channels of the block at ``resolution``."""
        return min(self.channel_base // resolution, self.channel_max)


class SynthesisLayer(nn.Module):
    """Modulated 3x3 convolution, noise, bias, leaky ReLU: x [N, I, H, W] -> [N, O, H*up, W*up]."""

    noise_const: Tensor
    resample_filter: Tensor

    def __init__(self, in_channels: int, out_channels: int, resolution: int, up: int, config: StyleGAN2Config) -> None:
        super().__init__()
        self.resolution = resolution
        self.up = up
        self.use_noise = config.use_noise
        self.conv_clamp = config.conv_clamp
        self.is_of_large_model = config.resolution > LARGEST_FOLDED
        self.affine = FullyConnected(config.w_dim, in_channels, bias_init=1)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.register_buffer("resample_filter", make_filter(config.resample_filter))
        if config.use_noise:
            self.register_buffer("noise_const", torch.randn(resolution, resolution))
            self.noise_strength = nn.Parameter(torch.zeros([]))
        self._prepared: tuple[tuple[object, ...], Tensor, Tensor] | None = None
        self._transformed: tuple[tuple[object, ...], Tensor, Tensor] | None = None

    @property
    def _trains(self) -> bool:
        return self.weight.requires_grad and torch.is_grad_enabled()

    @property
    def _folds(self) -> bool:
        # Folded, 36 taps do the work of 9 and the filter: with the gradient of the weight that costs 2.5 times more. On
        # a processor the wide layers of a large model take three times as long folded.
        slow = self.is_of_large_model and self.weight.device.type == "cpu"
        return self.up == 2 and not self._trains and not slow

    def _is_searched(self, x: Tensor) -> bool:
        """Whether a latent's gradient is to go through x, and that is dear: images that are given are drawn plainly."""
        wide = min(self.weight.shape[:2]) >= LEAST_TRANSFORMED_CHANNELS and x.shape[-1] >= LEAST_TRANSFORMED_SIDE
        dear = self.is_of_large_model and wide and x.device.type == "cpu" and x.dtype == torch.float32
        return dear and torch.is_grad_enabled() and x.requires_grad and not self._trains

    def _prepare(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        kernel = fold_up_conv(self.weight, self.resample_filter) if self._folds else self.weight
        energy = self.weight.square().sum(dim=[2, 3])
        return kernel.to(dtype).contiguous(memory_format=torch.channels_last), energy

    def _kernel_and_energy(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """The kernel to convolve with and sum_k w^2 [O, I]; kept between calls while the weight does not change."""
        if self._trains:
            return self._prepare(dtype)
        version = self._weight_version(dtype)
        if self._prepared is None or self._prepared[0] != version:
            # Leave inference mode: an inference tensor kept here could not take part in a later backward pass.
            with torch.inference_mode(False), torch.no_grad():
                self._prepared = (version, *self._prepare(dtype))
        return self._prepared[1:]

    def _weight_version(self, dtype: torch.dtype) -> tuple[object, ...]:
        return (dtype, self.weight.device, self.weight.data_ptr(), self.weight._version)

    def _transformed_kernels(self) -> tuple[Tensor, Tensor]:
        """The weight as Winograd's convolution and its gradient take it, kept as the other kernel is."""
        version = self._weight_version(self.weight.dtype)
        if self._transformed is None or self._transformed[0] != version:
            with torch.inference_mode(False), torch.no_grad():
                pair = winograd.transformed(self.weight), winograd.transformed_for_gradient(self.weight)
            self._transformed = (version, *pair)
        return self._transformed[1:]

    def _apply(self, fn, recurse=True):  # type: ignore[no-untyped-def]  # nn.Module's own signature
        self._prepared = self._transformed = None
        return super()._apply(fn, recurse)

    def _convolve(self, x: Tensor, kernel: Tensor) -> Tensor:
        if self.up == 1 and self._is_searched(x):
            return winograd.convolve(x, *self._transformed_kernels())
        if self.up == 1:
            return F.conv2d(x, kernel, padding=1)
        return up_conv_folded(x, kernel) if self._folds else up_conv_reference(x, kernel, self.resample_filter)

    def _noise(self, x: Tensor, noise: Tensor | str | None) -> Tensor | None:
        """The noise to add, broadcastable to [N, 1, H, W], or None."""
        if not self.use_noise or noise is None or (isinstance(noise, str) and noise == "none"):
            return None
        if isinstance(noise, Tensor):
            return noise.to(x.dtype) * self.noise_strength.to(x.dtype)
        if noise == "const":
            return (self.noise_const * self.noise_strength).to(x.dtype)
        size = [x.shape[0], 1, self.resolution, self.resolution]
        return torch.randn(size, device=x.device, dtype=x.dtype) * self.noise_strength.to(x.dtype)

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | str | None = "const", gain: float = 1.0) -> Tensor:
        """w [N, w_dim] gives the styles; ``gain`` scales the output (and the clamp) of a residual branch."""
        kernel, energy = self._kernel_and_energy(x.dtype)
        styles = self.affine(w)
        # Scaling inputs by s and outputs by d equals convolving with the modulated, demodulated kernel of equation 3.
        demodulation = (styles.square() @ energy.T + DEMODULATION_EPS).rsqrt()
        x = x * styles.to(x.dtype)[:, :, None, None]
        x = self._convolve(x, kernel)
        # lrelu(g*x) = g*lrelu(x) for g > 0, so the gain goes into the small tensors.
        act_gain = math.sqrt(2) * gain
        bias = (self.bias * act_gain).to(x.dtype)[None, :, None, None]
        x = torch.addcmul(bias, x, (demodulation * act_gain).to(x.dtype)[:, :, None, None])
        added_noise = self._noise(x, noise)
        if added_noise is not None:
            x = x + added_noise * act_gain
        x = F.leaky_relu(x, LRELU_SLOPE)
        return x if self.conv_clamp is None else x.clamp(-self.conv_clamp * gain, self.conv_clamp * gain)


class ToRGB(nn.Module):
    """Modulated 1x1 convolution to image channels, not demodulated, linear."""

    def __init__(self, in_channels: int, config: StyleGAN2Config) -> None:
        super().__init__()
        self.conv_clamp = config.conv_clamp
        self.weight_gain = 1 / math.sqrt(in_channels)
        self.affine = FullyConnected(config.w_dim, in_channels, bias_init=1)
        self.weight = nn.Parameter(torch.randn(config.image_channels, in_channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(config.image_channels))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x [N, C, H, W] and w [N, w_dim] -> image part [N, image_channels, H, W] in w's precision."""
        styles = self.affine(w) * self.weight_gain
        x = F.conv2d(x * styles.to(x.dtype)[:, :, None, None], self.weight.to(x.dtype), self.bias.to(x.dtype))
        x = x.to(w.dtype)
        return x if self.conv_clamp is None else x.clamp(-self.conv_clamp, self.conv_clamp)


class SkipConv(nn.Module):
    """The residual branch of the resnet architecture: 1x1 convolution and upsampling, no bias."""

    resample_filter: Tensor

    def __init__(self, in_channels: int, out_channels: int, config: StyleGAN2Config) -> None:
        super().__init__()
        self.weight_gain = 1 / math.sqrt(in_channels)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 1, 1))
        self.register_buffer("resample_filter", make_filter(config.resample_filter))

    def forward(self, x: Tensor, gain: float) -> Tensor:
        x = F.conv2d(x, (self.weight * (self.weight_gain * gain)).to(x.dtype))
        return upsample(x, self.resample_filter)


class SynthesisBlock(nn.Module):
    """One resolution: two convolutions (one at 4x4) and, where the architecture has it, a ToRGB."""

    resample_filter: Tensor

    def __init__(self, resolution: int, config: StyleGAN2Config) -> None:
        super().__init__()
        out_channels = config.channels(resolution)
        self.architecture = config.architecture
        self.is_first = resolution == 4
        self.compute_dtype = torch.float32
        self.num_conv = 1 if self.is_first else 2
        self.register_buffer("resample_filter", make_filter(config.resample_filter))
        if self.is_first:
            self.const = nn.Parameter(torch.randn(out_channels, 4, 4))
        else:
            in_channels = config.channels(resolution // 2)
            self.conv0 = SynthesisLayer(in_channels, out_channels, resolution, 2, config)
            if config.architecture == "resnet":
                self.skip = SkipConv(in_channels, out_channels, config)
        self.conv1 = SynthesisLayer(out_channels, out_channels, resolution, 1, config)
        self.torgb = None
        if resolution == config.resolution or config.architecture == "skip":
            self.torgb = ToRGB(out_channels, config)

    def features(self, x: Tensor | None, ws: list[Tensor], noise: list[Tensor | str | None]) -> Tensor:
        """Feature maps of this resolution from those below (None at 4x4); ws and noise have one entry per conv."""
        if x is None:
            const = self.const.to(self.compute_dtype).expand(len(ws[0]), -1, -1, -1)
            return self.conv1(const, ws[0], noise[0])
        x = x.to(self.compute_dtype)
        if self.architecture != "resnet":
            return self.conv1(self.conv0(x, ws[0], noise[0]), ws[1], noise[1])
        residual = self.skip(x, gain=math.sqrt(0.5))
        return residual + self.conv1(self.conv0(x, ws[0], noise[0]), ws[1], noise[1], gain=math.sqrt(0.5))

    def to_image(self, x: Tensor, image: Tensor | None, w: Tensor) -> Tensor | None:
        """The running image: the one from below upsampled, plus this block's ToRGB; None before the first ToRGB."""
        if image is not None:
            image = upsample(image, self.resample_filter)
        if self.torgb is None:
            return image
        part = self.torgb(x, w)
        return part if image is None else image + part
