#!/usr/bin/env python3
"""Train an encoder (photo -> w+) for a generator; run it again with the same folder to go on.

    scripts/train_encoder.py my-encoder-run --model my-model.safetensors --photos my-photos.zip

Writes FOLDER/encoder.safetensors in half precision, and FOLDER/samples/N.png: the first photos kept out (--exclude)
above what the generator makes of the encoder's answers. docs/training.md says what to expect.
"""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from gan_edit_engine.checkpoints import safetensors_file
from gan_edit_engine.checkpoints.encoder_file import GENERATOR_DIGEST, USUAL_UNLIKENESS, load_encoder, save_encoder
from gan_edit_engine.inversion.familiar import usual_unlikeness
from gan_edit_engine.inversion.perceptual import load_perceptual
from gan_edit_engine.inversion.search_size import search_side
from gan_edit_engine.networks.digest import weights_digest
from gan_edit_engine.training.encoder_trainer import EncoderSettings, EncoderTrainer
from gan_edit_engine.training.pace import Meter, StopRequest, passed
from gan_edit_engine.training.photos import PhotoSource, load_photos, read_names, square_pixels
from gan_edit_engine.training.samples import save_grid, to_bytes
from gan_edit_engine.training.settings import changed
from gan_edit_engine.training.state import RunFolder
from gan_edit_engine.worker.device import choose_device
from gan_edit_protocol.errors import GanEditError

SHOWN = 10
AT_ONCE = 20


def save(trainer: EncoderTrainer, folder: RunFolder, header: dict[str, str], unseen: torch.Tensor) -> None:
    """The state to go on from, and the encoder as it is now with what is usual of it on byte photos [N, 3, R, R]."""
    folder.save({"settings": asdict(trainer.settings), "state": trainer.state_dict()})
    usual = usual_unlikeness(trainer.generator, trainer.encoder, unseen.float() / 127.5 - 1)
    about = {"images_seen": str(trainer.images), USUAL_UNLIKENESS: f"{usual:.3f}"}
    save_encoder(folder.path / "encoder.safetensors", trainer.encoder, {**header, **about})


@torch.no_grad()
def made_of(trainer: EncoderTrainer, photos: torch.Tensor) -> torch.Tensor:
    """The generator's images of the encoder's answers to photos [N, 3, S, S] in -1..1, of that size."""
    answers = [trainer.encoder(some) for some in photos.split(AT_ONCE)]
    return torch.cat([trainer.generator.small_image(ws, photos.shape[-1]).clamp(-1, 1) for ws in answers])


@torch.no_grad()
def distance(trainer: EncoderTrainer, photos: torch.Tensor) -> float:
    """The mean perceptual distance of byte photos [N, 3, S, S] from their reconstructions, at their full size."""
    unit = photos.float() / 127.5 - 1
    parts = zip(unit.split(AT_ONCE), made_of(trainer, unit).split(AT_ONCE), strict=True)
    found = [
        trainer.perceptual.loss(b, trainer.perceptual.target(a, torch.ones_like(a[:, :1]))).item() * len(a)
        for a, b in parts
    ]
    return sum(found) / len(photos)


@torch.no_grad()
def show(trainer: EncoderTrainer, folder: RunFolder, photos: torch.Tensor) -> None:
    """A PNG of byte photos [N, 3, R, R] above their reconstructions."""
    images = made_of(trainer, photos.float() / 127.5 - 1)
    save_grid(folder.samples / f"{trainer.images:09d}.png", torch.cat([photos, to_bytes(images)]), len(photos))


def run(trainer: EncoderTrainer, folder: RunFolder, header: dict[str, str], unseen: torch.Tensor, every: int) -> None:
    """Train to the settings' end or SIGTERM/SIGINT, reporting and saving every so many images."""
    stop, meter = StopRequest(), Meter()
    while trainer.images < trainer.settings.images and not stop.asked:
        before = trainer.images
        meter.add(trainer.step())
        if passed(every, before, trainer.images):
            metrics = meter.read(trainer.settings.batch)
            folder.report({"images": trainer.images, **metrics, "unseen_perceptual": distance(trainer, unseen)})
            save(trainer, folder, header, unseen)
            show(trainer, folder, unseen[:SHOWN])
    save(trainer, folder, header, unseen)
    show(trainer, folder, unseen[:SHOWN])


def train(
    folder: Annotated[Path, typer.Argument(help="Where the run keeps its state; made if missing, continued if not.")],
    model: Annotated[Path, typer.Option(help="The generator's model file.")],
    photos: Annotated[Path, typer.Option(help="Folder or zip file of photos cropped as the generator's were.")],
    exclude: Annotated[Path, typer.Option(help="List of photos to keep out of the training, one name a line.")],
    init: Annotated[
        Path | None, typer.Option(help="Encoder of an earlier state of this generator to begin with (a new run).")
    ] = None,
    images: Annotated[int, typer.Option(help="Length of a new run in images.")] = EncoderSettings.images,
    every: Annotated[int, typer.Option(help="Report and save after so many images.")] = 4_000,
    change: Annotated[list[str] | None, typer.Option("--set", help="NAME=VALUE of a training setting.")] = None,
    device: Annotated[str | None, typer.Option(help="Where to train: cpu, cuda, mps or xpu.")] = None,
    bf16: Annotated[bool, typer.Option("--bf16", help="Compute in bfloat16, where the processor has units.")] = False,
    threads: Annotated[int, typer.Option(help="Processor threads.")] = os.cpu_count() or 1,
) -> None:
    """Train, or go on."""
    torch.set_num_threads(threads)
    run_folder, source, kept_out = RunFolder(folder), PhotoSource(photos), read_names(exclude)
    where = choose_device(device)
    generator, found = safetensors_file.read(model)
    generator.requires_grad_(False).eval().to(where)
    saved = run_folder.load() if run_folder.state.exists() else None
    settings = EncoderSettings(**saved["settings"]) if saved else replace(EncoderSettings(), images=images, bf16=bf16)
    settings = changed(settings, change or [])
    side = search_side(generator)
    pixels = load_photos(source, side, kept_out).to(where)
    perceptual = load_perceptual("auto", where, dtype=torch.bfloat16 if settings.bf16 else torch.float32)
    trainer = EncoderTrainer(settings, generator, perceptual, pixels)
    if saved:
        trainer.load_state_dict(saved["state"])
    elif init is not None:
        trainer.take_over(load_encoder(init)[0])
    unseen = [square_pixels(source.open(name), side) for name in kept_out]
    header = {
        "model": found.get("name", model.stem),
        "model_images_seen": found.get("images_seen", ""),
        GENERATOR_DIGEST: weights_digest(generator),
    }
    run(trainer, run_folder, header, torch.from_numpy(np.stack(unseen)).to(where), every)


def main() -> None:
    try:
        typer.run(train)
    except GanEditError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
