"""Where model files are and what they are called. Free of torch, so that the service and the command line may ask."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

import platformdirs

MODELS_DIR_VARIABLE = "GAN_EDIT_MODELS_DIR"
# The model that comes with the package answers to both names.
DEFAULT_NAMES = ("default", "cats128")


def models_dir(chosen: Path | None = None) -> Path:
    """The models folder: ``chosen``, else the environment's GAN_EDIT_MODELS_DIR, else the user's data folder."""
    if chosen is not None:
        return chosen
    variable = os.environ.get(MODELS_DIR_VARIABLE)
    return Path(variable) if variable else Path(platformdirs.user_data_dir("gan-edit", appauthor=False)) / "models"


def default_model_path() -> Path:
    """The file of the embedded default model."""
    return Path(str(resources.files("gan_edit_engine"))) / "data" / f"{DEFAULT_NAMES[1]}.safetensors"


def encoder_path(model: Path, folder: Path | None = None) -> Path | None:
    """Where the encoder of a model file is, if it has one; None for a file that is not installed: it never has."""
    if model == default_model_path():
        return model.with_name(f"{model.stem}-encoder.safetensors")
    if model.parent == models_dir(folder):
        return model.parent / "encoders" / model.name
    return None


def model_files(folder: Path | None = None) -> list[Path]:
    """The model files of the models folder by name, unread; a model's name is its file's stem.

    No folder, or one that this user may not list, has none. Raises OSError when it cannot be listed now.
    """
    try:  # not glob(), which since Python 3.13 makes of every error a folder without files
        return sorted(path for path in models_dir(folder).iterdir() if path.match("*.safetensors"))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


def model_names() -> tuple[str, ...]:
    """Every name that a request may give: "default", then the files of the models folder; OSError as model_files."""
    return ("default", *(path.stem for path in model_files()))


def is_file(path: Path) -> bool:
    """Whether there is such a file; a name that the system finds too long, or keeps from this user, is none."""
    try:
        return path.is_file()
    except OSError:
        return False
