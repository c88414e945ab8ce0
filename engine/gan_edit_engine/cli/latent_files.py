"""Latents in files: a safetensors file with a tensor ``latent`` [num_ws, w_dim], its model's name in the header.

Where they are known, also ``noise``, the noise maps that belong to the latent (rows of 1024 values), ``residual``
[C, S, S], that of the model's features (half precision), and ``z`` [z_dim], of which the latent was made with the
truncation that the header names.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from gan_edit_engine.cli.latent_arrays import is_npz, read_arrays
from gan_edit_engine.library.models_folder import DEFAULT_NAMES
from gan_edit_engine.system.atomic_write import check_place, replacing
from gan_edit_engine.system.printable import printable
from gan_edit_protocol.errors import GanEditError

_ROOM = 1 << 20
DIMENSIONS = {"latent": 2, "noise": 2, "residual": 3, "z": 1}
_HALF = ("residual",)


@dataclass(frozen=True)
class KeptLatent:
    """``latent`` [num_ws, w_dim], ``noise`` [rows, 1024] and ``z`` [z_dim], all float32.

    ``residual`` [C, S, S] is float16.
    """

    latent: NDArray[np.float32]
    noise: NDArray[np.float32] | None = None
    z: NDArray[np.float32] | None = None
    truncation_psi: float = 1.0
    model: str = ""
    residual: NDArray[np.float16] | None = None


def write_latent(path: Path, kept: KeptLatent) -> None:
    """Written whole or not at all; :class:`GanEditError` (bad_output) when that is impossible."""
    found = {name: getattr(kept, name) for name in DIMENSIONS}
    tensors = {name: np.ascontiguousarray(v, _dtype(name)) for name, v in found.items() if v is not None}
    content = save(tensors, {"model": kept.model, "truncation_psi": repr(kept.truncation_psi)})
    with replacing(path) as part:
        part.write_bytes(content)


def check_latent_output(path: Path, *others: Path) -> None:
    """Before any work: GanEditError unless ``path`` can become a latent file that replaces none of the ``others``."""
    if any(os.path.realpath(path) == os.path.realpath(other) for other in others):
        raise GanEditError("bad_output", f"{path} is to be written twice.", "Give --latent a name of its own.")
    check_place(path, _ROOM)


def read_latent_of(path: Path, model: str) -> KeptLatent:
    """What :func:`read_latent` reads; :class:`GanEditError` when it is of another model than ``model``, name or file.

    Two models' latents often have the same shape, and one's are noise to the other.
    """
    kept = read_latent(path)
    names = DEFAULT_NAMES if model in DEFAULT_NAMES else (Path(model).stem,)
    if kept.model and kept.model not in names:
        raise GanEditError(
            "bad_latent",
            f"The latent in {path} is of the model {printable(kept.model)}, not {model}.",
            f"Add --model {printable(kept.model)}, or use another latent.",
        )
    return kept


def read_latent(path: Path) -> KeptLatent:
    """What :func:`write_latent` wrote, or the one latent ws or w [1, num_ws, w_dim] of another program's .npz.

    :class:`GanEditError` when the file holds no latent, or values that are no numbers.
    """
    try:
        kept = _read_npz(path) if is_npz(path) else _read_safetensors(path)
    except FileNotFoundError:
        raise GanEditError("bad_latent", f"There is no file {path}.") from None
    except (OSError, SafetensorError, ValueError) as error:
        raise GanEditError("bad_latent", f"The file {path} is not a safetensors file ({error}).") from None
    arrays = (kept.latent, kept.noise, kept.z, kept.residual)
    if not all(values is None or np.isfinite(values).all() for values in arrays):
        raise GanEditError("bad_latent", f"The latent in {path} holds values that are no numbers.", "Use another one.")
    return kept


def _read_safetensors(path: Path) -> KeptLatent:
    with safe_open(path, framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys() if name in DIMENSIONS}  # noqa: SIM118
        header = file.metadata() or {}
    truncation_psi = float(header.get("truncation_psi", 1.0))
    proper = all(t.ndim == DIMENSIONS[name] and t.dtype == _dtype(name) for name, t in tensors.items())
    if "latent" not in tensors or not proper or not math.isfinite(truncation_psi):
        raise _no_latent(path)
    return KeptLatent(**tensors, truncation_psi=truncation_psi, model=header.get("model", ""))


def _dtype(name: str) -> type[np.floating]:
    return np.float16 if name in _HALF else np.float32


def _read_npz(path: Path) -> KeptLatent:
    arrays = read_arrays(path, ("ws", "w"))
    latent = arrays.get("ws", arrays.get("w"))
    if latent is not None and latent.ndim == 3 and len(latent) > 1:
        raise GanEditError("bad_latent", f"The file {path} holds {len(latent)} latents.", "Give one with just one.")
    if latent is None or latent.ndim not in (2, 3) or latent.size == 0:
        raise _no_latent(path)
    return KeptLatent(latent[0] if latent.ndim == 3 else latent)


def _no_latent(path: Path) -> GanEditError:
    return GanEditError("bad_latent", f"The file {path} holds no latent.", "Use one that gan-edit wrote with --latent.")
