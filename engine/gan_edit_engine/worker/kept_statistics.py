"""What a model was found to be like, kept on disk: a freshly started engine's first edit does not explore it anew.

One safetensors file for each model and class, with a digest of its own content: from a file that is damaged nothing is
taken, and the model is explored again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from gan_edit_engine.inversion.axes import Axes, Frame
from gan_edit_engine.inversion.kin import FeatureStatistics
from gan_edit_engine.inversion.latents import Statistics
from gan_edit_engine.library.models import Model, weights_key
from gan_edit_engine.system.atomic_write import replacing
from gan_edit_protocol.errors import GanEditError

KEPT = 8
"""Files that are kept, 15 MB for the default's 12 layers of 512; those that were not used for longest go first."""
_FORMAT = "3"  # goes up whenever what a file holds, or how it is found, changes
_ALWAYS = ("mean", "p_mean", "p_whitening", "basis")
_NUMBERS = ("std", "w_slope")


def statistics_file(folder: Path, model: Model, class_label: int, device: torch.device) -> Path:
    """Where they are kept. Devices do not round alike, and the same request gives the same image on the same device."""
    key = json.dumps([_FORMAT, weights_key(model), class_label, device.type])
    return folder / f"{hashlib.sha256(key.encode()).hexdigest()}.safetensors"


def write_statistics(file: Path, statistics: Statistics) -> None:
    """Keep them; a disk that is full or read-only costs only the time to find them again."""
    tensors = {name: value.cpu().contiguous() for name, value in _tensors(statistics).items()}
    with suppress(OSError, GanEditError):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with replacing(file) as part:
            numbers = {name: repr(getattr(statistics, name)) for name in _NUMBERS}
            save_file(tensors, part, {**numbers, "sha256": _digest(tensors)})
        _forget_oldest(file.parent)


def read_statistics(file: Path, device: torch.device) -> Statistics | None:
    """What :func:`write_statistics` wrote, on ``device``; None when there is nothing, or it is damaged."""
    try:
        with safe_open(file, framework="pt") as content:
            found = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118 - not a dict
            header = content.metadata() or {}
        if header["sha256"] != _digest(found):
            return None
        os.utime(file)
        tensors = {name: value.to(device) for name, value in found.items()}
        plain = {name: tensors[name] for name in _ALWAYS}
        std, w_slope = (float(header[name]) for name in _NUMBERS)
        axes, features = _axes(tensors), _features(tensors)
    except (OSError, SafetensorError, ValueError, KeyError):
        return None
    return Statistics(**plain, std=std, w_slope=w_slope, axes=axes, features=features)


def _tensors(statistics: Statistics) -> dict[str, Tensor]:
    tensors = {name: getattr(statistics, name) for name in _ALWAYS}
    if statistics.axes is not None:
        for name, frame in (("w", statistics.axes.w), ("w_plus", statistics.axes.w_plus)):
            tensors |= {f"axes.{name}": frame.axes, f"reach.{name}": frame.reach}
    if statistics.features is not None:
        tensors |= {f"features.mean.{side}": value for side, value in statistics.features.mean.items()}
        tensors |= {f"features.std.{side}": value for side, value in statistics.features.std.items()}
        # A family that shows no features has none of any side: that, too, was found out.
        tensors["features"] = torch.zeros(1)
    return tensors


def _axes(tensors: Mapping[str, Tensor]) -> Axes | None:
    if "axes.w" not in tensors:
        return None
    return Axes(*(Frame(tensors[f"axes.{name}"], tensors[f"reach.{name}"]) for name in ("w", "w_plus")))


def _features(tensors: Mapping[str, Tensor]) -> FeatureStatistics | None:
    if "features" not in tensors:
        return None
    return FeatureStatistics(*(_by_side(tensors, f"features.{name}.") for name in ("mean", "std")))


def _by_side(tensors: Mapping[str, Tensor], prefix: str) -> dict[int, Tensor]:
    found = {int(name.removeprefix(prefix)): value for name, value in tensors.items() if name.startswith(prefix)}
    return dict(sorted(found.items()))


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}\n".encode())
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()


def _forget_oldest(folder: Path) -> None:
    files = sorted(folder.glob("*.safetensors"), key=lambda path: path.stat().st_mtime)
    for path in files[:-KEPT]:
        path.unlink(missing_ok=True)
