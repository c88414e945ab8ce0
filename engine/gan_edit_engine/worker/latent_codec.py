"""Latents, and the noise maps and residuals that belong to them, between messages and their generator."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gan_edit_engine.generators import Generator
from gan_edit_engine.imaging.arrays import from_message, to_message
from gan_edit_engine.inversion.invert import Inversion, NoiseMaps, Subject, psnr, synthesise
from gan_edit_engine.library.models import Model
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.messages import Array

_NOISE_ROW = 1024


def given_inversion(
    latent: Array, noise: Array | None, residual: Array | None, model: Model, subject: Subject
) -> Inversion:
    """The inversion that a request brings along; GanEditError when it is not one of ``model``."""
    generator, device = model.generator, subject.image.device
    check_latent(latent, noise, generator, model.info.name)
    ws = _tensor(latent, device)[None]
    maps = unpack_noise(noise, generator, device) if noise is not None else {}
    added = unpack_residual(residual, generator, device) if residual is not None else None
    with torch.no_grad():
        image = synthesise(generator, ws, maps, residual=added)
    return Inversion(ws, image, psnr(image, subject), noise=maps, residual=added)


def check_latent(latent: Array, noise: Array | None, generator: Generator, name: str) -> None:
    """GanEditError unless latent and noise are of the sizes of the generator of that name; it needs no weights."""
    if latent.shape != (generator.num_ws, generator.w_dim):
        raise GanEditError(
            "bad_latent",
            f"The given latent is {latent.shape}, {name} needs {(generator.num_ws, generator.w_dim)}.",
            "Use a latent that was found with the same model.",
        )
    if noise is not None and noise.shape != (-(-_noise_values(generator) // _NOISE_ROW), _NOISE_ROW):
        raise GanEditError("bad_latent", "The given noise is not this model's.", "Use what the same model gave.")


def pack_latent(ws: Tensor) -> Array:
    """ws [1, num_ws, w_dim] or z [1, z_dim] as a message's array without the first axis."""
    return to_message(ws[0].cpu().numpy().astype(np.float32))


def pack_noise(noise: NoiseMaps) -> Array | None:
    """All maps, flattened, in rows of 1024 (an array's sides are limited, its bytes are not); None without maps."""
    if not noise:
        return None
    values = torch.cat([value.flatten() for value in noise.values()]).cpu().numpy()
    return to_message(np.pad(values, (0, -len(values) % _NOISE_ROW)).reshape(-1, _NOISE_ROW))


def unpack_noise(packed: Array, generator: Generator, device: torch.device) -> NoiseMaps:
    """The maps [H, W] by name, of what :func:`check_latent` has passed."""
    shapes = {name: stored.shape for name, stored in generator.noise_consts().items()}
    values = _tensor(packed, device).flatten()
    maps = {}
    for name, shape in shapes.items():
        maps[name], values = values[: shape.numel()].reshape(shape), values[shape.numel() :]
    return maps


def pack_residual(residual: Tensor | None) -> Array | None:
    """[1, C, S, S] as the bits of half-precision numbers."""
    return None if residual is None else to_message(residual[0].cpu().numpy().astype(np.float16).view(np.uint16))


def unpack_residual(packed: Array, generator: Generator, device: torch.device) -> Tensor:
    """[1, C, S, S]; GanEditError when it is not of this generator's size."""
    if packed.shape != generator.residual_shape:
        raise GanEditError("bad_latent", "The given residual is not this model's.", "Use what the same model gave.")
    return torch.from_numpy(from_message(packed).view("<f2").astype(np.float32)).to(device)[None]


def _noise_values(generator: Generator) -> int:
    return sum(stored.numel() for stored in generator.noise_consts().values())


def _tensor(array: Array, device: torch.device) -> Tensor:
    return torch.from_numpy(from_message(array).astype(np.float32)).to(device)
