"""Convolutions of frozen networks on a processor: each in one pass with what follows it, its weights laid out once.

torch lays a convolution's weights out anew at each call and clips what comes out in another pass; where two threads
share the work they wait for each other after each. The operations of oneDNN that torch's compiler uses spare both.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Activation = Literal["relu", "relu6"] | None

_APART: dict[Activation, Callable[[Tensor], Tensor]] = {None: lambda x: x, "relu": torch.relu_, "relu6": F.relu6}
_IN_ONE: dict[Activation, tuple[str, list[float], str]] = {
    None: ("none", [], ""),
    "relu": ("relu", [], ""),
    "relu6": ("hardtanh", [0.0, 6.0], ""),
}
_LAYOUTS = 8  # shapes of images for which one convolution's weights are kept, of those seen last


class FusedConv(nn.Module):
    """A convolution of float32 [N, C, H, W] on the processor, with its activation; it knows no gradient.

    Without oneDNN (``onednn``; None: where this torch has it) it goes torch's usual way.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        stride: int,
        padding: int,
        groups: int = 1,
        activation: Activation = None,
        onednn: bool | None = None,
    ) -> None:
        super().__init__()
        self.weight, self.bias = weight.detach(), None if bias is None else bias.detach()
        self.stride, self.padding, self.groups, self.activation = stride, padding, groups, activation
        self.onednn = has_onednn() if onednn is None else onednn
        # Which layout is fast depends on the shape: in one for another shape a call may take ten times as long.
        self._laid_out = lru_cache(maxsize=_LAYOUTS)(self._lay_out)

    def forward(self, x: Tensor) -> Tensor:
        if not self.onednn:
            plain = F.conv2d(x, self.weight, self.bias, self.stride, self.padding, groups=self.groups)
            return _APART[self.activation](plain)
        weight, how = self._laid_out(x.shape), _IN_ONE[self.activation]
        done: Tensor = torch.ops.mkldnn._convolution_pointwise(x, weight, self.bias, *self._where(), *how)
        return done

    def _lay_out(self, shape: torch.Size) -> Tensor:
        weight: Tensor = torch.ops.mkldnn._reorder_convolution_weight(self.weight, *self._where(), list(shape))
        return weight

    def _where(self) -> tuple[list[int], list[int], list[int], int]:
        """Padding, stride and dilation in both directions, and the groups."""
        return [self.padding] * 2, [self.stride] * 2, [1, 1], self.groups


@cache
def has_onednn() -> bool:
    """Whether this torch has those operations and they do what is meant: they are its own, and may change."""
    x = torch.linspace(-9, 9, 18).view(1, 2, 3, 3)
    weight, bias = torch.linspace(-1, 1, 36).view(2, 2, 3, 3), torch.tensor([0.5, 9.0])
    try:
        fused, plain = (FusedConv(weight, bias, 1, 1, 1, "relu6", each)(x) for each in (True, False))
    except (AttributeError, RuntimeError, TypeError):  # what is not there, was not built, or takes other arguments
        return False
    return torch.allclose(fused, plain, atol=1e-4)
