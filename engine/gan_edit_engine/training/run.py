"""The loop around the steps: report, sample, save, and stop cleanly when asked."""

from __future__ import annotations

import math
import signal
import time
from types import FrameType

from gan_edit_engine.checkpoints import safetensors_file
from gan_edit_engine.training.samples import fixed_latents, sample_images, save_grid
from gan_edit_engine.training.start import set_w_avg
from gan_edit_engine.training.state import RunFolder
from gan_edit_engine.training.trainer import Metrics, Trainer
from gan_edit_protocol.errors import GanEditError

GRID = (8, 8)


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


def run(trainer: Trainer, folder: RunFolder, header: dict[str, str], until: int) -> None:
    """Train until ``until`` images or SIGTERM/SIGINT; the state is saved at the end in either case.

    Raises GanEditError when a loss is no longer a number; the last saved state is then from before.
    """
    settings = trainer.settings
    stop = _StopRequest()
    meter = Meter()
    while trainer.images < until and not stop.asked:
        before = trainer.images
        meter.add(_checked(trainer.step()))
        now = trainer.images
        if _passed(settings.report_every, before, now):
            folder.report({"images": now, "steps": trainer.steps, **meter.read(settings.batch)})
        if _passed(settings.sample_every, before, now):
            write_samples(trainer, folder)
        if _passed(settings.model_every, before, now):
            write_model(trainer, folder, header)
        if _passed(settings.save_every, before, now):
            folder.save(settings, header, trainer.state_dict())
    folder.save(settings, header, trainer.state_dict())


def _passed(every: int, before: int, now: int) -> bool:
    """Whether a multiple of ``every`` lies in (before, now]."""
    return now // every > before // every


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
