"""`gan-edit synthesize`: images of given latents, exactly as the model makes them, for scripts and for checks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gan_edit_engine.generators import Generator
from gan_edit_engine.imaging.latent_arrays import LATENT_NAMES, read_arrays
from gan_edit_engine.library.models import open_model
from gan_edit_engine.system.atomic_write import check_place, replacing
from gan_edit_protocol.errors import GanEditError

NOISES = ("const", "none")
BATCH = 4
BYTES = 4  # of a float32


def synthesize(
    model: str | Path,
    input_file: Path,
    output_file: Path,
    noise: str = "const",
    device: str = "cpu",
) -> int:
    """Write the images of the latents in ``input_file`` to ``output_file``; the number of images.

    The input is an .npz with `ws` [N, num_ws, w_dim], `w` [N, w_dim] or, as the official projector writes it,
    [N, num_ws, w_dim], or `z` [N, z_dim] (the first of these that is there), and for `z` of a conditional model `c`
    [N, classes]. Truncation is 1. The output is an .npz with `image` float32 [N, 3, H, W], nominally in -1..1 and not
    clipped; a gray model's channel is repeated.
    Raises GanEditError (bad_input, bad_output, bad_checkpoint, unknown_model) with one plain sentence.
    """
    if noise not in NOISES:
        raise GanEditError("bad_input", f"Noise must be {' or '.join(NOISES)}, not {noise!r}.")
    check_place(output_file)
    arrays = {n: torch.from_numpy(values) for n, values in read_arrays(input_file, (*LATENT_NAMES, "c")).items()}
    generator = open_model(model, device).generator
    with torch.inference_mode():
        try:
            ws = _latents(generator, arrays, device)
            check_place(output_file, len(ws) * 3 * generator.resolution**2 * BYTES)
            parts = [generator.synthesis(part, noise=noise).float().cpu() for part in ws.split(BATCH)]
        except ValueError as error:
            raise GanEditError("bad_input", f"{input_file.name} does not fit the model: {error}") from None
    images = torch.cat(parts).expand(-1, 3, -1, -1).numpy()
    _write(output_file, images)
    return len(images)


def _latents(generator: Generator, arrays: dict[str, Tensor], device: str) -> Tensor:
    """ws [N, num_ws, w_dim] on ``device``; ValueError naming the expected shapes."""
    name = next((name for name in LATENT_NAMES if name in arrays), None)
    if name is None:
        raise ValueError(f"it holds none of the arrays {', '.join(LATENT_NAMES)}.")
    latent = arrays[name].to(device)
    if latent.ndim == 0 or len(latent) == 0 or not torch.isfinite(latent).all():
        raise ValueError(f"{name} holds no latents, or numbers that are not finite.")
    if name == "ws":
        return latent
    if name == "w":
        if latent.shape[1:] == (generator.num_ws, generator.w_dim):
            return latent
        if latent.ndim != 2 or latent.shape[1] != generator.w_dim:
            either = f"[N, {generator.w_dim}] or [N, {generator.num_ws}, {generator.w_dim}]"
            raise ValueError(f"w must be {either}, not {list(latent.shape)}.")
        return latent[:, None].repeat(1, generator.num_ws, 1)
    # DCGAN code keeps z as [N, z_dim, 1, 1].
    z = latent.flatten(1) if latent.shape[2:] == (1, 1) else latent
    classes = arrays["c"].to(device) if "c" in arrays else None
    return generator.mapping(z, classes)


def _write(path: Path, images: np.ndarray) -> None:
    with replacing(path) as part, part.open("wb") as file:
        np.savez(file, image=images)
