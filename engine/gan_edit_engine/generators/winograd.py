"""3x3 convolutions by a quarter of the multiplications: Winograd's F(4x4, 3x3).

Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", 2016, section 4.3, whose matrices these are. Results
differ from the plain sum in the fifth digit.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

TILE = 4
"""Pixels a side that are computed at once: sides must be multiples of it."""
_SEEN = TILE + 2

_INPUT = torch.tensor(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    dtype=torch.float64,
)
_KERNEL = torch.tensor(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ],
    dtype=torch.float64,
)
_OUTPUT = torch.tensor([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]).double()


def transformed(weight: Tensor) -> Tensor:
    """The kernel [O, I, 3, 3] as `convolve` takes it: [36, I, O]."""
    both = torch.kron(_KERNEL, _KERNEL).to(weight)
    return (both @ weight.permute(2, 3, 1, 0).reshape(9, -1)).view(_SEEN**2, weight.shape[1], weight.shape[0])


def transformed_for_gradient(weight: Tensor) -> Tensor:
    """The kernel [36, O, I] by which the gradient goes back."""
    return transformed(weight.flip([2, 3]).transpose(0, 1))


def convolve(x: Tensor, kernel: Tensor, for_gradient: Tensor) -> Tensor:
    """x [N, I, H, W] -> [N, O, H, W], zeros around it; the gradient is that of x alone."""
    found: Tensor = _Convolution.apply(x, kernel, for_gradient)
    return found


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, for_gradient: Tensor) -> Tensor:
        ctx.save_for_backward(for_gradient)
        return _convolved(x, kernel)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _convolved(gradients[0], *ctx.saved_tensors), None, None


def _convolved(x: Tensor, kernel: Tensor) -> Tensor:
    n, inputs, height, width = x.shape
    rows, columns, outputs = height // TILE, width // TILE, kernel.shape[-1]
    around = F.pad(x.permute(0, 2, 3, 1), [0, 0, 1, 1, 1, 1])
    tiles = around.unfold(1, _SEEN, TILE).unfold(2, _SEEN, TILE).permute(4, 5, 0, 1, 2, 3).reshape(_SEEN**2, -1)
    seen = (torch.kron(_INPUT, _INPUT).to(x) @ tiles).view(_SEEN**2, -1, inputs)
    found = torch.kron(_OUTPUT, _OUTPUT).to(x) @ (seen @ kernel).view(_SEEN**2, -1)
    pixels = found.view(TILE, TILE, n, rows, columns, outputs).permute(2, 3, 0, 4, 1, 5)
    return pixels.reshape(n, height, width, outputs).permute(0, 3, 1, 2)
