"""Latents in files: a safetensors file with one tensor ``latent`` [num_ws, w_dim], its model's name in the header."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from gan_edit_protocol.errors import GanEditError

TENSOR = "latent"


def write_latent(path: Path, latent: NDArray[np.float32], model: str) -> None:
    """Raises :class:`GanEditError` when the file cannot be written."""
    try:
        save_file({TENSOR: np.ascontiguousarray(latent, dtype=np.float32)}, path, {"model": model})
    except (OSError, SafetensorError) as error:
        raise GanEditError("bad_output", f"{path} cannot be written ({error}).") from None


def read_latent(path: Path) -> NDArray[np.float32]:
    """[num_ws, w_dim] float32; :class:`GanEditError` when the file holds no latent."""
    try:
        with safe_open(path, framework="numpy") as file:
            latent = file.get_tensor(TENSOR) if TENSOR in file.keys() else None  # noqa: SIM118 - not a dict
    except FileNotFoundError:
        raise GanEditError("bad_latent", f"There is no file {path}.") from None
    except (OSError, SafetensorError) as error:
        raise GanEditError("bad_latent", f"The file {path} is not a safetensors file ({error}).") from None
    if latent is None or latent.ndim != 2 or latent.dtype != np.float32:
        raise GanEditError(
            "bad_latent", f"The file {path} holds no latent.", "Use one that gan-edit wrote with --latent."
        )
    return np.asarray(latent, dtype=np.float32)
