"""The loop around the steps: report, sample, save, and stop cleanly when asked."""

from __future__ import annotations

import math
import signal
import time
from dataclasses import dataclass
from types import FrameType

from gan_edit_engine.checkpoints import safetensors_file
from gan_edit_engine.training.samples import fixed_latents, sample_images, save_grid
from gan_edit_engine.training.start import set_w_avg
from gan_edit_engine.training.state import RunFolder
from gan_edit_engine.training.trainer import Metrics, Trainer
from gan_edit_protocol.errors import GanEditError

GRID = (8, 8)


@dataclass(frozen=True)
class Schedule:
    """How often, in images; ``until`` is the image count at which the run ends."""

    until: int
    report_every: int = 800
    save_every: int = 4_000
    sample_every: int = 8_000
    model_every: int = 16_000


class Meter:
    """Mean of each metric since the last reading, and the speed."""

    def __init__(self) -> None:
        self._rows: list[Metrics] = []
        self._since = time.monotonic()

    def add(self, metrics: Metrics) -> None:
        self._rows.append(metrics)

    def read(self, batch: int) -> Metrics:
        """Means over the steps since the last call, with images_per_second; starts afresh."""
        seconds = time.monotonic() - self._since
        columns = {name: [row[name] for row in self._rows if name in row] for name in self._rows[-1]}
        means = {name: math.fsum(values) / len(values) for name, values in columns.items()}
        means["images_per_second"] = batch * len(self._rows) / seconds
        self.__init__()  # type: ignore[misc]
        return means


def run(trainer: Trainer, folder: RunFolder, header: dict[str, str], schedule: Schedule) -> None:
    """Train until ``schedule.until`` images or SIGTERM/SIGINT; the state is saved at the end in either case.

    Raises GanEditError when a loss is no longer a number; the last saved state is then from before.
    """
    stop = _StopRequest()
    meter = Meter()
    while trainer.images < schedule.until and not stop.asked:
        before = trainer.images
        meter.add(_checked(trainer.step()))
        after = trainer.images

        def due(every: int, before: int = before, after: int = after) -> bool:
            return after // every > before // every

        if due(schedule.report_every):
            folder.report({"images": after, "steps": trainer.steps, **meter.read(trainer.settings.batch)})
        if due(schedule.sample_every):
            write_samples(trainer, folder)
        if due(schedule.model_every):
            write_model(trainer, folder, header)
        if due(schedule.save_every):
            folder.save(trainer.settings, header, trainer.state_dict())
    folder.save(trainer.settings, header, trainer.state_dict())


def write_samples(trainer: Trainer, folder: RunFolder) -> None:
    """A grid of the averaged generator's samples at fixed z, truncation 1."""
    columns, rows = GRID
    z = fixed_latents(columns * rows, trainer.average.z_dim, seed=1)
    images = sample_images(trainer.average, z)
    save_grid(folder.samples / f"{trainer.images:09d}.png", images, columns)


def write_model(trainer: Trainer, folder: RunFolder, header: dict[str, str]) -> None:
    """The averaged generator as a model file of the library."""
    set_w_avg(trainer.average)
    seen = str(int(header.get("images_seen_before", "0")) + trainer.images)
    safetensors_file.write(
        folder.models / f"{trainer.images:09d}.safetensors", trainer.average, {**header, "images_seen": seen}
    )


def _checked(metrics: Metrics) -> Metrics:
    if not all(math.isfinite(v) for v in metrics.values()):
        raise GanEditError("diverged", "The training diverged: a loss is no longer a number.", "Lower the rates.")
    return metrics


class _StopRequest:
    """Turns SIGTERM and SIGINT into a flag, so that the step in progress and the saving complete."""

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGINT, self._ask)

    def _ask(self, signum: int, frame: FrameType | None) -> None:
        self.asked = True
