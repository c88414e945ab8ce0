"""Convolutions of frozen networks on a processor: each in one pass with what follows it, its weights laid out once.

torch lays a convolution's weights out anew at each call and clips what comes out in another pass; where two threads
share the work they wait for each other after each. The operations of oneDNN that torch's compiler uses spare both.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Activation = Literal["relu", "relu6"] | None

ONEDNN = torch.backends.mkldnn.is_available() and all(
    hasattr(torch.ops.mkldnn, name) for name in ("_convolution_pointwise", "_reorder_convolution_weight")
)
"""Whether this torch has those operations."""
_APART: dict[Activation, Callable[[Tensor], Tensor]] = {None: lambda x: x, "relu": torch.relu_, "relu6": F.relu6}
_IN_ONE: dict[Activation, tuple[str, list[float], str]] = {
    None: ("none", [], ""),
    "relu": ("relu", [], ""),
    "relu6": ("hardtanh", [0.0, 6.0], ""),
}
_LAYOUTS = 8  # shapes of images for which one convolution's weights are kept, of those seen last


class FusedConv(nn.Module):
    """A convolution of float32 [N, C, H, W] on the processor, with its activation; it knows no gradient.

    Where torch was built without oneDNN (``onednn``) it goes torch's usual way.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        stride: int,
        padding: int,
        groups: int = 1,
        activation: Activation = None,
        onednn: bool = ONEDNN,
    ) -> None:
        super().__init__()
        self.weight, self.bias = weight.detach(), None if bias is None else bias.detach()
        self.stride, self.padding, self.groups, self.activation = stride, padding, groups, activation
        self.onednn = onednn
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
