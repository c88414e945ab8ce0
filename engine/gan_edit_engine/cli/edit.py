"""The commands that make pictures: ``gan-edit edit``, ``project`` and ``random``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from gan_edit_engine.cli.progress import progress_bar
from gan_edit_engine.cli.session import engine
from gan_edit_engine.imaging import image_files
from gan_edit_engine.imaging.cutting import Scene, cut, laid_on
from gan_edit_engine.imaging.image_files import Picture
from gan_edit_engine.imaging.latent_files import check_latent_output, read_latent_of, write_latent
from gan_edit_engine.imaging.looking import Cancelled, Looking, Show, Sight, find_place
from gan_edit_engine.imaging.preflight import check_painted
from gan_edit_engine.library.models_folder import model_argument
from gan_edit_protocol.client import Client, Transfer
from gan_edit_protocol.default_model import DEFAULT
from gan_edit_protocol.errors import SettingError
from gan_edit_protocol.events import Event, Notice, ResultReady
from gan_edit_protocol.geometry import Align, Crop, Face
from gan_edit_protocol.requests import EditRequest, ProjectRequest, RandomRequest
from gan_edit_protocol.settings import EditSettings, ProjectSettings, RandomSettings

PhotoFile = Annotated[Path, typer.Argument(metavar="PHOTO", help="PNG or TIFF (8 or 16 bit), JPEG or WebP.")]
OutputFile = Annotated[
    Path, typer.Option(help="The PNG to write: of the photo's size, depth, colour profile, Exif and resolution.")
]
ScribbleFile = Annotated[
    Path,
    typer.Option(
        help="RGBA PNG of the photo's size: counts where it is not transparent. A colour profile of its own is "
        "converted to the photo's."
    ),
]
MaskFile = Annotated[
    Path | None,
    typer.Option(
        help="Gray image of the photo's size: white may change; black and what is transparent never do. "
        "Default: in an edit what lies around the paint may, in a projection everything."
    ),
]
ModelName = Annotated[str, typer.Option(help="An installed model's name, or a model file.")]
Seed = Annotated[int | None, typer.Option(help="Short for --set seed=N.")]
Quality = Annotated[str | None, typer.Option(help="draft, normal or best: short for --set quality=NAME.")]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A setting (see: gan-edit settings); may be repeated."),
]
AlignText = Annotated[
    str | None,
    typer.Option(
        "--align", metavar="X1,Y1,X2,Y2", help="The model's two points in the photo, e.g. the eyes, in any order."
    ),
]
CropText = Annotated[
    str | None,
    typer.Option(
        "--crop",
        metavar="CX,CY,SIZE[,ANGLE]",
        help="Instead: the square where the model looks, in photo pixels. Default: the face that is found under the "
        "selection or the paint, else the square around the selection, or the whole photo.",
    ),
]
LatentOut = Annotated[
    Path | None,
    typer.Option("--latent", help="Also write the result's latent to this safetensors file."),
]
LatentIn = Annotated[
    Path | None,
    typer.Option(
        help="Start from this latent of the same crop (of --latent, or a projected_w.npz) instead of projecting."
    ),
]
Device = Annotated[str | None, typer.Option(help="cuda, mps, xpu or cpu; by default the engine's choice.")]
Keep = Annotated[
    bool,
    typer.Option(
        "--keep/--no-keep", help="An engine that this command starts stays for five minutes, for the next one."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object about the result.")]


def edit(
    photo_file: PhotoFile,
    scribble: ScribbleFile,
    output: OutputFile,
    mask: MaskFile = None,
    model: ModelName = DEFAULT,
    quality: Quality = None,
    seed: Seed = None,
    assignments: Assignments = None,
    align: AlignText = None,
    crop: CropText = None,
    latent: LatentOut = None,
    latent_in: LatentIn = None,
    device: Device = None,
    keep: Keep = True,
    as_json: AsJson = False,
) -> None:
    """Change a photo so that it follows the colours of a scribble inside a mask."""
    settings = EditSettings.from_assignments(assignments or [], **_given(seed=seed, quality=quality))
    picture = image_files.read_picture(photo_file)
    _check_outputs(output, latent, picture)
    strokes, selection = image_files.read_scribble(scribble, picture), _read_mask(mask, picture)
    check_painted(strokes, selection)
    start = None if latent_in is None else read_latent_of(latent_in, model)
    marked = selection if selection is not None else strokes[..., 3]
    sight = Sight(picture.pixels, marked, model_argument(model), selected=selection is not None)
    given = given_place(align, crop)

    def request(client: Client, show: Show, cancelled: Cancelled) -> tuple[EditRequest, Looking]:
        looking = given or find_place(sight, client, show, cancelled)
        scene = Scene(picture.pixels, selection, sight.model, looking.align, looking.crop, strokes)
        part = cut(scene, client, show, settings.feather)
        assert part.scribble is not None  # the scene has one
        return EditRequest(
            part.photo, part.scribble, part.mask, scene.model, scene.align, scene.crop, start, settings, part.place
        ), looking

    _make(request, picture, output, latent, device, keep, as_json)


def project(
    photo_file: PhotoFile,
    output: OutputFile,
    mask: MaskFile = None,
    model: ModelName = DEFAULT,
    quality: Quality = None,
    seed: Seed = None,
    assignments: Assignments = None,
    align: AlignText = None,
    crop: CropText = None,
    latent: LatentOut = None,
    latent_in: Annotated[
        Path | None,
        typer.Option(help="Search on from this latent of the same crop (of --latent, or a projected_w.npz)."),
    ] = None,
    device: Device = None,
    keep: Keep = True,
    as_json: AsJson = False,
) -> None:
    """Find the model's image that is nearest to a photo and put it in the photo's place."""
    settings = ProjectSettings.from_assignments(assignments or [], **_given(seed=seed, quality=quality))
    picture = image_files.read_picture(photo_file)
    _check_outputs(output, latent, picture)
    selection = _read_mask(mask, picture)
    start = None if latent_in is None else read_latent_of(latent_in, model)
    sight = Sight(picture.pixels, selection, model_argument(model), selected=selection is not None)
    given = given_place(align, crop)

    def request(client: Client, show: Show, cancelled: Cancelled) -> tuple[ProjectRequest, Looking]:
        looking = given or find_place(sight, client, show, cancelled)
        scene = Scene(picture.pixels, selection, sight.model, looking.align, looking.crop)
        part = cut(scene, client, show)
        return ProjectRequest(
            part.photo, part.mask, scene.model, scene.align, scene.crop, start, settings, part.place
        ), looking

    _make(request, picture, output, latent, device, keep, as_json)


def random(
    output: Annotated[Path, typer.Option(help="The PNG to write: of the model's own size.")],
    model: ModelName = DEFAULT,
    seed: Seed = None,
    assignments: Assignments = None,
    latent: LatentOut = None,
    device: Device = None,
    keep: Keep = True,
    as_json: AsJson = False,
) -> None:
    """Draw a random image of a model."""
    settings = RandomSettings.from_assignments(assignments or [], **_given(seed=seed))
    _check_outputs(output, latent, None)
    request = RandomRequest(model_argument(model), settings)
    _make(lambda *_: (request, Looking()), None, output, latent, device, keep, as_json)


def _make(
    request: Callable[[Client, Show, Cancelled], tuple[EditRequest | ProjectRequest | RandomRequest, Looking]],
    picture: Picture | None,
    output: Path,
    latent: Path | None,
    device: str | None,
    keep: bool,
    as_json: bool,
) -> None:
    """Run the job, write its files and tell about it. ``picture`` is the photo that the result is laid on, if any.

    ``request``: gives the job, and where the model looks, when the engine is there.
    """
    notes: list[str] = []

    def hear(event: Event | Transfer) -> None:
        if isinstance(event, Notice):
            notes.append(str(event))
        show(event)

    with engine(device, keep) as client, progress_bar() as (show, cancelled):
        job, looking = request(client, hear, cancelled)
        result = client.run(job, hear, cancelled)
    image_files.write_png(output, laid_on(picture, result))
    if latent is not None:
        write_latent(latent, result.latent)
    if as_json:
        face = None if looking.face is None else face_entries(looking.face)
        print(json.dumps({**_about(result, output, latent), "face": face, "notes": notes}))
    else:
        print(f"{output}: {result.steps} steps in {result.seconds:.1f} s on {result.device} with {result.model}")


def _check_outputs(output: Path, latent: Path | None, picture: Picture | None) -> None:
    """What cannot be written is said before there is anything to write, and before a face is looked for."""
    image_files.check_output(output, picture)
    if latent is not None:
        check_latent_output(latent, output)


def _about(result: ResultReady, output: Path, latent: Path | None) -> dict[str, Any]:
    names = ("seconds", "steps", "psnr", "model", "device", "perceptual", "seed")
    files = {"output": str(output), "latent": None if latent is None else str(latent)}
    return {**{name: getattr(result, name) for name in names}, **files}


def face_entries(face: Face) -> dict[str, Any]:
    """A face as JSON tells of it: its two points, its crop, its score."""
    at = face.align
    return {"points": [[at.x1, at.y1], [at.x2, at.y2]], "crop": asdict(face.crop), "score": face.score}


def _given(**options: int | str | None) -> dict[str, int | str]:
    return {name: value for name, value in options.items() if value is not None}


def _read_mask(path: Path | None, picture: Picture) -> NDArray[np.uint8] | None:
    return None if path is None else image_files.read_mask(path, picture)


def given_place(align: str | None, crop: str | None) -> Looking | None:
    """Where the model looks as the options say; None where they say nothing."""
    if align is not None and crop is not None:
        raise SettingError("--align and --crop both say where the model looks.", "Give one of them.")
    if align is not None:
        x1, y1, x2, y2 = _numbers("--align", align, 4)
        # The left one first, as in GIMP: the other way round the model would see the photo upside down.
        left, right = sorted([(x1, y1), (x2, y2)])
        return Looking(align=Align(*left, *right))
    return None if crop is None else Looking(crop=Crop(*_numbers("--crop", crop, 3, 4)))


def _numbers(option: str, text: str, *counts: int) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in counts or not np.isfinite(numbers).all():
        wanted = " or ".join(str(count) for count in counts)
        raise SettingError(f"{option} needs {wanted} numbers with commas between them, not '{text}'.")
    return numbers
