"""``gan-edit find``: where in a photo the faces are that a model knows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from gan_edit_engine.cli.edit import Device, Keep, ModelName, PhotoFile, face_entries, model_argument
from gan_edit_engine.cli.looking import Sight, crop_text, find_faces
from gan_edit_engine.cli.progress import progress_bar
from gan_edit_engine.cli.session import engine
from gan_edit_engine.imaging import image_files
from gan_edit_engine.imaging.crop import WHITE, AnyImage
from gan_edit_engine.imaging.image_files import Picture
from gan_edit_engine.imaging.square import Square
from gan_edit_protocol.default_model import DEFAULT
from gan_edit_protocol.geometry import Face

OutputFile = Annotated[
    Path | None, typer.Option(help="Write the photo with the squares and points drawn into it as this PNG.")
]
AsJson = Annotated[
    bool, typer.Option("--json", help='Print one JSON object: {"faces": [{"points", "crop", "score"}]}.')
]

_COLOURS = ((0.1, 1.0, 0.2), (1.0, 0.2, 0.1))
"""Of the best one, and of the others."""
_LINE = 1 / 300  # of the photo's longer side


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
        image_files.write_png(output, _with_drawing(picture, faces))
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


def _with_drawing(picture: Picture, faces: Sequence[Face]) -> Picture:
    """The photo with each face's square and points; opaque where something is drawn."""
    pixels = np.ascontiguousarray(picture.pixels).copy()
    height, width = pixels.shape[:2]
    thick = max(1, round(max(height, width) * _LINE))
    # The best one last, so that it lies above the others.
    for number, face in reversed(list(enumerate(faces))):
        _draw_face(pixels, face, _COLOURS[min(number, 1)], thick)
    return replace(picture, pixels=pixels)


def _draw_face(pixels: AnyImage, face: Face, colour: tuple[float, float, float], thick: int) -> None:
    square = Square.of_square(face.crop, 1)
    corners = [square.to_photo(x, y) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))]
    shape = np.zeros(pixels.shape[:2], np.uint8)
    cv2.polylines(shape, [np.round(corners).astype(np.int32)], True, 255, thick)
    at = face.align
    for x, y in ((at.x1, at.y1), (at.x2, at.y2)):
        cv2.circle(shape, (round(x), round(y)), 2 * thick, 255, -1)
    white = WHITE[pixels.dtype.name]
    pixels[shape > 0] = np.array([*colour, 1.0][: pixels.shape[2]]) * white
