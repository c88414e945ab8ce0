"""What the official code computed from the golden checkpoints, and how closely it must be met."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

CHECKPOINTS = (
    "sg2ada_f_64.pkl",
    "sg2ada_auto_cond_32_full.pkl",
    "sg2ada_resnet_32.pkl",
    "sg3_sg2_32.pkl",
    "sg3t_32.pkl",
    "sg3r_32.pkl",
    "tf_sg2_32.pkl",
    "rosinality_converted_64.pt",
    "rosinality_trained_32.pt",
    "dcgan_nz100_ngf16.pth",
)
# Official outputs of this file carry the rounding of its half-precision blocks (see test_checkpoints_golden.py).
HALF_PRECISION = "sg2ada_auto_cond_32_full.pkl"


def tolerance(name: str) -> float:
    """Largest absolute difference from the official images, whose range is about -6..6."""
    if name.startswith(HALF_PRECISION.split(".")[0]):
        return 1e-2
    return 1e-3 if name.startswith(("sg3t", "sg3r")) else 1e-4


def outputs(checkpoint: Path) -> dict[str, Tensor]:
    """The arrays beside a golden checkpoint; z is [N, z_dim] also where the file has DCGAN's [N, z_dim, 1, 1]."""
    with np.load(checkpoint.with_suffix(".npz")) as arrays:
        found = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    found["z"] = found["z"].flatten(1)
    return found
