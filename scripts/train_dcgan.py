#!/usr/bin/env python3
"""Train a DCGAN generator on a folder or zip file of photos; run it again with the same folder to go on.

    scripts/train_dcgan.py my-run --photos my-photos.zip --until 60000

docs/training.md says what to expect.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from gan_edit_engine.generators.dcgan import DCGANConfig
from gan_edit_engine.training.dcgan import DCGANTrainer, new_dcgan
from gan_edit_engine.training.discriminators import ProjectedDiscriminator
from gan_edit_engine.training.photos import PhotoSource, load_photos, read_names
from gan_edit_engine.training.run import run
from gan_edit_engine.training.settings import TrainingSettings, changed
from gan_edit_engine.training.state import RunFolder
from gan_edit_engine.worker.device import choose_device
from gan_edit_protocol.errors import GanEditError

# The rates and the blur are the StyleGAN2 recipe's; the average is shorter, as such a run is.
RECIPE = TrainingSettings(blur_images=10_000, ema_half_life=3_000, sample_every=4_000, model_every=20_000)
# Channels of the last hidden layer; each one before it has twice as many (pytorch/examples' ngf).
WIDTH = 64


def make_trainer(settings: TrainingSettings, photos: torch.Tensor) -> DCGANTrainer:
    """A trainer at step 0 with a new generator and a new discriminator."""
    doublings = (settings.resolution // 8).bit_length() - 1
    config = DCGANConfig(channels=tuple(WIDTH << i for i in range(doublings, -1, -1)))
    generator = new_dcgan(config, settings.seed)
    discriminator = ProjectedDiscriminator(compute_dtype=settings.compute_dtype)
    return DCGANTrainer(settings, generator, discriminator, photos)


def train(
    folder: Annotated[Path, typer.Argument(help="Where the run keeps its state; made if missing, continued if not.")],
    photos: Annotated[Path, typer.Option(help="Folder or zip file of the photos.")],
    until: Annotated[int, typer.Option(help="Stop after so many images.")] = 60_000,
    exclude: Annotated[Path | None, typer.Option(help="List of photos to keep out, one name a line.")] = None,
    change: Annotated[list[str] | None, typer.Option("--set", help="NAME=VALUE of a training setting.")] = None,
    name: Annotated[str, typer.Option(help="Name of the model (a new run).")] = "",
    domain: Annotated[str, typer.Option(help="What the photos show (a new run).")] = "",
    provenance: Annotated[str, typer.Option(help="Where the photos come from (a new run).")] = "",
    align_points: Annotated[str, typer.Option(help="Where the photos have two points, as JSON (a new run).")] = "",
    device: Annotated[str | None, typer.Option(help="Where to train: cpu, cuda, mps or xpu.")] = None,
    threads: Annotated[int, typer.Option(help="Processor threads.")] = os.cpu_count() or 1,
) -> None:
    """Train, or go on."""
    torch.set_num_threads(threads)
    where = choose_device(device)
    run_folder = RunFolder(folder)
    texts = {"name": name, "domain": domain, "provenance": provenance, "align_points": align_points}
    header = {key: text for key, text in texts.items() if text}
    state: dict[str, Any] | None = None
    settings = RECIPE
    if run_folder.state.exists():
        saved = run_folder.load()
        header, state, settings = saved["header"], saved["state"], TrainingSettings(**saved["settings"])
    settings = changed(settings, change or [])
    pixels = load_photos(PhotoSource(photos), settings.resolution, read_names(exclude) if exclude else ())
    trainer = make_trainer(settings, pixels.to(where))
    if state is not None:
        trainer.load_state_dict(state)
    typer.echo(f"{len(pixels)} photos, {trainer.images} images seen in this run, going on until {until}.")
    run(trainer, run_folder, header, until)


def main() -> None:
    try:
        typer.run(train)
    except GanEditError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
