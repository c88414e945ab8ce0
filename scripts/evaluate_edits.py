#!/usr/bin/env python3
"""Does the edit do what a few strokes mean? Scribble recovery on faces that no training saw.

    gan-edit models pull vgg16-lpips
    scripts/evaluate_edits.py results --photos cat-faces.zip --photos cat-faces-256.zip

For each marked face two edits whose right answer is known: "part", both irises in another natural colour, asked for
by a stroke through each; "whole", the face in another cat's colours, asked for by six strokes. Scores are in
scripts/edits/scores.py; the folder gets results.json and a contact sheet (photo, strokes, wanted, result).

To measure another version with the same cases, put its checkout in front:

    git worktree add ../first cb49577
    PYTHONPATH=../first/engine:../first/protocol scripts/evaluate_edits.py first --latents results/latents.npz …
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from edits.cases import SIDE, Case, Face, Image, part_case, read_face, read_irises, whole_case
from edits.editor import Editor
from edits.scores import EditJudge, EditScore
from edits.sheet import Row, painted_over, save_sheet
from gan_edit_engine.training.photos import PhotoSource, read_names
from gan_edit_protocol.errors import GanEditError

DATA = Path(__file__).parents[1] / "tests" / "data"
FAMILIES = ("part", "whole")


class Latents:
    """Kept projections of the faces, so that each version is asked for the same pictures."""

    def __init__(self, file: Path, editor: Editor) -> None:
        self._file, self._editor = file, editor
        self._known = dict(np.load(file)) if file.exists() else {}

    def of(self, name: str, photo: Image) -> torch.Tensor:
        if name not in self._known:
            self._known[name] = self._editor.latent(photo).numpy()
            np.savez(self._file, **self._known)
        return torch.from_numpy(self._known[name])


def cases_of(face: Face, latents: Latents, editor: Editor, families: Iterable[str]) -> list[Case]:
    cases = []
    if "part" in families:
        cases.append(part_case(face))
    if "whole" in families:
        cases.append(whole_case(face, latents.of(face.name, face.photo), editor.model.generator))
    return cases


def table(scores: list[EditScore]) -> str:
    """The means by family in Markdown."""
    names = [field.name for field in fields(EditScore) if field.type == "float"]
    lines = ["| family | edits | " + " | ".join(names) + " |", "|---|" + "---|" * (len(names) + 1)]
    for family in FAMILIES:
        ours = [score for score in scores if score.family == family]
        if ours:
            means = " | ".join(f"{np.mean([getattr(score, name) for score in ours]):.3f}" for name in names)
            lines.append(f"| {family} | {len(ours)} | {means} |")
    return "\n".join(lines)


def evaluate(
    folder: Annotated[Path, typer.Argument(help="Where results.json and the sheet go; made if missing.")],
    photos: Annotated[list[Path], typer.Option(help="Folders or zip files that hold the marked faces.")],
    model: Annotated[str, typer.Option(help="An installed model's name, or a model file.")] = "default",
    assignments: Annotated[list[str] | None, typer.Option("--set", help="NAME=VALUE of an edit's setting.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many faces, spread over all.")] = None,
    families: Annotated[str, typer.Option(help="part, whole, or both with a comma.")] = "part,whole",
    latents: Annotated[
        Path | None, typer.Option(help="Projections that wanted pictures are drawn from; made if missing.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Processor threads.")] = os.cpu_count() or 1,
) -> None:
    """Run all edits, score them, print the means."""
    torch.set_num_threads(threads)
    folder.mkdir(parents=True, exist_ok=True)
    sources = [PhotoSource(path) for path in photos]
    irises = read_irises(DATA / "evaluation_irises.json")
    names = list(irises)
    chosen = names if limit is None else [names[i * len(names) // limit] for i in range(min(limit, len(names)))]
    judge = EditJudge(sources[0], set(read_names(DATA / "evaluation_faces.txt")))
    editor = Editor(model)
    align = editor.aligned(SIDE)
    kept = Latents(latents or folder / "latents.npz", editor)
    scores: list[EditScore] = []
    rows: list[Row] = []
    for name in chosen:
        photo = read_face(sources, name)
        face = Face(name, names.index(name), photo, irises[name])
        for case in cases_of(face, kept, editor, families.split(",")):
            result, seconds = editor.edit(case.photo, case.scribble, case.selection, align, assignments or [])
            score = judge.score(case, result, seconds)
            scores.append(score)
            rows.append(Row(_caption(score), (photo, painted_over(photo, case.scribble), case.wanted, result)))
            typer.echo(_caption(score), err=True)
    (folder / "results.json").write_text(json.dumps([asdict(score) for score in scores], indent=1), encoding="utf-8")
    save_sheet(folder / "sheet.png", rows, height=150, columns=2)
    typer.echo(table(scores))


def _caption(score: EditScore) -> str:
    return (
        f"{score.case}: colour {score.colour:+.2f} looks {score.looks:+.2f} paint {score.paint:+.2f} "
        f"spill {score.spill:.2f} real {score.realism:.2f} {score.seconds:.0f} s"
    )


def main() -> None:
    try:
        typer.run(evaluate)
    except GanEditError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
