"""The one optimisation loop, by Adam or L-BFGS: yields a Step after each step, knows no window, keeps no trajectory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gan_edit_protocol.errors import GanEditError

Evaluate = Callable[[], tuple[Tensor, Tensor]]
"""Gives the scalar loss and the image [1, C, H, W] that it was computed from."""

_RAMP_UP, _RAMP_DOWN = 0.05, 0.25  # shares of the steps; Karras et al., StyleGAN2, 2020, appendix D
_RECOVERIES = 8
_LBFGS_ITERATIONS = 5  # between two Steps: a cancellation waits no longer


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
    parameters: Sequence[Tensor],
    evaluate: Evaluate,
    steps: int,
    learning_rate: float,
    schedule: Callable[[float], float] = ramped,
    after_step: Callable[[], None] = lambda: None,
) -> Iterator[Step]:
    """Minimise by Adam with betas (.9, .999); ``schedule(t)`` is the factor on the rate at t in 0..1.

    A loss that is no number takes the parameters back to where it last was one, and halves the rate; GanEditError when
    that does not help either. ``after_step`` may put the parameters back where they belong (noise to unit variance).
    """
    good = [parameter.detach().clone() for parameter in parameters]
    recoveries = 0
    optimizer = torch.optim.Adam(parameters, betas=(0.9, 0.999))
    for index in range(1, steps + 1):
        loss, image, recoveries, optimizer = _finite(parameters, evaluate, good, recoveries, optimizer)
        for parameter, kept in zip(parameters, good, strict=True):
            kept.copy_(parameter.detach())
        # The ramp is taken in the middle of each step, so that neither the first nor the last is lost to a rate of 0.
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * 0.5**recoveries * schedule((index - 0.5) / steps)
        optimizer.step()
        after_step()
        yield Step(index, steps, loss, image.detach())


def _finite(
    parameters: Sequence[Tensor],
    evaluate: Evaluate,
    good: Sequence[Tensor],
    recoveries: int,
    optimizer: torch.optim.Adam,
) -> tuple[float, Tensor, int, torch.optim.Adam]:
    """Evaluate with gradients, going back to ``good`` until loss and gradients are numbers."""
    for attempt in range(recoveries, _RECOVERIES + 1):
        optimizer.zero_grad(set_to_none=True)
        loss, image = evaluate()
        loss.backward()
        gradients = [p.grad for p in parameters if p.grad is not None]
        if math.isfinite(loss.item()) and all(bool(torch.isfinite(g).all()) for g in gradients):
            return loss.item(), image, attempt, optimizer
        with torch.no_grad():
            for parameter, kept in zip(parameters, good, strict=True):
                parameter.copy_(kept)
        optimizer = torch.optim.Adam(parameters, betas=(0.9, 0.999))  # its moments may be no numbers either
    raise _ran_away()


def lbfgs(parameters: Sequence[Tensor], evaluate: Evaluate, evaluations: int) -> Iterator[Step]:
    """Minimise by L-BFGS with a strong Wolfe line search, stopping after about ``evaluations`` of the loss.

    Steps count evaluations, which is what costs time; the loss must not be random.
    """
    optimizer = torch.optim.LBFGS(
        parameters, max_iter=_LBFGS_ITERATIONS, history_size=20, line_search_fn="strong_wolfe", tolerance_change=1e-12
    )
    seen: list[tuple[float, Tensor]] = []

    def closure() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss, image = evaluate()
        loss.backward()
        if not math.isfinite(loss.item()):
            raise _ran_away()
        seen.append((loss.item(), image.detach()))
        return loss

    done = 0
    while done < evaluations:
        seen.clear()
        optimizer.step(closure)
        done += len(seen)
        loss, image = min(seen, key=lambda pair: pair[0])
        yield Step(min(done, evaluations), evaluations, loss, image)
        if len(seen) == 1:
            return  # the line search found nothing to improve


def until(steps: Iterator[Step], reached: Callable[[Step], bool]) -> Iterator[Step]:
    """The steps up to the first for which ``reached`` is true."""
    for step in steps:
        yield step
        if reached(step):
            return


class Plateau:
    """True once the best loss has not fallen by a thousandth within ``patience`` steps; never for a patience of 0."""

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self._best, self._since = math.inf, 0

    def __call__(self, step: Step) -> bool:
        if step.loss < self._best * (1 - 1e-3):
            self._best, self._since = step.loss, step.index
        return self._patience > 0 and step.index - self._since >= self._patience


def _ran_away() -> GanEditError:
    return GanEditError(
        "not_finite", "The optimisation ran away and found no image.", "Lower the learning rate and try again."
    )
