"""``gan-edit interpolate``: moving pictures between latents, and several latents put together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from gan_edit_engine.animation import check_animation, write_animation
from gan_edit_engine.arrays import from_message, to_message
from gan_edit_engine.cli_edit import AsJson, Assignments, Device, ModelName, model_argument
from gan_edit_engine.cli_progress import progress_bar
from gan_edit_engine.latent_files import KeptLatent, read_latent, write_latent
from gan_edit_engine.session import engine
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.messages import InterpolateRequest
from gan_edit_protocol.settings import InterpolateSettings


def interpolate(
    latent_files: Annotated[
        list[Path],
        typer.Argument(metavar="LATENT...", help="Latent files, as --latent of the other commands writes them."),
    ],
    output: Annotated[
        Path, typer.Option(help="A .gif, .webp or .mp4; or a .png with the images side by side (one: the image).")
    ],
    model: ModelName = "default",
    assignments: Assignments = None,
    rate: Annotated[float, typer.Option(min=0.1, max=120, help="Images per second.")] = 12.0,
    latent: Annotated[
        Path | None, typer.Option(help="Also write the last image's latent to this safetensors file.")
    ] = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Draw the way between latents, or cross them, or transfer what one has over another."""
    check_animation(output)
    settings = InterpolateSettings.from_assignments(assignments or [])
    request = InterpolateRequest(to_message(_stack(latent_files)), model_argument(model), settings)
    with engine(device) as client, progress_bar() as (show, cancelled):
        result = client.run(request, show, cancelled)
    frames = np.asarray(from_message(result.frames), np.uint8)
    write_animation(output, frames, rate)
    if latent is not None:
        last = np.asarray(from_message(result.latents), np.float32)[-1]
        write_latent(latent, KeptLatent(last, model=result.model))
    about = {"seconds": result.seconds, "frames": len(frames), "model": result.model, "device": result.device}
    if as_json:
        print(json.dumps({**about, "output": str(output), "latent": None if latent is None else str(latent)}))
    else:
        print(f"{output}: {len(frames)} images with {result.model}")


def _stack(files: list[Path]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    latents = [read_latent(file).latent for file in files]
    if len({latent.shape for latent in latents}) != 1:
        raise GanEditError("bad_latent", "The latents are not all of one shape.", "Use latents of one model.")
    return np.stack(latents)
