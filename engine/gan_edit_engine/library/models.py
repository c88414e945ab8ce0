"""Installed models: the embedded default and the safetensors files of the models folder."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
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
from gan_edit_engine.generators import Discriminator, Generator, build
from gan_edit_engine.library.downloads import sha256_of
from gan_edit_engine.library.models_folder import (
    AlignPoints,
    default_model_path,
    file_identity,
    find_model,
    model_files,
    model_name,
    models_dir,
    parse_align_points,
)
from gan_edit_engine.networks.digest import weights_digest
from gan_edit_engine.system.printable import printable


@dataclass(frozen=True)
class ModelInfo:
    """What is known of a model without its weights; what its file says is escaped where it does not print.

    ``align_points``: two points (x, y) in the unit square of the image (0, 0 top left) where the model expects the
    photo's alignment points, for instance the eyes; None when it needs no alignment. ``sha256`` is that of the file
    it was imported from, as its header says, or of its own file when it was not imported: nothing is kept under it.
    """

    name: str
    family: str
    resolution: int
    align_points: AlignPoints | None
    domain: str
    provenance: str
    licence: str
    sha256: str
    path: Path


@dataclass(frozen=True)
class Model:
    """A generator ready to use (float32, frozen, eval mode) and what is known of it.

    ``identity``: that of the file that was read, as `file_identity` gives it; empty for one that comes from no file.
    """

    generator: Generator
    info: ModelInfo
    identity: tuple[object, ...] = ()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the weights that are loaded and of what is computed with them, in hexadecimal."""
        told = f"{weights_digest(self.generator)} {self.generator.config}"
        return hashlib.sha256(told.encode()).hexdigest()


def installed(folder: Path | None = None) -> list[ModelInfo]:
    """The embedded model, then every readable model of the models folder by name; damaged files are left out."""
    found = [model_info(default_model_path())]
    for path in model_files(folder):
        try:
            found.append(model_info(path))
        except CheckpointError:
            continue  # `gan-edit models info FILE` says what is wrong with it.
    return found


def model_info(path: Path) -> ModelInfo:
    """What the header of a model file of this project tells; CheckpointError when it is damaged or incomplete."""
    return info_from_header(path, safetensors_file.read_header(path))


def info_from_header(path: Path, header: dict[str, str]) -> ModelInfo:
    """ModelInfo from a safetensors header; CheckpointError when an entry does not parse."""
    try:
        resolution = safetensors_file.decode_config(header).resolution
        align_points = parse_align_points(header.get("align_points"))
    except DAMAGE as error:
        raise CheckpointError(path, one_line(error)) from None
    return ModelInfo(
        name=model_name(path),
        family=header["architecture"],
        resolution=resolution,
        align_points=align_points,
        domain=printable(header.get("domain", "unknown")),
        provenance=printable(header.get("provenance", "unknown")),
        licence=printable(header.get("licence", "unknown")),
        sha256=printable(header.get("sha256") or sha256_of(path)),
        path=path,
    )


def weights_key(model: Model) -> str:
    """What is kept about a model, its photos' projections and what it was found to be like, is kept under this."""
    return model.digest


def open_model(name_or_file: str | Path, device: str | torch.device = "cpu", folder: Path | None = None) -> Model:
    """The model behind a name or a file, on ``device``.

    Raises GanEditError (unknown_model, bad_checkpoint) naming what is wrong.
    """
    path = find_model(name_or_file, folder)
    identity = _identity(path)  # before it is read: what takes its place meanwhile is then read the next time
    generator, header = read_generator(path)
    return Model(generator.to(device), info_from_header(path, header), identity)


def model_identity(name_or_file: str | Path, folder: Path | None = None) -> tuple[object, ...]:
    """The `file_identity` of what `open_model` would read now, whose errors it raises."""
    return _identity(find_model(name_or_file, folder))


def _identity(path: Path) -> tuple[object, ...]:
    try:
        return file_identity(path)
    except OSError as error:
        raise CheckpointError(path, f"it cannot be opened ({error.strerror})") from None


def outline(name_or_file: str | Path, folder: Path | None = None) -> tuple[str, Generator] | None:
    """A model's name and its generator without weights, on torch's meta device; None where no header tells.

    It takes no time, and tells of what latents and images the model is. GanEditError (unknown_model) if there is none.
    """
    path = find_model(name_or_file, folder)
    try:
        header = safetensors_file.read_header(path)
        with torch.device("meta"):
            return model_name(path), build(safetensors_file.decode_config(header))
    except (CheckpointError, *DAMAGE):
        return None  # another format, or damage of which loading it says more


def discriminator_path(name: str, folder: Path | None = None) -> Path:
    """Where the discriminator of an imported model is, if its file held one; not among the models."""
    return models_dir(folder) / "discriminators" / f"{name}.safetensors"


def open_discriminator(
    name_or_file: str | Path, device: str | torch.device = "cpu", folder: Path | None = None
) -> Discriminator:
    """The discriminator that was trained with a model, for feature losses: an imported model's, or a snapshot's own.

    Raises GanEditError (unknown_model, bad_checkpoint) when there is none.
    """
    path = _discriminator_source(name_or_file, folder)
    reads = discriminator_file.read if path == discriminator_path(path.stem, folder) else read_discriminator
    return reads(path).to(device)


def discriminator_identity(name_or_file: str | Path, folder: Path | None = None) -> tuple[object, ...]:
    """The `file_identity` of what `open_discriminator` would read now, whose errors it raises."""
    return _identity(_discriminator_source(name_or_file, folder))


def _discriminator_source(name_or_file: str | Path, folder: Path | None) -> Path:
    path = find_model(name_or_file, folder)
    imported = discriminator_path(path.stem, folder)
    return imported if path.parent == imported.parent.parent and imported.is_file() else path
