"""``gan-edit find``: where in a photo the faces are that a model knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from gan_edit_engine.cli.edit import Device, Keep, ModelName, PhotoFile, face_entries
from gan_edit_engine.cli.progress import progress_bar
from gan_edit_engine.cli.session import engine
from gan_edit_engine.imaging import image_files
from gan_edit_engine.imaging.looking import Sight, crop_text, drawn, find_faces
from gan_edit_engine.library.models_folder import model_argument
from gan_edit_protocol.default_model import DEFAULT

OutputFile = Annotated[
    Path | None, typer.Option(help="Write the photo with the squares and points drawn into it as this PNG.")
]
AsJson = Annotated[
    bool, typer.Option("--json", help='Print one JSON object: {"faces": [{"points", "crop", "score"}]}.')
]


def find(
    photo_file: PhotoFile,
    model: ModelName = DEFAULT,
    output: OutputFile = None,
    device: Device = None,
    keep: Keep = True,
    as_json: AsJson = False,
) -> None:
    """Find what the model knows in a photo (for the default model: cats' faces), and where its eyes are."""
    picture = image_files.read_picture(photo_file)
    if output is not None:
        image_files.check_output(output, picture)
    with engine(device, keep) as client, progress_bar() as (show, cancelled):
        found = find_faces(Sight(picture.pixels, None, model_argument(model)), client, show, cancelled)
    faces = found.faces
    if output is not None:
        image_files.write_png(output, drawn(picture, faces))
    if as_json:
        print(json.dumps({"faces": [*map(face_entries, faces)]}))
    elif not faces:
        print(
            found.told(selected=True) or "Nothing finds what this model knows; the square around the selection is used."
        )
    else:
        table = Table("", "first eye", "second eye", "--crop", "score")
        for number, face in enumerate(faces, start=1):
            at = face.align
            eyes = (f"{at.x1:.0f},{at.y1:.0f}", f"{at.x2:.0f},{at.y2:.0f}")
            table.add_row(str(number), *eyes, crop_text(face.crop), f"{face.score:.2f}")
        Console().print(table)
