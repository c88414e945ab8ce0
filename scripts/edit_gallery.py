#!/usr/bin/env python3
"""Edits that a person who retouches would want, painted roughly, each with the judgement of one who looked.

    scripts/edit_gallery.py results                                  # those of scikit-image's chelsea
    scripts/edit_gallery.py results --photos cat-faces-256.zip       # and those of evaluation faces in larger scenes

What is painted, and the verdicts, are in scripts/edits/gallery_chelsea.py and gallery_faces.py: when the engine
changes, look again. The folder gets a contact sheet of each kind (photo, strokes, result), every row as a picture of
its own at full size, and gallery.json.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Annotated

import torch
import typer

from edits.cases import read_face, read_irises
from edits.editor import Editor
from edits.gallery import Edit
from edits.gallery_chelsea import CHELSEA_EDITS
from edits.gallery_faces import Marks, face_edits, irises
from edits.painting import paint, select
from edits.scenes import CHELSEA, Photo, photo_of
from edits.sheet import Row, painted_over, row_picture, save_sheet
from gan_edit_engine.training.photos import PhotoSource
from gan_edit_protocol.errors import GanEditError

IRISES = Path(__file__).parents[1] / "tests" / "data" / "evaluation_irises.json"


def photo_for(edit: Edit, sources: list[PhotoSource], marks: Marks) -> Photo:
    if edit.scene.face == CHELSEA:
        return photo_of(edit.scene, None)
    left, right = irises(marks, edit.scene.face)
    return photo_of(edit.scene, read_face(sources, edit.scene.face), ((left.x, left.y), (right.x, right.y)))


def made(edit: Edit, photo: Photo, editor: Editor) -> tuple[Row, float]:
    """The row of the sheet and the seconds of processor time."""
    height, width = photo.pixels.shape[:2]
    scribble = paint(edit.strokes, height, width, photo.placing)
    selection = select(edit.selection, height, width, photo.placing)
    result, seconds = editor.edit(photo.pixels, scribble, selection, photo.align, list(edit.settings))
    caption = f"{edit.name}: {edit.verdict}. {edit.reason}"
    return Row(caption, (photo.pixels, painted_over(photo.pixels, scribble), result)), seconds


def gallery(
    folder: Annotated[Path, typer.Argument(help="Where the sheets and gallery.json go; made if missing.")],
    photos: Annotated[list[Path] | None, typer.Option(help="Folders or zip files of the evaluation faces.")] = None,
    model: Annotated[str, typer.Option(help="An installed model's name, or a model file.")] = "default",
    only: Annotated[str, typer.Option(help="Only edits whose name has this in it.")] = "",
    threads: Annotated[int, typer.Option(min=1, help="Processor threads.")] = os.cpu_count() or 1,
) -> None:
    """Make all edits; print how many of them are kept."""
    torch.set_num_threads(threads)
    folder.mkdir(parents=True, exist_ok=True)
    sources, marks = [PhotoSource(path) for path in photos or []], read_irises(IRISES)
    editor = Editor(model)
    kinds = {"chelsea": list(CHELSEA_EDITS), "faces": face_edits(marks) if photos else []}
    records = []
    for kind, edits in kinds.items():
        rows = []
        for edit in (edit for edit in edits if only in edit.name):
            row, seconds = made(edit, photo_for(edit, sources, marks), editor)
            rows.append(row)
            records.append({"edit": edit.name, "verdict": edit.verdict, "reason": edit.reason, "seconds": seconds})
            picture = row_picture(row, row.pictures[0].shape[0])
            picture.save(folder / f"{kind} {edit.name}.png")
            typer.echo(f"{row.text} ({seconds:.0f} s)", err=True)
        if rows:
            save_sheet(folder / f"{kind}.webp", rows, height=200, columns=2)
    (folder / "gallery.json").write_text(json.dumps(records, indent=1), encoding="utf-8")
    counts = Counter(str(record["verdict"]) for record in records)
    typer.echo(", ".join(f"{count} {verdict}" for verdict, count in counts.most_common()))


def main() -> None:
    try:
        typer.run(gallery)
    except GanEditError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
