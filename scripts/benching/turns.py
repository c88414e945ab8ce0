"""How cases are timed: they take turns, so that a machine that slows down slows all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

Case = Callable[[], Any]
Group = dict[str, Case]


def measure(group: Group, rounds: int, device: torch.device) -> Iterator[tuple[str, float]]:
    """The median milliseconds of each case."""
    seconds: dict[str, list[float]] = {name: [] for name in group}
    for number in range(rounds + 2):  # the first two warm up
        for name, run in group.items():
            started = time.perf_counter()
            run()
            wait_for(device)
            if number >= 2:
                seconds[name].append(time.perf_counter() - started)
    for name, times in seconds.items():
        yield name, 1000 * statistics.median(times)


def seconds_of(run: Case, device: torch.device) -> float:
    """Of the processor, which may have other work to do; where ``device`` is another, until that is done."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    started = clock()
    run()
    wait_for(device)
    return clock() - started


def wait_for(device: torch.device) -> None:
    """Until a device that computes on its own has done what it was asked for."""
    if device.type != "cpu":
        torch.accelerator.synchronize()
