"""The one optimisation loop: yields a Step after each step, knows no window and keeps no trajectory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gan_edit_protocol.errors import GanEditError

_RAMP_UP, _RAMP_DOWN = 0.05, 0.25  # shares of the steps; Karras et al., StyleGAN2, 2020, appendix D


@dataclass(frozen=True)
class Step:
    """Step ``index`` (from 1) of ``of``: the loss before it and the image [1, C, H, W] that had this loss."""

    index: int
    of: int
    loss: float
    image: Tensor


def ramped(t: float) -> float:
    """Factor on the learning rate at t in 0..1: linear up over the first 5 %, cosine down over the last quarter."""
    down = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1.0 - t) / _RAMP_DOWN))
    return down * min(1.0, t / _RAMP_UP)


def adam(
    parameters: Sequence[Tensor], loss_and_image: Callable[[], tuple[Tensor, Tensor]], steps: int, learning_rate: float
) -> Iterator[Step]:
    """Minimise by Adam with the projector's ramps; betas (.9, .999) as published.

    ``loss_and_image()`` gives the scalar loss and the image it was computed from. Raises GanEditError when the loss
    stops being a number.
    """
    optimizer = torch.optim.Adam(parameters, lr=learning_rate, betas=(0.9, 0.999))
    for index in range(1, steps + 1):
        # The ramp is taken in the middle of each step, so that neither the first nor the last is lost to a rate of 0.
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * ramped((index - 0.5) / steps)
        optimizer.zero_grad(set_to_none=True)
        loss, image = loss_and_image()
        loss.backward()
        value = loss.item()
        if not math.isfinite(value):
            raise GanEditError(
                "not_finite", "The optimisation ran away and found no image.", "Lower the learning rate and try again."
            )
        optimizer.step()
        yield Step(index, steps, value, image.detach())
