"""The losses on a search's way."""

from __future__ import annotations

from collections.abc import Generator

from gan_edit_engine.inversion.optimize import ResultT, Step, result_of


def follow(steps: Generator[Step, None, ResultT]) -> tuple[list[float], ResultT]:
    """The loss of each step, and what the search returns."""
    losses: list[float] = []
    return losses, result_of(steps, lambda step: losses.append(step.loss))
