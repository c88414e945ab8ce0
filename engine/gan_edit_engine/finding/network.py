"""The two small networks of a finder: one says where things may be, the other looks at each of them closely.

The first is fully convolutional, as CenterNet (Zhou et al. 2019, "Objects as Points"): a heat map of the things'
centres and, in each cell, where the two align points lie, which gives size and angle over the whole circle. It knows
things of one octave and a half only; the photo is shown to it at every octave. The second sees one thing, turned
upright by what the first said, and corrects that, as the later stages of MTCNN do (Zhang et al. 2016). Both stand on
the first layers of a network that has seen the photos of ImageNet and stays as it is.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import fuse_conv_bn_eval

from gan_edit_engine.networks.efficientnet_lite0 import LITE0_CHANNELS, EfficientNetLite0
from gan_edit_engine.networks.fused_conv import FusedConv

STRIDE = 8
"""Photo pixels per cell of the heat map, in each direction."""
MULTIPLE = 16
"""Both sides of a picture that the detector sees are multiples of this."""
UNIT = 32.0
"""The detector gives the points' places in units of so many pixels from the cell's centre."""
CLOSE_SIDE = 96
"""Pixels on each side of what the second network sees."""
CLOSE_FIELD = 1.5
"""Side of what the second network sees, in sides of the model's square around the thing."""
_HEAT_AT_FIRST = -4.0  # the logit: nearly nothing is a centre, and the first steps need not learn that
_MAPS = 4  # of the frozen features: strides 2, 4, 8 and 16
_AT_4, _AT_8, _AT_16 = LITE0_CHANNELS[1:4]


def _conv(ins: int, outs: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(ins, outs, 3, stride, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outs), nn.ReLU(inplace=True))


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _conv(channels, channels)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(self.first(x)), inplace=True)


class _Detector(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.coarse = nn.Sequential(_conv(_AT_16, 64), _Residual(64))
        self.fine = _conv(_AT_8, 64)
        self.head = nn.Sequential(_conv(64, 64), _Residual(64), nn.Conv2d(64, 5, 1))
        last = self.head[-1]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        with torch.no_grad():
            last.weight *= 0.1
            last.bias[0] = _HEAT_AT_FIRST

    def forward(self, at_8: Tensor, at_16: Tensor) -> Tensor:
        coarse = F.interpolate(self.coarse(at_16), scale_factor=2.0, mode="nearest")
        answer: Tensor = self.head(self.fine(at_8) + coarse)
        return answer


class _Refiner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.from_4 = _conv(_AT_4, 32, 2)
        self.from_8 = nn.Sequential(_conv(32 + _AT_8, 64), _conv(64, 64, 2))
        self.from_16 = nn.Sequential(_conv(64 + _AT_16, 96), nn.Conv2d(96, 32, 1))
        places = (CLOSE_SIDE // 16) ** 2
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(32 * places, 128), nn.ReLU(inplace=True), nn.Linear(128, 5))

    def forward(self, at_4: Tensor, at_8: Tensor, at_16: Tensor) -> Tensor:
        x = self.from_8(torch.cat([self.from_4(at_4), at_8], dim=1))
        answer: Tensor = self.head(self.from_16(torch.cat([x, at_16], dim=1)))
        return answer


class FinderNetworks(nn.Module):
    """Both, as they are trained and kept in one file; the frozen layers are no part of it."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = EfficientNetLite0()
        self.detector = _Detector()
        self.refiner = _Refiner()
        self.to(memory_format=torch.channels_last)

    def detect(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures [N, 3, H, W] in -1..1, H and W multiples of 16 -> heat [N, H/8, W/8], points [N, 4, H/8, W/8].

        ``heat``: logits. ``points``: x1, y1, x2, y2 of the align points in pixels from the centre of the cell.
        """
        _, _, at_8, at_16 = self._features(pictures)
        answer = self.detector(at_8, at_16)
        return answer[:, 0], answer[:, 1:] * UNIT

    def look(self, squares: Tensor) -> tuple[Tensor, Tensor]:
        """Upright squares [N, 3, 96, 96] in -1..1 -> score [N] (logits), shifts [N, 4].

        ``shifts``: by how much the align points (x1, y1, x2, y2) lie off their canonical places, in sides of the
        model's square.
        """
        _, at_4, at_8, at_16 = self._features(squares)
        answer = self.refiner(at_4, at_8, at_16)
        return answer[:, 0], answer[:, 1:]

    @torch.no_grad()
    def _features(self, pictures: Tensor) -> list[Tensor]:
        return self.frozen.features(pictures.contiguous(memory_format=torch.channels_last), _MAPS)

    def fused(self) -> FinderNetworks:
        """This one with each convolution, normalisation and activation in one: the same answers in less time."""
        self.eval().requires_grad_(False)
        for module in list(self.modules()):
            if isinstance(module, nn.Sequential):
                _fuse(module)
        self.frozen.fused()
        return self


def _fuse(sequence: nn.Sequential) -> None:
    for i, conv in enumerate(sequence):
        if isinstance(conv, nn.Conv2d):
            norm, after = (*sequence[i + 1 : i + 3], None, None)[:2]
            if isinstance(norm, nn.BatchNorm2d):
                conv, sequence[i + 1] = fuse_conv_bn_eval(conv, norm), nn.Identity()
            relu = isinstance(after, nn.ReLU)
            if relu:
                sequence[i + 2] = nn.Identity()
            stride, padding = conv.stride[0], int(conv.padding[0])
            sequence[i] = FusedConv(conv.weight, conv.bias, stride, padding, activation="relu" if relu else None)
