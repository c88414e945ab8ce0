#!/usr/bin/env python3
"""Measure how well a finder finds faces: on composites of faces and backgrounds that no training saw, and on a photo.

    scripts/evaluate_alignment.py --photos my-faces.zip --names tests/data/evaluation_faces.txt --output figures

Writes FOLDER/alignment.json, FOLDER/composites.webp (the worst first: green is the truth, red what was found) and
FOLDER/chelsea.webp: scikit-image's cat, turned by each 45 degrees. Faces are laid on scikit-image's pictures that the
training leaves out, at any angle, exposure and JPEG quality; --backgrounds gives more pictures without such faces.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from chelsea import chelsea_turned
from gan_edit_engine.finding.find import Finder
from gan_edit_engine.finding.pyramid import Pixels
from gan_edit_engine.finding.registry import FOLDER
from gan_edit_engine.finding.weights import load_finder
from gan_edit_engine.system.atomic_write import make_folder, replacing
from gan_edit_engine.training.composites import Composer, Composite, Recipe
from gan_edit_engine.training.face_crops import load_faces
from gan_edit_engine.training.photos import PhotoSource, read_names
from gan_edit_engine.training.scenery import Scenery
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.geometry import Align, Face
from shipped_pictures import JUDGED_BY, shipped

SEED = 2026
SIDES = (240, 800)
"""Longer sides of the composites, in pixels."""
LEAST, LEAST_SHARE, LARGEST_SHARE = 48.0, 0.07, 0.9
"""Sides of faces: so many pixels and such a share of the longer side at least, such a share of the shorter at most."""
LIGHT = 0.5
"""How much the exposures differ, of what they do in the training: no face becomes black or white."""
NEAR = 0.25
"""A face is found where both eyes are told within so many eye distances."""
FACE_SIDE = 256
SHOWN, SHOWN_SIDE = 60, 240
TRUE, FOUND = (0, 255, 0), (255, 0, 0)


@dataclass(frozen=True)
class Judged:
    """``errors``: of the faces that were found, the mean distance of both eyes in eye distances; the others missed."""

    composite: Composite
    found: list[Face]
    errors: list[float]
    missed: int
    false: int


def judge(finder: Finder, composite: Composite) -> Judged:
    """Which of a composite's faces are found, how exactly, and what is found besides."""
    found = finder.find(composite.picture)
    left, errors, missed = list(found), [], 0
    for face in composite.faces:
        near = [(eye_error(one.align, face.points), one) for one in left]
        error, best = min(near, key=lambda pair: pair[0], default=(math.inf, None))
        if best is not None and error <= NEAR:
            errors.append(error)
            left.remove(best)
        else:
            missed += 1
    return Judged(composite, found, errors, missed, len(left))


def eye_error(found: Align, truth: np.ndarray) -> float:
    """Mean distance of both eyes, in distances between the true ones [2, 2]; the first eye is the first."""
    away = points_of(found) - truth
    return float(np.linalg.norm(away, axis=1).mean() / np.linalg.norm(truth[1] - truth[0]))


def points_of(align: Align) -> np.ndarray:
    """Both points as an array [2, 2] of x and y."""
    return np.reshape(astuple(align), (2, 2))


def draw_composites(composer: Composer, count: int, faces: bool) -> list[Composite]:
    """Pictures of many sizes with one face each, or none."""
    drawn = []
    for i in range(count):
        rng = np.random.default_rng([SEED, int(faces), i])
        longer = math.exp(rng.uniform(*np.log(SIDES)))
        sides = round(longer), round(longer * rng.uniform(0.56, 1))
        width, height = sides if rng.random() < 0.6 else sides[::-1]
        sizes = max(LEAST, LEAST_SHARE * longer), LARGEST_SHARE * min(width, height)
        counts = (0.0, 1.0) if faces else (1.0,)
        drawn.append(composer.compose(rng, Recipe(height, width, sizes, counts, light=LIGHT, covered=0)))
    return drawn


def figures(judged: list[Judged], empty: list[Judged]) -> dict[str, Any]:
    """What is to be known of all of them."""
    errors = [error for one in judged for error in one.errors]
    faces = sum(len(one.composite.faces) for one in judged)
    return {
        "composites": len(judged),
        "found": len(errors) / faces,
        "eye_error_median": float(np.median(errors)),
        "eye_error_95": float(np.percentile(errors, 95)),
        "false_beside_faces": sum(one.false for one in judged) / len(judged),
        "pictures_without": len(empty),
        "false_per_picture_without": sum(one.false for one in empty) / len(empty),
    }


def milliseconds(finder: Finder) -> float:
    """Of a photo of 24 megapixels with a face, the least of some tries."""
    photo = cv2.resize(chelsea_turned(0)[0], (6000, 4000), interpolation=cv2.INTER_CUBIC)
    tries = []
    for _ in range(12):
        start = time.perf_counter()
        finder.find(photo)
        tries.append(time.perf_counter() - start)
    return 1000 * min(tries)


def shown(picture: Pixels, truth: list[np.ndarray], found: list[Face]) -> Pixels:
    """The picture, small, with lines from eye to eye and a dot on the first."""
    scale = SHOWN_SIDE / max(picture.shape[:2])
    size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    small = np.full((SHOWN_SIDE, SHOWN_SIDE, 3), 255, np.uint8)
    small[: size[1], : size[0]] = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    for colour, faces in ((TRUE, truth), (FOUND, [points_of(face.align) for face in found])):
        for points in faces:
            first, second = (tuple(int(v) for v in point * scale) for point in points)
            cv2.line(small, first, second, colour, 1, cv2.LINE_AA)
            cv2.circle(small, first, 3, colour, 1, cv2.LINE_AA)
    return small


def save_sheet(path: Path, pictures: list[Pixels], columns: int) -> None:
    """WebP of squares of one size, row by row."""
    blank = np.full_like(pictures[0], 255)
    pictures = pictures + [blank] * (-len(pictures) % columns)
    rows = [np.hstack(pictures[i : i + columns]) for i in range(0, len(pictures), columns)]
    data = cv2.imencode(".webp", np.vstack(rows)[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, 80])[1]
    with replacing(path) as part:
        part.write_bytes(data.tobytes())


def on_chelsea(finder: Finder) -> tuple[dict[str, float | None], list[Pixels]]:
    """The eye error at each angle, None where she is not found or something else is; and the pictures."""
    errors: dict[str, float | None] = {}
    pictures = []
    for angle in range(0, 360, 45):
        picture, truth = chelsea_turned(angle)
        judged = judge(finder, Composite(picture, [truth]))
        errors[str(angle)] = None if judged.missed or judged.false else judged.errors[0]
        pictures.append(shown(picture, [truth.points], judged.found))
    return errors, pictures


def evaluate(
    photos: Annotated[list[Path], typer.Option(help="Folder or zip file of faces cropped on their align points.")],
    output: Annotated[Path, typer.Option(help="Folder for the figures; its sheet shows the faces.")],
    names: Annotated[Path, typer.Option(help="List of the faces that no training saw, one name a line.")],
    finder: Annotated[Path, typer.Option(help="The finder's file.")] = FOLDER / "cat-face-finder.safetensors",
    backgrounds: Annotated[
        list[Path] | None, typer.Option(help="Folder or zip file of pictures without such faces, besides what ships.")
    ] = None,
    composites: Annotated[int, typer.Option(min=1, help="Pictures with a face, and as many without.")] = 500,
) -> None:
    """Measure, print and write."""
    make_folder(output)
    looking = load_finder(finder)
    faces = load_faces([PhotoSource(path) for path in photos], only=read_names(names), side=FACE_SIDE)
    pictures = [*shipped(JUDGED_BY)]
    for path in backgrounds or []:
        source = PhotoSource(path)
        pictures += [np.asarray(source.open(name)) for name in source.names]
    composer = Composer(faces, looking.canonical, Scenery(pictures, faces[:0], looking.canonical))
    judged = [judge(looking, one) for one in draw_composites(composer, composites, faces=True)]
    empty = [judge(looking, one) for one in draw_composites(composer, composites, faces=False)]
    turned, turned_pictures = on_chelsea(looking)
    result = {
        **figures(judged, empty),
        "chelsea": turned,
        "milliseconds_24_megapixels": milliseconds(looking),
    }
    with replacing(output / "alignment.json") as part:
        part.write_text(json.dumps(result, indent=2) + "\n")
    worst = sorted(judged + empty, key=lambda one: (-one.missed - one.false, -max(one.errors, default=0)))
    sheet = [shown(one.composite.picture, [f.points for f in one.composite.faces], one.found) for one in worst[:SHOWN]]
    save_sheet(output / "composites.webp", sheet, 10)
    save_sheet(output / "chelsea.webp", turned_pictures, 4)
    table = Table("what", "value")
    for name, value in result.items():
        table.add_row(name, str(value) if not isinstance(value, float) else f"{value:.4g}")
    Console().print(table)


def main() -> None:
    try:
        typer.run(evaluate)
    except GanEditError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
