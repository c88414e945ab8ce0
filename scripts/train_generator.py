#!/usr/bin/env python3
"""Train a StyleGAN2 generator on a folder or zip file of photos; run it again with the same folder to go on.

    scripts/train_generator.py my-run --photos my-photos.zip --resolution 64
    scripts/train_generator.py my-run --photos my-photos.zip            # goes on where it stopped
    scripts/train_generator.py my-detail --photos my-photos.zip --resolution 128 --set discriminator=detail --init MODEL

docs/training.md says what to expect.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from gan_edit_engine.checkpoints import safetensors_file
from gan_edit_engine.generators.discriminator import DiscriminatorConfig
from gan_edit_engine.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from gan_edit_engine.training.detail import DetailTrainer
from gan_edit_engine.training.discriminators import (
    DetailDiscriminator,
    Discriminator,
    ProjectedDiscriminator,
    StyleGAN2Discriminator,
)
from gan_edit_engine.training.photos import PhotoSource, load_photos, read_names
from gan_edit_engine.training.run import run
from gan_edit_engine.training.settings import TrainingSettings, changed
from gan_edit_engine.training.start import grown, new_generator
from gan_edit_engine.training.state import RunFolder
from gan_edit_engine.training.trainer import Trainer
from gan_edit_engine.worker.device import choose_device
from gan_edit_protocol.errors import GanEditError, SettingError

Header = dict[str, str]


def begin(settings: TrainingSettings, init: Path | None, header: Header) -> tuple[StyleGAN2, Header]:
    """The generator to train and the header of its models; SettingError when it cannot be trained so."""
    if init is None:
        if settings.discriminator == "detail":
            raise SettingError("Only a trained generator can get more detail.", "Name one with --init.")
        config = StyleGAN2Config(resolution=settings.resolution, channel_base=4096, channel_max=192, mapping_layers=2)
        return new_generator(config, settings.seed), header
    trained, found = read_trained(init)
    return grown(trained, settings.resolution, settings.seed), {**found, **header}


def read_trained(path: Path) -> tuple[StyleGAN2, Header]:
    """A model to train further and its header, with the images it has seen as those before the run."""
    trained, found = safetensors_file.read(path)
    if not isinstance(trained, StyleGAN2):
        raise SettingError(f"{path} holds no StyleGAN2.", "Only StyleGAN2 generators can be trained further.")
    if trained.c_dim or trained.image_channels != 3:
        hint = "Only generators of colour images without classes can be trained further."
        raise SettingError(f"The generator in {path} needs a class or draws in grey.", hint)
    return trained, {**found, "images_seen_before": found.get("images_seen", "0")}


def untrained(header: Header) -> StyleGAN2:
    """A generator of the shape that the header of a run says."""
    config = safetensors_file.decode_config(header)
    assert isinstance(config, StyleGAN2Config)  # train() wrote it
    return StyleGAN2(config)


def make_trainer(settings: TrainingSettings, generator: StyleGAN2, photos: torch.Tensor) -> Trainer:
    """A trainer at step 0 with a new discriminator."""
    torch.manual_seed(settings.seed)
    kind = DetailTrainer if settings.discriminator == "detail" else Trainer
    return kind(settings, generator, new_discriminator(settings, generator), photos)


def new_discriminator(settings: TrainingSettings, generator: StyleGAN2) -> Discriminator:
    """Of the kind that the settings name; SettingError when there is no such kind."""
    if settings.discriminator == "projected":
        return ProjectedDiscriminator(compute_dtype=settings.compute_dtype)
    if settings.discriminator == "detail":
        return DetailDiscriminator(width=32, hidden=64, compute_dtype=settings.compute_dtype)
    if settings.discriminator == "stylegan2":
        shape = generator.config
        return StyleGAN2Discriminator(
            DiscriminatorConfig(shape.resolution, channel_base=shape.channel_base, channel_max=shape.channel_max)
        )
    raise SettingError(f"There is no discriminator {settings.discriminator!r}.", "Known: projected, stylegan2, detail.")


def train(
    folder: Annotated[Path, typer.Argument(help="Where the run keeps its state; made if missing, continued if not.")],
    photos: Annotated[Path, typer.Option(help="Folder or zip file of the photos.")],
    until: Annotated[int, typer.Option(help="Stop after so many images.")] = 1_000_000,
    resolution: Annotated[int, typer.Option(help="Side of the images in pixels (a new run).")] = 64,
    init: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Model file to train further or grow (a new run), or to put below the detail.",
        ),
    ] = None,
    exclude: Annotated[Path | None, typer.Option(help="List of photos to keep out, one name a line.")] = None,
    change: Annotated[list[str] | None, typer.Option("--set", help="NAME=VALUE of a training setting.")] = None,
    name: Annotated[str, typer.Option(help="Name of the model (a new run).")] = "",
    domain: Annotated[str, typer.Option(help="What the photos show (a new run).")] = "",
    provenance: Annotated[str, typer.Option(help="Where the photos come from (a new run).")] = "",
    device: Annotated[str | None, typer.Option(help="Where to train: cpu, cuda, mps or xpu.")] = None,
    threads: Annotated[int, typer.Option(help="Processor threads.")] = os.cpu_count() or 1,
) -> None:
    """Train, or go on."""
    torch.set_num_threads(threads)
    where = choose_device(device)
    run_folder = RunFolder(folder)
    header = {k: v for k, v in {"name": name, "domain": domain, "provenance": provenance}.items() if v}
    state: dict[str, Any] | None = None
    if run_folder.state.exists():
        saved = run_folder.load()
        header, state = saved["header"], saved["state"]
        settings = changed(TrainingSettings(**saved["settings"]), change or [])
        generator = untrained(header)
    else:
        settings = changed(TrainingSettings(resolution=resolution), change or [])
        generator, header = begin(settings, init, header)
    header |= safetensors_file.encode_config("stylegan2", generator.config)
    pixels = load_photos(PhotoSource(photos), settings.resolution, read_names(exclude) if exclude else ())
    trainer = make_trainer(settings, generator, pixels.to(where))
    if state is not None:
        trainer.load_state_dict(state)
        if init is not None and isinstance(trainer, DetailTrainer):
            trained, found = read_trained(init)
            trainer.initialise_from(trained)
            header["images_seen_before"] = found["images_seen_before"]
    typer.echo(f"{len(pixels)} photos, {trainer.images} images seen in this run, going on until {until}.")
    run(trainer, run_folder, header, until)


def main() -> None:
    try:
        typer.run(train)
    except GanEditError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
