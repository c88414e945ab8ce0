"""Latents in files: a safetensors file with a tensor ``latent`` [num_ws, w_dim], its model's name in the header.

Where they are known, also ``noise``, the noise maps that belong to the latent (rows of 1024 values), ``residual``
[C, S, S], that of the model's features (half precision), and ``z`` [z_dim], of which the latent was made with the
truncation that the header names. A PNG that carries its latent is read, too.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from gan_edit_engine.imaging.arrays import from_message, to_message
from gan_edit_engine.imaging.latent_arrays import is_npz, read_arrays
from gan_edit_engine.imaging.latent_notes import is_png, latent_in
from gan_edit_engine.library.models_folder import DEFAULT_NAMES
from gan_edit_engine.system.atomic_write import check_place, replacing
from gan_edit_engine.system.printable import printable
from gan_edit_protocol.arrays import Array
from gan_edit_protocol.errors import GanEditError, WireError
from gan_edit_protocol.latent import PARTS, WS, Latent

_ROOM = 1 << 20


def write_latent(path: Path, latent: Latent) -> None:
    """Written whole or not at all; :class:`GanEditError` (bad_output) when that is impossible."""
    arrays, header = latent.to_file()
    content = save({name: _values(array) for name, array in arrays.items()}, header)
    with replacing(path) as part:
        part.write_bytes(content)


def check_latent_output(path: Path, *others: Path) -> None:
    """Before any work: GanEditError unless ``path`` can become a latent file that replaces none of the ``others``."""
    if any(os.path.realpath(path) == os.path.realpath(other) for other in others):
        raise GanEditError("bad_output", f"{path} is to be written twice.", "Give --latent a name of its own.")
    check_place(path, _ROOM)


def read_latent_of(path: Path, model: str) -> Latent:
    """What :func:`read_latent` reads; :class:`GanEditError` when it is of another model than ``model``, name or file.

    Two models' latents often have the same shape, and one's are noise to the other.
    """
    latent = read_latent(path)
    names = DEFAULT_NAMES if model in DEFAULT_NAMES else (Path(model).stem,)
    if latent.model and latent.model not in names:
        raise GanEditError(
            "bad_latent",
            f"The latent in {path} is of the model {printable(latent.model)}, not {model}.",
            f"Add --model {printable(latent.model)}, or use another latent.",
        )
    return latent


def read_latent(path: Path) -> Latent:
    """What :func:`write_latent` wrote, what a PNG carries, or the one latent ws or w [1, num_ws, w_dim] of an .npz.

    :class:`GanEditError` when the file holds no latent, or values that are no numbers.
    """
    try:
        latent = _read(path)
    except FileNotFoundError:
        raise GanEditError("bad_latent", f"There is no file {path}.") from None
    except WireError:
        raise _no_latent(path) from None
    except (OSError, SafetensorError, ValueError) as error:
        raise GanEditError("bad_latent", f"The file {path} is not a safetensors file ({error}).") from None
    arrays, _ = latent.to_file()
    if not all(np.isfinite(_values(array)).all() for array in arrays.values()):
        raise GanEditError("bad_latent", f"The latent in {path} holds values that are no numbers.", "Use another one.")
    return latent


def _read(path: Path) -> Latent:
    if is_npz(path):
        return _read_npz(path)
    with path.open("rb") as file:
        if is_png(file.read(8)):
            return _read_png(path)
    return _read_safetensors(path)


def _read_png(path: Path) -> Latent:
    try:
        latent = latent_in(path.read_bytes(), str(path))
    except ValueError:
        latent = None
    if latent is None:
        raise _no_latent(path)
    return latent


def _read_safetensors(path: Path) -> Latent:
    with safe_open(path, framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys() if name in (WS, *PARTS)}  # noqa: SIM118
        header = file.metadata() or {}
    return Latent.from_file({name: _array(values) for name, values in tensors.items()}, header)


def _values(array: Array) -> NDArray[np.generic]:
    """As a file holds them: the bits of half-precision numbers as those numbers."""
    values = from_message(array)
    return values.view(np.float16) if array.dtype == "uint16" else values


def _array(values: NDArray[np.generic]) -> Array:
    """The other way round; WireError for what is no float."""
    if values.dtype not in (np.float16, np.float32):
        raise WireError(f"A latent has no values of type {values.dtype}.")
    return to_message(values.view(np.uint16) if values.dtype == np.float16 else values)


def _read_npz(path: Path) -> Latent:
    arrays = read_arrays(path, ("ws", "w"))
    latent = arrays.get("ws", arrays.get("w"))
    if latent is not None and latent.ndim == 3 and len(latent) > 1:
        raise GanEditError("bad_latent", f"The file {path} holds {len(latent)} latents.", "Give one with just one.")
    if latent is None or latent.ndim not in (2, 3) or latent.size == 0:
        raise _no_latent(path)
    return Latent(to_message(latent[0] if latent.ndim == 3 else latent))


def _no_latent(path: Path) -> GanEditError:
    return GanEditError("bad_latent", f"The file {path} holds no latent.", "Use one that gan-edit wrote with --latent.")
