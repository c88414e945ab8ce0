"""The one optimisation loop, by Adam or L-BFGS, a step at a time: knows no window, keeps no trajectory."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from gan_edit_protocol.errors import GanEditError

ResultT = TypeVar("ResultT")

Evaluate = Callable[[int], tuple[Tensor, Tensor]]
"""Gives the scalar loss and the image [N, C, H, W] that it was computed from, after so many steps.

L-BFGS's line search compares losses: for it they must not change with the number, nor be random.
"""
Schedule = Callable[[float], float]
"""Factor on the learning rate at a share 0..1 of the steps."""

_RAMP_UP, _RAMP_DOWN = 0.05, 0.25  # shares of the steps; Karras et al., StyleGAN2, 2020, appendix D
_LATE = 0.2  # share of the steps
_RECOVERIES = 8
_LBFGS_ITERATIONS = 5  # between two Steps: a cancellation waits no longer


@dataclass(frozen=True)
class Step:
    """What a search has just done: the loss before it, and an image [1, C, H, W] that had this loss.

    ``taken``: how many of the steps that were asked for it is: 0 for a look at candidates, with L-BFGS its evaluations.
    """

    loss: float
    image: Tensor
    taken: int = 1


def result_of(steps: Generator[Step, None, ResultT], keep: Callable[[Step], None] = lambda step: None) -> ResultT:
    """What a search returns at its end; ``keep(step)`` is called with each of its steps."""
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return end.value
        keep(step)


def counted(steps: Generator[Step, None, ResultT]) -> Generator[Step, None, tuple[ResultT, int]]:
    """The same steps; returns what they return, and how many were taken."""
    taken = 0
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return end.value, taken
        taken += step.taken
        yield step


def steady(_share: float) -> float:
    """A learning rate that stays."""
    return 1.0


def ramped(share: float) -> float:
    """Linear up over the first 5 %, cosine down over the last quarter."""
    down = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1.0 - share) / _RAMP_DOWN))
    return down * min(1.0, share / _RAMP_UP)


def late_decay(share: float) -> float:
    """Constant, and a cosine down over the last fifth."""
    return 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1.0 - share) / _LATE))


def over(steps: int, learning_rate: float, schedule: Schedule) -> Callable[[int], float]:
    """The rate of a search of so many steps, as a function of those that were taken."""
    # In the middle of each step, so that neither the first nor the last is lost to a rate of 0.
    return lambda taken: learning_rate * schedule(min(1.0, (taken + 0.5) / steps))


class Search(ABC):
    """A minimisation over ``parameters``, which it changes in place. It goes on for as long as it is asked to."""

    def __init__(self, parameters: Sequence[Tensor], evaluate: Evaluate) -> None:
        self._parameters, self._evaluate = list(parameters), evaluate
        self._good = [parameter.detach().clone() for parameter in self._parameters]
        self._recoveries = 0
        self.taken = 0
        """Steps so far."""
        self.finished = False
        """Whether another step would change nothing."""

    @abstractmethod
    def step(self) -> Step:
        """Go one step. GanEditError (not_finite) when no way back leads to a loss that is a number."""

    def retarget(self, evaluate: Evaluate) -> None:
        """Minimise another loss from here on."""
        self._evaluate = evaluate
        self.finished = False

    def run(self, steps: int) -> Iterator[Step]:
        """Go on until ``steps`` are taken in all, or there is nothing left to do."""
        while self.taken < steps and not self.finished:
            left = steps - self.taken
            step = self.step()
            yield dataclasses.replace(step, taken=min(step.taken, left))

    def _gradients(self) -> tuple[Tensor, Tensor]:
        """Loss and image where the parameters are, with gradients; raises :class:`_NotFiniteError` on no numbers."""
        for parameter in self._parameters:
            parameter.grad = None
        loss, image = self._evaluate(self.taken)
        loss.backward()
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        if not (math.isfinite(loss.item()) and all(bool(torch.isfinite(g).all()) for g in gradients)):
            raise _NotFiniteError
        return loss, image.detach()

    def _go_back(self) -> None:
        """To where the loss last was a number, and on more slowly."""
        self._recoveries += 1
        if self._recoveries > _RECOVERIES:
            raise GanEditError(
                "not_finite", "The optimisation ran away and found no image.", "Lower the learning rate and try again."
            )
        _copy(self._good, self._parameters)


class Adam(Search):
    """By Adam with betas (.9, .999); ``rate(taken)`` is the learning rate after so many steps.

    Another loss keeps the moments. ``after_step`` may put the parameters back where they belong (noise to unit
    variance).
    """

    def __init__(
        self,
        parameters: Sequence[Tensor],
        evaluate: Evaluate,
        rate: Callable[[int], float],
        after_step: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(parameters, evaluate)
        self._rate, self._after_step = rate, after_step
        self._optimizer = self._fresh()

    def step(self) -> Step:
        while True:
            try:
                loss, image = self._gradients()
                break
            except _NotFiniteError:
                self._go_back()
                self._optimizer = self._fresh()  # its moments may be no numbers either
        _copy(self._parameters, self._good)
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate(self.taken) * 0.5**self._recoveries
        self._optimizer.step()
        self._after_step()
        self.taken += 1
        return Step(loss.item(), image)

    def _fresh(self) -> torch.optim.Adam:
        return torch.optim.Adam(self._parameters, betas=(0.9, 0.999))


class LBFGS(Search):
    """By L-BFGS with a strong Wolfe line search. Steps are evaluations of the loss, which is what costs time.

    Another loss begins without a history, which is that of the old one.
    """

    def __init__(self, parameters: Sequence[Tensor], evaluate: Evaluate) -> None:
        super().__init__(parameters, evaluate)
        self._optimizer = self._fresh()

    def step(self) -> Step:
        seen: list[tuple[float, Tensor]] = []

        def closure() -> Tensor:
            loss, image = self._gradients()
            seen.append((loss.item(), image))
            return loss

        while True:
            before = len(seen)
            try:
                self._optimizer.step(closure)
                break
            except _NotFiniteError:
                self._go_back()
                self._optimizer = self._fresh()
        _copy(self._parameters, self._good)
        self.taken += len(seen)
        self.finished = len(seen) - before == 1  # the line search found nothing to improve
        loss, image = min(seen[before:], key=lambda pair: pair[0])
        return Step(loss, image, len(seen))

    def retarget(self, evaluate: Evaluate) -> None:
        super().retarget(evaluate)
        self._optimizer = self._fresh()

    def _fresh(self) -> torch.optim.LBFGS:
        return torch.optim.LBFGS(
            self._parameters,
            lr=0.5**self._recoveries,
            max_iter=_LBFGS_ITERATIONS,
            history_size=20,
            line_search_fn="strong_wolfe",
            tolerance_change=1e-12,
        )


class _NotFiniteError(Exception):
    """The loss or a gradient is no number."""


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
        self._since += step.taken
        if step.loss < self._best * (1 - 1e-3):
            self._best, self._since = step.loss, 0
        return self._patience > 0 and self._since >= self._patience
