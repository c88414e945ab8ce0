"""Turning any supported checkpoint into the project's own format, after which its name works everywhere."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from gan_edit_engine.checkpoints import (
    CheckpointError,
    discriminator_file,
    read_discriminator,
    read_generator,
    safetensors_file,
)
from gan_edit_engine.library.downloads import sha256_of
from gan_edit_engine.library.encoders import forget_other_encoder
from gan_edit_engine.library.models import ModelInfo, discriminator_path, model_info
from gan_edit_engine.library.models_folder import DEFAULT_NAMES, encoder_path, models_dir
from gan_edit_engine.system.atomic_write import check_place, make_folder
from gan_edit_protocol.errors import GanEditError


@dataclass(frozen=True)
class Description:
    """What the user or the catalogue knows of a model that its file does not say; empty entries are left alone.

    ``align_points`` is JSON: [[x1, y1], [x2, y2]] in the unit square.
    """

    domain: str = ""
    provenance: str = ""
    licence: str = ""
    align_points: str = ""

    def header(self) -> dict[str, str]:
        """The entries that are not empty, under their names in the model file's header."""
        return {name: value for name, value in vars(self).items() if value}


def import_model(
    file: Path, name: str | None = None, description: Description | None = None, folder: Path | None = None
) -> ModelInfo:
    """Convert ``file`` to ``NAME.safetensors`` in the models folder (its stem when no name is given).

    The discriminator of a training snapshot is kept beside it for feature losses; the encoder of an earlier model of
    that name stays only if it belongs to these weights. Raises GanEditError (bad_checkpoint, bad_name, bad_output) and
    leaves an existing model of that name as it was.
    """
    name = checked_name(file.stem if name is None else name)
    target = models_dir(folder) / f"{name}.safetensors"
    make_folder(target.parent)
    for place in (target, discriminator_path(name, folder)):
        _check_is_no_pipe(place)
    check_place(target)
    generator, header = read_generator(file)
    known = {"provenance": f"imported from {file.name}", "licence": "unknown"}
    given = (description or Description()).header()
    # A model that was trained further has its parent's header.
    own = {"sha256": sha256_of(file), "name": name}
    safetensors_file.write(target, generator, {**known, **header, **given, **own})
    _import_discriminator(file, discriminator_path(name, folder))
    forget_other_encoder(target, generator, folder)
    return model_info(target)


def _check_is_no_pipe(path: Path) -> None:
    """GanEditError (bad_output) where something else than a file is, such as a pipe that nobody reads from."""
    if path.exists() and not path.is_file():
        raise GanEditError("bad_output", f"{path} is no file.", "Delete it, or choose another name with --name.")


def _import_discriminator(file: Path, target: Path) -> None:
    """Keep the snapshot's discriminator, or forget that of an earlier model of the same name."""
    try:
        discriminator = read_discriminator(file)
    except CheckpointError:
        target.unlink(missing_ok=True)
        return  # most model files hold none, and the model works without
    make_folder(target.parent)
    discriminator_file.write(target, discriminator)


def checked_name(name: str) -> str:
    """``name`` if it can name a model; GanEditError (bad_name) otherwise."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}", name):
        raise GanEditError(
            "bad_name", f"{name!r} cannot name a model.", "Use letters, digits, dots, dashes and underscores (--name)."
        )
    if name in DEFAULT_NAMES:
        raise GanEditError("bad_name", f"{name!r} is the embedded model's name.", "Choose another one with --name.")
    return name


def remove_model(name: str, folder: Path | None = None) -> Path:
    """Delete an imported model, its discriminator and its encoder; the file's path. GanEditError when there is none."""
    path = models_dir(folder) / f"{checked_name(name)}.safetensors"
    if not path.is_file():
        raise GanEditError("unknown_model", f"There is no imported model named {name!r} in {path.parent}.")
    path.unlink()
    discriminator_path(name, folder).unlink(missing_ok=True)
    encoder = encoder_path(path, folder)
    if encoder is not None:
        encoder.unlink(missing_ok=True)
    return path
