#!/usr/bin/env python3
"""Images from scribbles without a photo: how near they come to the paint, how long they take, and how they look.

    scripts/scribble_gallery.py results

What is painted is in scripts/edits/scribbles.py. The folder gets a contact sheet (scribble, candidates, best first)
and scribbles.json: the RMS of the local means under the paint for each candidate, and seconds of processor time.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from edits.painting import paint
from edits.scribbles import SCRIBBLES, SIDE, Scribble
from edits.sheet import Row, painted_over, save_sheet
from gan_edit_engine.imaging.arrays import from_message, to_message
from gan_edit_engine.imaging.crop import from_unit
from gan_edit_engine.worker.perform import perform
from gan_edit_engine.worker.workspace import Workspace
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.events import FramesReady
from gan_edit_protocol.requests import ImagineRequest
from gan_edit_protocol.settings import ImagineSettings

_PAPER = 0.85  # what is transparent is shown so bright


def drawn(scribble: Scribble, workspace: Workspace, model: str, settings: ImagineSettings) -> tuple[FramesReady, Row]:
    """The candidates and the row of the sheet."""
    layer = paint(scribble.strokes, SIDE, SIDE)
    request = ImagineRequest(to_message(from_unit(layer, np.dtype(np.uint8))), model, settings)
    *_, result = perform(request, workspace)
    assert isinstance(result, FramesReady)
    frames = from_message(result.frames).astype(np.float32) / 255
    shown = painted_over(np.full((SIDE, SIDE, 3), _PAPER, np.float32), layer)
    return result, Row(scribble.name, (shown, *frames))


def gallery(
    folder: Annotated[Path, typer.Argument(help="Where the sheet and scribbles.json go; made if missing.")],
    model: Annotated[str, typer.Option(help="An installed model's name, or a model file.")] = "default",
    only: Annotated[str, typer.Option(help="Only scribbles whose name has this in it.")] = "",
    assignments: Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Processor threads.")] = 1,
) -> None:
    """Follow all scribbles; print how near and how fast."""
    torch.set_num_threads(threads)
    folder.mkdir(parents=True, exist_ok=True)
    workspace, settings = Workspace(torch.device("cpu")), ImagineSettings.from_assignments(assignments or [])
    rows, records = [], []
    for scribble in (scribble for scribble in SCRIBBLES if only in scribble.name):
        before = time.process_time()
        result, row = drawn(scribble, workspace, model, settings)
        seconds = time.process_time() - before
        assert result.errors is not None  # candidates have them
        errors = from_message(result.errors).tolist()
        rows.append(row)
        records.append({"scribble": scribble.name, "errors": errors, "seconds": seconds})
        typer.echo(f"{scribble.name}: {np.mean(errors):.3f}, {seconds:.1f} s", err=True)
        save_sheet(folder / "scribbles.webp", rows, height=128, columns=2)
        (folder / "scribbles.json").write_text(json.dumps(records, indent=1), encoding="utf-8")
    # The first job loads and explores the model.
    later = [record["seconds"] for record in records[1:]] or [records[0]["seconds"]]
    mean = np.mean([error for record in records for error in record["errors"]])
    typer.echo(f"{len(records)} scribbles: RMS {mean:.3f}, {np.median(later):.1f} s of processor time each")


def main() -> None:
    try:
        typer.run(gallery)
    except GanEditError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
