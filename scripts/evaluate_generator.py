#!/usr/bin/env python3
"""Fréchet distances and diversity of a generator against photos, all measured at 64 px.

    gan-edit models pull vgg16-lpips
    scripts/evaluate_generator.py my-model.safetensors --photos my-photos.zip

Prints one JSON line: ``vgg16`` (spatial mean of conv5_3; the figure to compare, since no training looks through that
network), ``lite0`` (EfficientNet-lite0 at strides 16 and 32, which the projected discriminator does look through) and
the mean LPIPS between pairs of samples and between pairs of photos. None of them is the Inception FID.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from gan_edit_engine.checkpoints import safetensors_file
from gan_edit_engine.library.perceptual_files import perceptual_weights
from gan_edit_engine.networks.lpips import Lpips
from gan_edit_engine.training.evaluation import SIDE, Lite0Features, Vgg16Features, all_features, diversity
from gan_edit_engine.training.frechet import Moments, frechet_distance, moments
from gan_edit_engine.training.photos import PhotoSource, load_photos
from gan_edit_engine.training.samples import fixed_latents, sample_images
from gan_edit_engine.worker.device import choose_device
from gan_edit_protocol.errors import GanEditError

LATENT_SEED = 1000
Figures = dict[str, float]


class Measure:
    """The three measures, with what they say of the photos."""

    def __init__(self, photos: torch.Tensor, vgg16: Lpips, pairs: int, cache: Path | None) -> None:
        """``photos`` [N, 3, 64, 64] bytes; their features are kept in the folder ``cache`` for the next call."""
        self._networks = {"vgg16": Vgg16Features(vgg16), "lite0": Lite0Features().to(photos.device)}
        self._vgg16, self._pairs, self._photos, self._cache = vgg16, pairs, photos, cache
        self._features = {name: self._of_photos(name) for name in self._networks}

    def _of_photos(self, name: str) -> np.ndarray:
        file = self._cache / f"{name}.npy" if self._cache else None
        if file and file.exists():
            return np.load(file, allow_pickle=False)
        found = all_features(self._networks[name], self._photos)
        if file:
            file.parent.mkdir(parents=True, exist_ok=True)
            np.save(file, found)
        return found

    def of_photo_halves(self) -> Figures:
        """Distances of one random half of the photos from the other: what no generator can be expected to beat."""
        order = np.random.default_rng(0).permutation(len(self._photos))
        halves = np.array_split(order, 2)
        found = {}
        for name, features in self._features.items():
            found[name] = frechet_distance(*(moments(features[half]) for half in halves))
        return found

    def of_samples(self, samples: torch.Tensor) -> Figures:
        """Distances and diversity of byte images [N, 3, R, R]."""
        found = {}
        for name, network in self._networks.items():
            ours: Moments = moments(all_features(network, samples))
            found[name] = frechet_distance(ours, moments(self._features[name]))
        found["lpips_of_pairs"] = diversity(self._vgg16, samples, self._pairs)
        found["lpips_of_photo_pairs"] = diversity(self._vgg16, self._photos, self._pairs)
        return found


def evaluate(
    models: Annotated[list[Path], typer.Argument(help="Model files (.safetensors of this project).")],
    photos: Annotated[Path, typer.Option(help="Folder or zip file of the photos to compare with.")],
    samples: Annotated[int, typer.Option(help="Samples per model.")] = 5_000,
    pairs: Annotated[int, typer.Option(help="Pairs for the diversity.")] = 500,
    cache: Annotated[
        Path | None, typer.Option(help="Folder that keeps the photos' features for the next call.")
    ] = None,
    halves: Annotated[bool, typer.Option(help="Also compare the photos with themselves, half against half.")] = False,
    device: Annotated[str | None, typer.Option(help="Where to measure: cpu, cuda, mps or xpu.")] = None,
    threads: Annotated[int, typer.Option(help="Processor threads.")] = 2,
) -> None:
    """Measure each model."""
    torch.set_num_threads(threads)
    where = choose_device(device)
    pixels = load_photos(PhotoSource(photos), SIDE).to(where)
    vgg16 = Lpips(safetensors_file.read_tensors(perceptual_weights("vgg16-lpips"))).to(where)
    measure = Measure(pixels, vgg16, pairs, cache)
    if halves:
        print_figures("photos, half against half", measure.of_photo_halves())
    for path in models:
        generator, header = safetensors_file.read(path)
        images = sample_images(generator.to(where), fixed_latents(samples, generator.z_dim, LATENT_SEED))
        seen = float(header.get("images_seen", "nan"))
        print_figures(str(path), {"images_seen": seen, **measure.of_samples(images)})


def print_figures(subject: str, figures: Figures) -> None:
    """One JSON line."""
    typer.echo(json.dumps({"model": subject, **{name: round(value, 4) for name, value in figures.items()}}))


def main() -> None:
    try:
        typer.run(evaluate)
    except GanEditError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
