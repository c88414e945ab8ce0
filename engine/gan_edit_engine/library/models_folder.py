"""Where model files are and what they are called. Free of torch, so that the service and the command line may ask."""

from __future__ import annotations

import json
import os
import stat
from importlib import resources
from pathlib import Path

import platformdirs

from gan_edit_engine.system.printable import printable
from gan_edit_protocol.errors import GanEditError

MODELS_DIR_VARIABLE = "GAN_EDIT_MODELS_DIR"
EARLIER_DEFAULT = "cats128"
"""The default before, which this one was grown from by the layers of its last block."""
EARLIER_LAYERS = 12
"""Of its latents in w+."""
# The model that comes with the package answers to its own names and, for what was made with it, to the one before.
DEFAULT_NAMES = ("default", "cats256", EARLIER_DEFAULT)
_MAX_HEADER = 4 << 20

AlignPoints = tuple[tuple[float, float], tuple[float, float]]
"""The two alignment points of a model, in the unit square."""


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


def is_installed(model: Path, folder: Path | None = None) -> bool:
    """Whether a model file answers to a name: the default's, or one that lies in the models folder as its models do."""
    named = model.suffix == ".safetensors" and model.absolute().parent == models_dir(folder).absolute()
    return named or model == default_model_path()


def file_identity(path: Path) -> tuple[str, int, int, int, int, int]:
    """What tells a file from another one that takes its place under its name; OSError when it is not there.

    A copy may have the size and the time of what it replaces, but not its number and the time of its last change,
    which nobody can set.
    """
    status = path.stat()
    times = status.st_mtime_ns, status.st_ctime_ns
    return os.path.abspath(path), status.st_dev, status.st_ino, status.st_size, *times


def model_files(folder: Path | None = None) -> list[Path]:
    """The model files of the models folder by name, unread. Pipes and devices are none, whatever they are called.

    No folder, or one that this user may not list, has none. Raises OSError when it cannot be listed now.
    """
    try:  # not glob(), which since Python 3.13 makes of every error a folder without files
        return sorted(p for p in models_dir(folder).iterdir() if p.match("*.safetensors") and p.is_file())
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


def model_name(path: Path) -> str:
    """The name of the model in a file: its stem, with what does not print escaped."""
    return printable(path.stem)


def model_names() -> tuple[str, ...]:
    """Every name that a request may give: "default", then the files of the models folder; OSError as model_files."""
    return ("default", *map(model_name, model_files()))


def is_file(path: Path) -> bool:
    """Whether there is such a file; a name that the system finds too long, or keeps from this user, is none."""
    try:
        return path.is_file()
    except OSError:
        return False


def model_argument(name: str) -> str:
    """What a request says for a name that a person gives: a file by its full path, as the engine runs elsewhere."""
    return str(Path(name).absolute()) if name not in model_names() and is_file(Path(name)) else name


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
    for path in model_files(folder):  # a name as it is shown, of a file whose own cannot be
        if model_name(path) == text:
            return path
    names = ", ".join((DEFAULT_NAMES[1], *map(model_name, model_files(folder))))
    raise GanEditError(
        "unknown_model",
        f"There is no model or file named {text[:300]!r}.",
        f"Installed models: {names}; or give a file.",
    )


def align_points(model: Path) -> AlignPoints | None:
    """The alignment points in the header of a model file; None where it names none, or is of another format.

    Raises ValueError when they cannot be, and OSError when the file cannot be read.
    """
    return parse_align_points(described(model).get("align_points"))


def described(model: Path) -> dict[str, str]:
    """What the header of a model file says of it; nothing where it is of another format.

    Raises ValueError when it is damaged, and OSError when the file cannot be read.
    """
    with model.open("rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return {}
        length = int.from_bytes(file.read(8), "little")
        header = file.read(length) if length <= _MAX_HEADER else b""
    if not header.startswith(b"{"):
        return {}
    about: dict[str, str] = json.loads(header).get("__metadata__", {})
    return about


def parse_align_points(text: str | None) -> AlignPoints | None:
    """Two points of the unit square from a header's JSON; ValueError when they cannot be."""
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
    if values[:2] == values[2:]:
        raise ValueError("its alignment points are one and the same")
    return (values[0], values[1]), (values[2], values[3])
