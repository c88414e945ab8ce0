"""Layers that the StyleGAN families share: equalised-rate dense layers and FIR resampling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LRELU_SLOPE = 0.2
# Keeps the demodulation finite for a zero style (StyleGAN2, equation 3).
DEMODULATION_EPS = 1e-8
# Mapping layers learn 100 times slower (StyleGAN, Karras et al. 2019, appendix C).
MAPPING_LR_MULTIPLIER = 0.01
MAPPING_ACTIVATIONS = ("lrelu", "linear")


class FullyConnected(nn.Module):
    """Dense layer with run-time weight scaling ("equalised learning rate", Karras et al. 2018): x [N, I] -> [N, O]."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        lrelu: bool = False,
        lr_multiplier: float = 1.0,
        bias_init: float = 0.0,
    ) -> None:
        super().__init__()
        self.lrelu = lrelu
        self.lr_multiplier = lr_multiplier
        self.weight_gain = lr_multiplier / math.sqrt(in_features)
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / lr_multiplier)
        self.bias = nn.Parameter(torch.full([out_features], bias_init / lr_multiplier))

    def forward(self, x: Tensor) -> Tensor:
        x = F.linear(x, self.weight * self.weight_gain, self.bias * self.lr_multiplier)
        return F.leaky_relu(x, LRELU_SLOPE) * math.sqrt(2) if self.lrelu else x


def add_dense_layers(
    module: nn.Module,
    widths: Sequence[int],
    lr_multiplier: float = MAPPING_LR_MULTIPLIER,
    activation: str = MAPPING_ACTIVATIONS[0],
) -> None:
    """Add ``fc0`` ... of a mapping network to ``module``: between two widths each."""
    for i, (in_features, out_features) in enumerate(pairwise(widths)):
        layer = FullyConnected(in_features, out_features, activation == "lrelu", lr_multiplier)
        module.add_module(f"fc{i}", layer)


def run_dense_layers(module: nn.Module, x: Tensor, count: int) -> Tensor:
    """x [N, I] through ``fc0`` ... of ``module``."""
    for i in range(count):
        x = module.get_submodule(f"fc{i}")(x)
    return x


def make_filter(taps: tuple[float, ...]) -> Tensor:
    """Low-pass filter with sum 1 from its 1-D taps: 2-D below 8 taps, kept 1-D from 8 on (the official storage)."""
    f = torch.tensor(taps, dtype=torch.float32)
    f = f / f.sum()
    return f.outer(f) if len(taps) < 8 else f


def square_filter(f: Tensor) -> Tensor:
    """The 2-D form of a stored filter, which may be 1-D (separable)."""
    return f.outer(f) if f.ndim == 1 else f


def fir(x: Tensor, f: Tensor, gain: float, padding: tuple[int, int]) -> Tensor:
    """True convolution of each channel of x [N, C, H, W] with f [K, K]; (before, after) padding, negative crops."""
    before, after = padding
    x = F.pad(x, [before, after, before, after])
    channels = x.shape[1]
    kernel = (f.flip([0, 1]) * gain).to(x.dtype).expand(channels, 1, -1, -1)
    return F.conv2d(x, kernel, groups=channels)


def upsample(x: Tensor, f: Tensor) -> Tensor:
    """x [N, C, H, W] -> [N, C, 2H, 2W]: zeros between samples, then the filter, brightness kept (gain 4)."""
    n, channels, height, width = x.shape
    f = square_filter(f)
    zeros_between = x.new_zeros(n, channels, height, 2, width, 2)
    zeros_between[:, :, :, 0, :, 0] = x
    taps = f.shape[0]
    padding = ((taps + 1) // 2, (taps - 2) // 2)
    return fir(zeros_between.reshape(n, channels, 2 * height, 2 * width), f, gain=4, padding=padding)


def up_conv_padding(taps: int) -> tuple[int, int]:
    """Padding (before, after) of the filter behind a transposed 3x3 convolution so that H becomes exactly 2H."""
    return (taps + 1) // 2 - 1, (taps - 2) // 2


def up_conv_reference(x: Tensor, weight: Tensor, f: Tensor) -> Tensor:
    """Plain up-convolution: transposed convolution with stride 2, then the filter; weight [O, I, 3, 3]."""
    f = square_filter(f)
    x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
    return fir(x, f, gain=4, padding=up_conv_padding(f.shape[0]))


def _fold_taps(weight: Tensor, f: Tensor) -> Tensor:
    """The kernel of `fold_up_conv`, by convolving weight [O, I, 3, 3] with the filter f.

    The transposed 3x3 kernel and the filter of T taps convolve to one kernel of T+2 taps; output pixel 2p + a sees
    input p + d through tap a + T - 1 - before - 2d, so each of the four phases a is an ordinary convolution on the
    low resolution (K = 3 for four taps), where it costs a quarter of a convolution on the high one.
    """
    f = square_filter(f)
    taps = f.shape[0]
    out_channels, in_channels = weight.shape[:2]
    flat = weight.reshape(out_channels * in_channels, 1, 3, 3)
    full = F.conv2d(flat, (4 * f.flip([0, 1]))[None, None].to(weight.dtype), padding=taps - 1)
    shift = taps - 1 - up_conv_padding(taps)[0]
    radius = max((shift + 1) // 2, (taps + 1 - shift) // 2)
    # Zero-pad so that every phase can read all of its 2*radius + 1 taps, then take every second tap, backwards.
    low = 2 * radius - shift
    full = F.pad(full, [low, 2 * radius, low, 2 * radius])
    index = [[low + shift + a - 2 * d for d in range(-radius, radius + 1)] for a in (0, 1)]
    rows = torch.stack([full[:, 0, index[a], :] for a in (0, 1)], dim=1)
    both = torch.stack([rows[..., index[b]] for b in (0, 1)], dim=2)
    size = 2 * radius + 1
    kernel = both.reshape(out_channels, in_channels, 4, size, size).transpose(1, 2)
    return kernel.reshape(4 * out_channels, in_channels, size, size)


def fold_up_conv(weight: Tensor, f: Tensor) -> Tensor:
    """Kernel [4*O, I, K, K] such that pixel_shuffle(conv2d(x, kernel, padding K//2), 2) is the plain up-convolution.

    Folding is linear in the nine taps of a 3x3 kernel, so one small matrix does it for all of them: training folds in
    every step, and there the many tiny convolutions of `_fold_taps` cost as much as a third of the generator.
    """
    out_channels, in_channels = weight.shape[:2]
    unit_taps = torch.eye(9, dtype=f.dtype, device=f.device).reshape(9, 1, 3, 3)
    with torch.no_grad():
        folded = _fold_taps(unit_taps, f)
    size = folded.shape[-1]
    matrix = folded.reshape(9, 4 * size * size).to(weight.dtype)
    kernel = weight.reshape(out_channels, in_channels, 9) @ matrix
    kernel = kernel.reshape(out_channels, in_channels, 4, size, size).transpose(1, 2)
    return kernel.reshape(4 * out_channels, in_channels, size, size)


def up_conv_folded(x: Tensor, kernel: Tensor) -> Tensor:
    """Up-convolution with a kernel from `fold_up_conv`: x [N, I, H, W] -> [N, O, 2H, 2W]."""
    return F.pixel_shuffle(F.conv2d(x, kernel, padding=kernel.shape[-1] // 2), 2)


def downsample_padding(taps: int, kernel: int) -> tuple[int, int]:
    """Padding (before, after) of the filter in front of a strided convolution so that 2H becomes exactly H."""
    return (taps - 1) // 2 + kernel // 2, (taps - 2) // 2 + kernel // 2
