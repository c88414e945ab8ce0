"""Running a search, which yields Steps, to its end."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

from gan_edit_engine.optimize import Step

ResultT = TypeVar("ResultT")


def finish(steps: Generator[Step, None, ResultT]) -> ResultT:
    """What the search returns."""
    return follow(steps)[1]


def follow(steps: Generator[Step, None, ResultT]) -> tuple[list[float], ResultT]:
    """The loss of each step, and what the search returns."""
    losses: list[float] = []
    while True:
        try:
            losses.append(next(steps).loss)
        except StopIteration as end:
            return losses, end.value
