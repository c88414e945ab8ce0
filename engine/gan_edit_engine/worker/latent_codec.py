"""Latents, and the noise maps and residuals that belong to them, between the protocol and their generator."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan_edit_engine.generators import Generator
from gan_edit_engine.imaging.arrays import from_message, to_message
from gan_edit_engine.inversion.subject import Drawing, Inversion, NoiseMaps, Subject, psnr, synthesise
from gan_edit_engine.library.models import Model
from gan_edit_protocol.arrays import Array
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.latent import Latent

_NOISE_ROW = 1024


def given_inversion(latent: Latent, model: Model, subject: Subject) -> Inversion:
    """The inversion that a request brings along; GanEditError when it is not one of ``model``."""
    generator, device = model.generator, subject.image.device
    check_latent(latent, generator, model.info.name)
    ws = _tensor(latent.ws, device)[None]
    maps = {} if latent.noise is None else _unpack_noise(latent.noise, generator, device)
    added = None if latent.residual is None else _unpack_residual(latent.residual, generator, device)
    with torch.no_grad():
        image = synthesise(generator, ws, Drawing(maps, added))
    return Inversion(ws, image, psnr(image, subject), noise=maps, residual=added)


def check_latent(latent: Latent, generator: Generator, name: str) -> None:
    """GanEditError unless ws and noise are of the sizes of the generator of that name; it needs no weights."""
    if latent.ws.shape != (generator.num_ws, generator.w_dim):
        raise GanEditError(
            "bad_latent",
            f"The given latent is {latent.ws.shape}, {name} needs {(generator.num_ws, generator.w_dim)}.",
            "Use a latent that was found with the same model.",
        )
    rows = -(-_noise_values(generator) // _NOISE_ROW)
    if latent.noise is not None and latent.noise.shape != (rows, _NOISE_ROW):
        raise GanEditError("bad_latent", "The given noise is not this model's.", "Use what the same model gave.")


def grown_noise(packed: Array, generator: Generator, layers: int) -> Array:
    """The packed maps of a generator that has the first ``layers`` of this one's, and for the others this one's own.

    What is not of that size stays as it is.
    """
    maps = [stored.flatten().cpu().numpy() for stored in generator.noise_consts().values()]
    there = sum(len(values) for values in maps[: layers - 1])  # the last layer is a ToRGB's, which has no noise
    if packed.shape != (-(-there // _NOISE_ROW), _NOISE_ROW):
        return packed
    return _in_rows(np.concatenate([from_message(packed).flatten()[:there], *maps[layers - 1 :]]))


def latent_of(inversion: Inversion) -> Latent:
    """What was found, with all that belongs to it."""
    return Latent(
        ws=pack_values(inversion.ws),
        noise=_pack_noise(inversion.noise),
        residual=_pack_residual(inversion.residual),
        z=None if inversion.z is None else pack_values(inversion.z),
    )


def pack_values(latent: Tensor) -> Array:
    """ws [1, num_ws, w_dim] or z [1, z_dim] as a message's array without the first axis."""
    return to_message(latent[0].cpu().numpy().astype(np.float32))


def _pack_noise(noise: NoiseMaps) -> Array | None:
    """All maps, flattened, in rows; None without maps."""
    return _in_rows(torch.cat([value.flatten() for value in noise.values()]).cpu().numpy()) if noise else None


def _in_rows(values: NDArray[np.float32]) -> Array:
    """In rows of 1024: an array's sides are limited, its bytes are not."""
    return to_message(np.pad(values, (0, -len(values) % _NOISE_ROW)).reshape(-1, _NOISE_ROW))


def _unpack_noise(packed: Array, generator: Generator, device: torch.device) -> NoiseMaps:
    """The maps [H, W] by name, of what :func:`check_latent` has passed."""
    shapes = {name: stored.shape for name, stored in generator.noise_consts().items()}
    values = _tensor(packed, device).flatten()
    maps = {}
    for name, shape in shapes.items():
        maps[name], values = values[: shape.numel()].reshape(shape), values[shape.numel() :]
    return maps


def _pack_residual(residual: Tensor | None) -> Array | None:
    """[1, C, S, S] as the bits of half-precision numbers."""
    return None if residual is None else to_message(residual[0].cpu().numpy().astype(np.float16).view(np.uint16))


def _unpack_residual(packed: Array, generator: Generator, device: torch.device) -> Tensor:
    """[1, C, S, S]; GanEditError when it is not of this generator's size."""
    if packed.shape != generator.residual_shape:
        raise GanEditError("bad_latent", "The given residual is not this model's.", "Use what the same model gave.")
    return torch.from_numpy(from_message(packed).view("<f2").astype(np.float32)).to(device)[None]


def _noise_values(generator: Generator) -> int:
    return sum(stored.numel() for stored in generator.noise_consts().values())


def _tensor(array: Array, device: torch.device) -> Tensor:
    return torch.from_numpy(from_message(array).astype(np.float32)).to(device)
