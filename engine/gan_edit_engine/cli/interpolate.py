"""``gan-edit interpolate``: moving pictures between latents, and several latents put together."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from gan_edit_engine.cli.edit import AsJson, Assignments, Device, Keep, ModelName
from gan_edit_engine.cli.progress import progress_bar
from gan_edit_engine.cli.session import engine
from gan_edit_engine.imaging.animation import check_animation, honoured_rate, write_animation
from gan_edit_engine.imaging.arrays import from_message
from gan_edit_engine.imaging.latent_files import check_latent_output, read_latent_of, write_latent
from gan_edit_engine.library.models_folder import model_argument
from gan_edit_protocol.default_model import DEFAULT
from gan_edit_protocol.events import FramesReady
from gan_edit_protocol.latent import Latent
from gan_edit_protocol.requests import InterpolateRequest
from gan_edit_protocol.settings import InterpolateSettings


def interpolate(
    latent_files: Annotated[
        list[Path],
        typer.Argument(metavar="LATENT...", help="Latent files, as --latent of the other commands writes them."),
    ],
    output: Annotated[
        Path, typer.Option(help="A .gif, .webp or .mp4; or a .png with the images side by side (one: the image).")
    ],
    model: ModelName = DEFAULT,
    assignments: Assignments = None,
    rate: Annotated[float, typer.Option(min=0.1, max=120, help="Images per second.")] = 12.0,
    latent: Annotated[
        Path | None, typer.Option(help="Also write the last image's latent to this safetensors file.")
    ] = None,
    device: Device = None,
    keep: Keep = True,
    as_json: AsJson = False,
) -> None:
    """Draw the way between latents, or cross them, or transfer what one has over another."""
    settings = InterpolateSettings.from_assignments(assignments or [])
    check_animation(output, settings.frames)
    if latent is not None:
        check_latent_output(latent, output)
    latents = [read_latent_of(file, model) for file in latent_files]
    request = InterpolateRequest.between(latents, model_argument(model), settings)
    with engine(device, keep) as client, progress_bar() as (show, cancelled):
        frames, result, seconds = _collected(client.frames(request, show, cancelled))
    write_animation(output, frames, rate)
    if latent is not None:
        write_latent(latent, Latent(result.latents.parts()[-1], model=result.model))
    shown = honoured_rate(output, rate)
    about = {"seconds": seconds, "frames": len(frames), "rate": shown, "model": result.model, "device": result.device}
    if as_json:
        print(json.dumps({**about, "output": str(output), "latent": None if latent is None else str(latent)}))
    else:
        limit = f", {shown:.3g} a second, which is all that viewers show" if shown < rate else ""
        print(f"{output}: {len(frames)} images with {result.model}{limit}")


def _collected(parts: Iterator[FramesReady]) -> tuple[NDArray[np.uint8], FramesReady, float]:
    """All frames [N, H, W, 3], the last part, and the seconds of all."""
    first = next(parts)
    frames = np.empty((first.of, *first.frames.shape[1:]), np.uint8)
    last, seconds = first, 0.0
    for last in chain([first], parts):
        frames[last.first : last.first + last.frames.shape[0]] = from_message(last.frames)
        seconds += last.seconds
    return frames, last, seconds
