"""The one optimisation loop, by Adam or L-BFGS: yields a Step after each step, knows no window, keeps no trajectory."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.settings import ProjectSettings

ResultT = TypeVar("ResultT")

Evaluate = Callable[[float], tuple[Tensor, Tensor]]
"""Gives the scalar loss and the image [1, C, H, W] that it was computed from, at a share 0..1 of the steps.

L-BFGS always asks for the loss as it is at the end, 1: it must not change under a line search.
"""

_RAMP_UP, _RAMP_DOWN = 0.05, 0.25  # shares of the steps; Karras et al., StyleGAN2, 2020, appendix D
_LATE = 0.2  # share of the steps
_RECOVERIES = 8
_LBFGS_ITERATIONS = 5  # between two Steps: a cancellation waits no longer


@dataclass(frozen=True)
class Step:
    """Step ``index`` (from 1) of ``of``: the loss before it and the image [1, C, H, W] that had this loss."""

    index: int
    of: int
    loss: float
    image: Tensor


def result_of(steps: Generator[Step, None, ResultT], keep: Callable[[Step], None] = lambda step: None) -> ResultT:
    """What a search returns at its end; ``keep(step)`` is called with each of its steps."""
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return end.value
        keep(step)


def ramped(t: float) -> float:
    """Factor on the learning rate at t in 0..1: linear up over the first 5 %, cosine down over the last quarter."""
    down = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1.0 - t) / _RAMP_DOWN))
    return down * min(1.0, t / _RAMP_UP)


def late_decay(t: float) -> float:
    """Factor on the learning rate at t in 0..1: constant, and a cosine down over the last fifth."""
    return 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1.0 - t) / _LATE))


def minimise(
    parameters: Sequence[Tensor],
    evaluate: Evaluate,
    steps: int,
    settings: ProjectSettings,
    after_step: Callable[[], None] = lambda: None,
) -> Iterator[Step]:
    """Minimise by the optimiser, with the rate and its schedule, that the settings name."""
    if settings.optimizer == "lbfgs":
        return lbfgs(parameters, evaluate, steps)
    schedule = ramped if settings.schedule == "ramped" else lambda t: 1.0
    return adam(parameters, evaluate, steps, settings.learning_rate, schedule, after_step)


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
        share = (index - 1) / steps
        loss, image, recoveries, optimizer = _finite(parameters, evaluate, share, good, recoveries, optimizer)
        _copy(parameters, good)
        # The ramp is taken in the middle of each step, so that neither the first nor the last is lost to a rate of 0.
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * 0.5**recoveries * schedule((index - 0.5) / steps)
        optimizer.step()
        after_step()
        yield Step(index, steps, loss, image.detach())


def _finite(
    parameters: Sequence[Tensor],
    evaluate: Evaluate,
    share: float,
    good: Sequence[Tensor],
    recoveries: int,
    optimizer: torch.optim.Adam,
) -> tuple[float, Tensor, int, torch.optim.Adam]:
    """Evaluate with gradients, going back to ``good`` until loss and gradients are numbers."""
    for attempt in range(recoveries, _RECOVERIES + 1):
        optimizer.zero_grad(set_to_none=True)
        loss, image = evaluate(share)
        loss.backward()
        if _all_finite(loss, parameters):
            return loss.item(), image, attempt, optimizer
        _copy(good, parameters)
        optimizer = torch.optim.Adam(parameters, betas=(0.9, 0.999))  # its moments may be no numbers either
    raise _ran_away()


def lbfgs(parameters: Sequence[Tensor], evaluate: Evaluate, evaluations: int) -> Iterator[Step]:
    """Minimise by L-BFGS with a strong Wolfe line search, stopping after about ``evaluations`` of the loss.

    Steps count evaluations, which is what costs time; the loss must not be random. A loss that is no number takes the
    parameters back to the last Step and halves the rate; GanEditError when that does not help either.
    """
    good = [parameter.detach().clone() for parameter in parameters]
    seen: list[tuple[float, Tensor]] = []
    done = recoveries = 0
    optimizer = _lbfgs_optimizer(parameters, 1.0)

    def closure() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss, image = evaluate(1.0)
        loss.backward()
        if not _all_finite(loss, parameters):
            raise _NotFiniteError
        seen.append((loss.item(), image.detach()))
        return loss

    while done < evaluations:
        seen.clear()
        try:
            optimizer.step(closure)
        except _NotFiniteError:
            recoveries += 1
            if recoveries > _RECOVERIES:
                raise _ran_away() from None
            _copy(good, parameters)
            done += len(seen)
            optimizer = _lbfgs_optimizer(parameters, 0.5**recoveries)
            continue
        _copy(parameters, good)
        done += len(seen)
        loss, image = min(seen, key=lambda pair: pair[0])
        yield Step(min(done, evaluations), evaluations, loss, image)
        if len(seen) == 1:
            return  # the line search found nothing to improve


class _NotFiniteError(Exception):
    """Ends an L-BFGS step whose loss or gradient is no number."""


def _lbfgs_optimizer(parameters: Sequence[Tensor], rate: float) -> torch.optim.LBFGS:
    return torch.optim.LBFGS(
        parameters,
        lr=rate,
        max_iter=_LBFGS_ITERATIONS,
        history_size=20,
        line_search_fn="strong_wolfe",
        tolerance_change=1e-12,
    )


def _all_finite(loss: Tensor, parameters: Sequence[Tensor]) -> bool:
    gradients = [p.grad for p in parameters if p.grad is not None]
    return math.isfinite(loss.item()) and all(bool(torch.isfinite(g).all()) for g in gradients)


@torch.no_grad()
def _copy(sources: Sequence[Tensor], targets: Sequence[Tensor]) -> None:
    for source, target in zip(sources, targets, strict=True):
        target.copy_(source)


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
