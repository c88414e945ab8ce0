"""Latents in the .npz files of other programs, such as the official projector's ``projected_w.npz``."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gan_edit_protocol.errors import GanEditError

# Where a file holds several, the first of these is taken: the one closest to the image.
LATENT_NAMES = ("ws", "w", "z")
MAX_INPUT_BYTES = 1 << 30
_ZIP = b"PK\x03\x04"


def is_npz(path: Path) -> bool:
    """Whether a file begins as an .npz does; OSError when it cannot be read."""
    with path.open("rb") as file:
        return file.read(len(_ZIP)) == _ZIP


def read_arrays(path: Path, names: tuple[str, ...]) -> dict[str, NDArray[np.float32]]:
    """Those of the named arrays in an .npz that are there, as float32; nothing pickled is ever read.

    :class:`GanEditError` (bad_input) when the file is none, or not of numbers.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_INPUT_BYTES:
                raise GanEditError("bad_input", f"{path.name} holds more than a gigabyte of latents.", "Split it.")
        with np.load(path, allow_pickle=False) as arrays:
            return {name: np.array(arrays[name], dtype=np.float32) for name in names if name in arrays.files}
    except FileNotFoundError:
        raise GanEditError("bad_input", f"There is no file {path.name}.") from None
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise GanEditError("bad_input", f"{path.name} is not a readable .npz of numbers ({reason[:120]}).") from None
