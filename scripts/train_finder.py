#!/usr/bin/env python3
"""Train a finder of faces on aligned crops of them; run it again with the same folder to go on.

    scripts/train_finder.py my-finder-run --photos my-faces.zip --backgrounds pictures-without-faces

Every picture it learns from is drawn: faces laid at known places, sizes and angles on parts of the backgrounds, on fur
and on textures. Writes FOLDER/finder.safetensors in half precision, and FOLDER/samples/N.png: what is drawn, with the
truth in green and what is found in red. docs/training.md says what to expect.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import torch
import typer

from evaluate_alignment import points_of
from gan_edit_engine.finding.find import Finder
from gan_edit_engine.finding.weights import Finding, save_finder
from gan_edit_engine.training.composites import Composer, Recipe
from gan_edit_engine.training.face_crops import load_faces
from gan_edit_engine.training.finder import FinderSettings, FinderTrainer
from gan_edit_engine.training.pace import Meter, StopRequest, passed
from gan_edit_engine.training.photos import PhotoSource, read_names
from gan_edit_engine.training.samples import save_grid
from gan_edit_engine.training.scenery import Scenery
from gan_edit_engine.training.state import RunFolder
from gan_edit_protocol.errors import GanEditError
from shipped_pictures import TRAINED_ON, people, shipped

SHOWN, SHOWN_SIDE = 32, 192
TRUE, FOUND = (0, 255, 0), (255, 0, 0)


def save(trainer: FinderTrainer, folder: RunFolder, finding: Finding, header: dict[str, str]) -> None:
    """The state to go on from, and the finder as it is now."""
    folder.save({"settings": asdict(trainer.settings), "state": trainer.state_dict()})
    header = {**header, "images_seen": str(trainer.images)}
    save_finder(folder.path / "finder.safetensors", trainer.averaged, finding, header)
    show(trainer, folder)


def show(trainer: FinderTrainer, folder: RunFolder) -> None:
    """A sheet of composites that no training sees."""
    networks = type(trainer.averaged)()
    networks.load_state_dict(trainer.averaged.state_dict())
    finder = Finder(networks, trainer.canonical)
    pictures = []
    for i in range(SHOWN):
        rng = np.random.default_rng([trainer.settings.seed, 2, i])
        composite = trainer.composer.compose(rng, Recipe(SHOWN_SIDE, SHOWN_SIDE, (30.0, 200.0)))
        picture = composite.picture.copy()
        draw(picture, [face.points for face in composite.faces], TRUE)
        draw(picture, [points_of(face.align) for face in finder.find(composite.picture)], FOUND)
        pictures.append(picture)
    grid = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
    save_grid(folder.samples / f"{trainer.images:09d}.png", grid, SHOWN // 4)


def draw(picture: np.ndarray, faces: list[np.ndarray], colour: tuple[int, int, int]) -> None:
    """A line from eye to eye with a dot on the first."""
    for points in faces:
        first, second = (tuple(int(v) for v in point) for point in points)
        cv2.line(picture, first, second, colour, 1, cv2.LINE_AA)
        cv2.circle(picture, first, 3, colour, 1, cv2.LINE_AA)


def run(trainer: FinderTrainer, folder: RunFolder, finding: Finding, header: dict[str, str], every: int) -> None:
    """Train to the settings' end or SIGTERM/SIGINT, reporting and saving every so many pictures."""
    stop, meter = StopRequest(), Meter()
    while trainer.images < trainer.settings.until and not stop.asked:
        before = trainer.images
        meter.add(trainer.step())
        if passed(every, before, trainer.images):
            folder.report({"images": trainer.images, **meter.read(trainer.settings.batch)})
            save(trainer, folder, finding, header)
    save(trainer, folder, finding, header)


def train(
    folder: Annotated[Path, typer.Argument(help="Where the run keeps its state; made if missing, continued if not.")],
    photos: Annotated[list[Path], typer.Option(help="Folder or zip file of faces cropped on their align points.")],
    exclude: Annotated[Path | None, typer.Option(help="List of faces to keep out, one name a line.")] = None,
    backgrounds: Annotated[
        list[Path] | None, typer.Option(help="Folder or zip file of pictures without such faces, besides what ships.")
    ] = None,
    domain: Annotated[str, typer.Option(help="What the faces are.")] = "cat face",
    align_points: Annotated[str, typer.Option(help="Where the eyes lie in each crop, JSON.")] = (
        "[[0.29, 0.405], [0.73, 0.405]]"
    ),
    provenance: Annotated[str, typer.Option(help="Where the faces come from, for the file's header.")] = "",
    until: Annotated[
        int | None,
        typer.Option(
            help=f"Length of the run in pictures, {FinderSettings.until} when it begins; "
            "given again, it lengthens or shortens a run that goes on."
        ),
    ] = None,
    every: Annotated[int, typer.Option(help="Report and save after so many pictures.")] = 4_000,
    threads: Annotated[int, typer.Option(help="Processor threads.")] = os.cpu_count() or 1,
) -> None:
    """Train, or go on."""
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    run_folder = RunFolder(folder)
    saved = run_folder.load() if run_folder.state.exists() else None
    settings = FinderSettings(**saved["settings"]) if saved else FinderSettings()
    if until is not None:
        settings = replace(settings, until=until)
    (x1, y1), (x2, y2) = json.loads(align_points)
    finding = Finding(domain, ((x1, y1), (x2, y2)))
    faces = load_faces([PhotoSource(path) for path in photos], read_names(exclude) if exclude else [])
    pictures = [*shipped(TRAINED_ON), people()]
    for path in backgrounds or []:
        source = PhotoSource(path)
        pictures += [np.asarray(source.open(name)) for name in source.names]
    scenery = Scenery(pictures, faces, finding.canonical)
    trainer = FinderTrainer(settings, Composer(faces, finding.canonical, scenery), finding.canonical)
    if saved:
        trainer.load_state_dict(saved["state"])
    header = {"licence": "MIT", "provenance": provenance, "faces": str(len(faces))}
    run(trainer, run_folder, finding, header, every)


def main() -> None:
    try:
        typer.run(train)
    except GanEditError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
