"""Installed models: the embedded default and the safetensors files of the models folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch

from gan_edit_engine.checkpoints import (
    CheckpointError,
    discriminator_file,
    read_discriminator,
    read_generator,
    safetensors_file,
)
from gan_edit_engine.checkpoints.errors import DAMAGE, one_line
from gan_edit_engine.generators import Discriminator, Generator
from gan_edit_engine.library.downloads import sha256_of
from gan_edit_engine.models_folder import DEFAULT_NAMES, default_model_path, is_file, model_files, models_dir
from gan_edit_protocol.errors import GanEditError

Point = tuple[float, float]


@dataclass(frozen=True)
class ModelInfo:
    """What is known of a model without its weights.

    ``align_points``: two points (x, y) in the unit square of the image (0, 0 top left) where the model expects the
    photo's alignment points, for instance the eyes; None when it needs no alignment. ``sha256`` is that of the file
    it was imported from, or of its own file when it was not imported.
    """

    name: str
    family: str
    resolution: int
    align_points: tuple[Point, Point] | None
    domain: str
    provenance: str
    licence: str
    sha256: str
    path: Path


@dataclass(frozen=True)
class Model:
    """A generator ready to use (float32, frozen, eval mode) and what is known of it."""

    generator: Generator
    info: ModelInfo


def installed(folder: Path | None = None) -> list[ModelInfo]:
    """The embedded model, then every readable model of the models folder by name; damaged files are left out."""
    found = [model_info(default_model_path())]
    for path in model_files(folder):
        try:
            found.append(model_info(path))
        except CheckpointError:
            continue  # `gan-edit models info FILE` says what is wrong with it.
    return found


def find_model(name_or_file: str | Path, folder: Path | None = None) -> Path:
    """The file behind "default", an installed model's name, or a path; GanEditError when there is none."""
    text = str(name_or_file)
    if text in DEFAULT_NAMES:
        return default_model_path()
    named = models_dir(folder) / f"{text}.safetensors"
    if Path(text).name == text and is_file(named):
        return named
    if is_file(Path(text)):
        return Path(text)
    names = ", ".join(info.name for info in installed(folder))
    raise GanEditError(
        "unknown_model", f"There is no model or file named {text!r}.", f"Installed models: {names}; or give a file."
    )


def model_info(path: Path) -> ModelInfo:
    """What the header of a model file of this project tells; CheckpointError when it is damaged or incomplete."""
    return info_from_header(path, safetensors_file.read_header(path))


def info_from_header(path: Path, header: dict[str, str]) -> ModelInfo:
    """ModelInfo from a safetensors header; CheckpointError when an entry does not parse."""
    try:
        resolution = safetensors_file.decode_config(header).resolution
        align_points = _parse_align_points(header.get("align_points"))
    except DAMAGE as error:
        raise CheckpointError(path, one_line(error)) from None
    return ModelInfo(
        name=path.stem,
        family=header["architecture"],
        resolution=resolution,
        align_points=align_points,
        domain=header.get("domain", "unknown"),
        provenance=header.get("provenance", "unknown"),
        licence=header.get("licence", "unknown"),
        sha256=header.get("sha256") or sha256_of(path),
        path=path,
    )


def _parse_align_points(text: str | None) -> tuple[Point, Point] | None:
    if text is None or text == "none":
        return None
    points = json.loads(text)
    try:
        (x1, y1), (x2, y2) = points
        values = [float(v) for v in (x1, y1, x2, y2)]
    except (TypeError, ValueError):
        raise ValueError("its alignment points are not two pairs of numbers") from None
    if not all(0 <= v <= 1 for v in values):
        raise ValueError("its alignment points lie outside of the unit square")
    return (values[0], values[1]), (values[2], values[3])


def open_model(name_or_file: str | Path, device: str | torch.device = "cpu", folder: Path | None = None) -> Model:
    """The model behind a name or a file, on ``device``.

    Raises GanEditError (unknown_model, bad_checkpoint) naming what is wrong.
    """
    path = find_model(name_or_file, folder)
    generator, header = read_generator(path)
    return Model(generator.to(device), info_from_header(path, header))


def discriminator_path(name: str, folder: Path | None = None) -> Path:
    """Where the discriminator of an imported model is, if its file held one; not among the models."""
    return models_dir(folder) / "discriminators" / f"{name}.safetensors"


def open_discriminator(
    name_or_file: str | Path, device: str | torch.device = "cpu", folder: Path | None = None
) -> Discriminator:
    """The discriminator that was trained with a model, for feature losses: an imported model's, or a snapshot's own.

    Raises GanEditError (unknown_model, bad_checkpoint) when there is none.
    """
    path = find_model(name_or_file, folder)
    imported = discriminator_path(path.stem, folder)
    if path.parent == imported.parent.parent and imported.is_file():
        return discriminator_file.read(imported).to(device)
    return read_discriminator(path).to(device)
