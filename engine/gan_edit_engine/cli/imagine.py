"""``gan-edit imagine``: images of a model from a scribble alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from gan_edit_engine.cli.edit import AsJson, Assignments, Device, Keep, ModelName, Seed
from gan_edit_engine.cli.progress import progress_bar
from gan_edit_engine.cli.session import engine
from gan_edit_engine.imaging import image_files
from gan_edit_engine.imaging.arrays import from_message, to_message
from gan_edit_engine.imaging.image_files import Picture
from gan_edit_engine.imaging.latent_files import write_latent
from gan_edit_engine.library.models_folder import model_argument
from gan_edit_protocol.default_model import DEFAULT
from gan_edit_protocol.events import FramesReady
from gan_edit_protocol.latent import Latent
from gan_edit_protocol.requests import ImagineRequest
from gan_edit_protocol.settings import ImagineSettings


def imagine(
    scribble_file: Annotated[
        Path,
        typer.Argument(
            metavar="SCRIBBLE",
            help="Colours painted on a transparent PNG; the square in its middle counts. An opaque picture is followed "
            "everywhere.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(help="The PNG to write, of the model's own size; further images are OUTPUT-2.png and so on."),
    ],
    model: ModelName = DEFAULT,
    seed: Seed = None,
    candidates: Annotated[int | None, typer.Option(help="Short for --set candidates=N.")] = None,
    assignments: Assignments = None,
    latent: Annotated[
        Path | None,
        typer.Option("--latent", help="Also write the latents to such safetensors files, numbered like the images."),
    ] = None,
    device: Device = None,
    keep: Keep = True,
    as_json: AsJson = False,
) -> None:
    """Draw images that a scribble without a photo asks for, several to choose from, the most likely first."""
    short = {"seed": seed, "candidates": candidates}
    settings = ImagineSettings.from_assignments(
        assignments or [], **{name: value for name, value in short.items() if value is not None}
    )
    image_files.check_output(output)
    request = ImagineRequest(to_message(image_files.read_painting(scribble_file)), model_argument(model), settings)
    with engine(device, keep) as client, progress_bar() as (show, cancelled):
        result = client.run(request, show, cancelled)
    written = _write(result, output, latent)
    if as_json:
        about = {name: getattr(result, name) for name in ("seconds", "model", "device", "seed")}
        print(json.dumps({**about, "candidates": written}))
    else:
        names = ", ".join(each["output"] for each in written)
        print(f"{names}: in {result.seconds:.1f} s on {result.device} with {result.model}")


def _write(result: FramesReady, output: Path, latent: Path | None) -> list[dict[str, Any]]:
    """The files of each candidate, and how far its colours are from the scribble's."""
    assert result.errors is not None  # candidates have them
    frames, errors = from_message(result.frames), from_message(result.errors)
    written = []
    for number, (frame, ws, error) in enumerate(zip(frames, result.latents.parts(), errors, strict=True), start=1):
        picture = _numbered(output, number)
        image_files.write_png(picture, Picture(frame))
        kept = None if latent is None else _numbered(latent, number)
        if kept is not None:
            write_latent(kept, Latent(ws, model=result.model))
        written.append({"output": str(picture), "latent": kept and str(kept), "error": float(error)})
    return written


def _numbered(path: Path, number: int) -> Path:
    return path if number == 1 else path.with_stem(f"{path.stem}-{number}")
