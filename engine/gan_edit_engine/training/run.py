"""The loop around the generator's steps: report, sample, save, and stop cleanly when asked."""

from __future__ import annotations

from dataclasses import asdict

from gan_edit_engine.checkpoints import safetensors_file
from gan_edit_engine.training.pace import Meter, StopRequest, passed
from gan_edit_engine.training.samples import fixed_latents, sample_images, save_grid
from gan_edit_engine.training.state import RunFolder
from gan_edit_engine.training.trainer import Trainer

GRID = (8, 8)


def run(trainer: Trainer, folder: RunFolder, header: dict[str, str], until: int) -> None:
    """Train until ``until`` images or SIGTERM/SIGINT; state, model and samples are written at the end in either case.

    Raises GanEditError when a loss is no longer a number; the last saved state is then from before.
    """
    settings = trainer.settings
    stop = StopRequest()
    meter = Meter()
    while trainer.images < until and not stop.asked:
        before = trainer.images
        meter.add(trainer.step())
        now = trainer.images
        if passed(settings.report_every, before, now):
            folder.report({"images": now, "steps": trainer.steps, **meter.read(settings.batch)})
        if now >= until or stop.asked:
            break  # what is due is written below
        if passed(settings.sample_every, before, now):
            write_samples(trainer, folder)
        if passed(settings.model_every, before, now):
            write_model(trainer, folder, header)
        if passed(settings.save_every, before, now):
            save_state(trainer, folder, header)
    save_state(trainer, folder, header)
    write_model(trainer, folder, header)
    write_samples(trainer, folder)


def save_state(trainer: Trainer, folder: RunFolder, header: dict[str, str]) -> None:
    """Settings, header of the models and the trainer's state."""
    folder.save({"settings": asdict(trainer.settings), "header": header, "state": trainer.state_dict()})


def write_samples(trainer: Trainer, folder: RunFolder) -> None:
    """A grid of the averaged generator's samples at fixed z, truncation 1."""
    columns, rows = GRID
    model = trainer.model()
    images = sample_images(model, fixed_latents(columns * rows, model.z_dim, seed=1))
    save_grid(folder.samples / f"{trainer.images:09d}.png", images, columns)


def write_model(trainer: Trainer, folder: RunFolder, header: dict[str, str]) -> None:
    """The averaged generator as a model file of the library."""
    seen = str(int(header.get("images_seen_before", "0")) + trainer.images)
    target = folder.models / f"{trainer.images:09d}.safetensors"
    safetensors_file.write(target, trainer.model(), {**header, "images_seen": seen})
