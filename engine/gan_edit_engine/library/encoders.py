"""Encoders of models: each belongs to one generator's weights, which its header names by their digest."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from gan_edit_engine.checkpoints import CheckpointError, safetensors_file
from gan_edit_engine.checkpoints.encoder_file import GENERATOR_DIGEST, USUAL_UNLIKENESS, load_encoder
from gan_edit_engine.generators import Generator
from gan_edit_engine.library.downloads import sha256_of
from gan_edit_engine.library.models import Model, open_model
from gan_edit_engine.library.models_folder import DEFAULT_NAMES, encoder_path, models_dir
from gan_edit_engine.networks.digest import weights_digest
from gan_edit_engine.networks.encoder import Encoder
from gan_edit_engine.system.atomic_write import make_folder, replacing
from gan_edit_protocol.errors import GanEditError


@dataclass(frozen=True)
class ModelEncoder:
    """A frozen encoder on the device of its model; ``sha256`` is that of its file.

    ``usual_unlikeness``: what the unlikeness of its answers seldom exceeds; None where the file does not say.
    """

    network: Encoder
    sha256: str
    usual_unlikeness: float | None = None


def attach_encoder(name: str, file: Path, folder: Path | None = None) -> Path:
    """Install a copy of ``file`` as the encoder of the imported model ``name``, in place of an earlier one.

    Returns the copy's path. Raises GanEditError (unknown_model, bad_checkpoint, wrong_encoder, bad_output) and
    changes nothing when there is no such model, or the file is no encoder or belongs to other weights.
    """
    if name in DEFAULT_NAMES or not (models_dir(folder) / f"{name}.safetensors").is_file():
        raise GanEditError(
            "unknown_model",
            f"There is no imported model named {name!r}.",
            "Import it first: gan-edit models import FILE --name NAME",
        )
    model = open_model(name, folder=folder)
    target = encoder_path(model.info.path, folder)
    assert target is not None  # the model lies in the models folder
    check_encoder(file, name, model.generator)
    make_folder(target.parent)
    with replacing(target) as part:
        shutil.copyfile(file, part)
    return target


def open_encoder(model: Model, folder: Path | None = None) -> ModelEncoder | None:
    """The model's encoder on the generator's device; None when the model has none.

    Raises GanEditError (bad_checkpoint, wrong_encoder) when there is one that is damaged or belongs to other weights.
    It is not passed over in silence then: the person would only see that projections have become worse.
    """
    file = encoder_path(model.info.path, folder)
    if file is None or not file.is_file():
        return None
    network = check_encoder(file, model.info.name, model.generator)
    device = next(model.generator.parameters()).device
    return ModelEncoder(network.to(device), sha256_of(file), _usual(safetensors_file.read_header(file)))


def _usual(header: dict[str, str]) -> float | None:
    """None where the header does not say, or says nonsense: then nothing is compared with it."""
    try:
        value = float(header[USUAL_UNLIKENESS])
    except (KeyError, ValueError):
        return None
    return value if 0 < value < 2 else None


def check_encoder(file: Path, name: str, generator: Generator) -> Encoder:
    """The encoder in ``file`` if it belongs to ``generator``, which people know as ``name``; else as `open_encoder`."""
    encoder, header = load_encoder(file)
    if not belongs(header, generator) or encoder.answer_shape != (generator.num_ws, generator.w_dim):
        raise GanEditError(
            "wrong_encoder",
            f"The encoder {file.name} was trained for other weights than those of {name}.",
            f"Train one for this model (scripts/train_encoder.py) and run: gan-edit models encoder {name} FILE; "
            "or set start to mean.",
        )
    return encoder


def belongs(header: dict[str, str], generator: Generator) -> bool:
    """Whether the header of an encoder names the weights of ``generator``."""
    return header.get(GENERATOR_DIGEST) == weights_digest(generator)


def forget_other_encoder(model: Path, generator: Generator, folder: Path | None = None) -> None:
    """Delete the encoder of the model file ``model`` unless it belongs to ``generator``, the weights it has now."""
    file = encoder_path(model, folder)
    if file is None or not file.is_file():
        return
    try:
        fits = belongs(safetensors_file.read_header(file), generator)
    except CheckpointError:
        fits = False
    if not fits:
        file.unlink()
