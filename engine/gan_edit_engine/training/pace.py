"""What every training loop needs around its steps: means of the metrics, regular events, a clean stop."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Mapping
from types import FrameType

import torch
from torch import Tensor

from gan_edit_protocol.errors import GanEditError

Metrics = dict[str, float]


class Meter:
    """Mean of each metric since the last reading, and the speed."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._rows: list[Metrics] = []
        self._since = time.monotonic()
        self._processor_since = time.process_time()

    def add(self, metrics: Metrics) -> None:
        """Take in one step's metrics; GanEditError when one of them is no longer a number."""
        if not all(math.isfinite(value) for value in metrics.values()):
            raise GanEditError("diverged", "The training diverged: a loss is no longer a number.", "Lower the rates.")
        self._rows.append(metrics)

    def read(self, batch: int) -> Metrics:
        """Means over the steps since the last call, with images per second and per second of processor time.

        The latter says how fast the training is whatever else the machine does. Starts afresh.
        """
        seconds = time.monotonic() - self._since
        processor_seconds = time.process_time() - self._processor_since
        images = batch * len(self._rows)
        columns = {name: [row[name] for row in self._rows if name in row] for name in self._rows[-1]}
        means = {name: math.fsum(values) / len(values) for name, values in columns.items()}
        means |= {"images_per_second": images / seconds, "images_per_processor_second": images / processor_seconds}
        self._start()
        return means


def numbers(found: Mapping[str, Tensor]) -> Metrics:
    """One step's metrics of their tensors, all at once: a graphics card is waited for with each that is asked of it."""
    return dict(zip(found, torch.stack([*found.values()]).detach().cpu().tolist(), strict=True))


def falling(share: float) -> float:
    """What is left of a rate, 1..0 along a cosine, when this ``share`` of the images is seen."""
    return 0.5 * (1 + math.cos(math.pi * share))


def passed(every: int, before: int, now: int) -> bool:
    """Whether a multiple of ``every`` lies in (before, now]."""
    return now // every > before // every


class StopRequest:
    """Turns SIGTERM and SIGINT into a flag, so that the step in progress and the saving complete."""

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGINT, self._ask)

    def _ask(self, signum: int, frame: FrameType | None) -> None:
        self.asked = True
