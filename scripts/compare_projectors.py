#!/usr/bin/env python3
"""The default projection against the official projector's algorithm: same model, same photos, in one run.

    gan-edit models pull vgg16-lpips
    scripts/compare_projectors.py results.jsonl --photos cat-faces.zip --names tests/data/evaluation_faces.txt
    scripts/compare_projectors.py results.jsonl            # only prints the table of what is there

Writes a JSON line per photo and goes on where it stopped; several runs may share the photos out with --part. Both
compute in the number format that GAN Edit finds faster here. Seconds are those of one processor, whatever else the
machine does. docs/inversion.md holds the results.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from gan_edit_engine.inversion.optimize import ResultT, Step, result_of
from gan_edit_engine.inversion.perceptual import load_lpips
from gan_edit_engine.inversion.projection import project
from gan_edit_engine.inversion.subject import Subject
from gan_edit_engine.training.photos import PhotoSource, read_names, square_pixels
from gan_edit_engine.worker.evaluate import Judge, Score, mean
from gan_edit_engine.worker.workspace import Workspace
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.settings import ProjectSettings
from official_projector import STEPS, project_officially

METHODS = {
    "official": f"official algorithm, w, {STEPS} steps",
    "default": "GAN Edit's default",
    "equal_time": "GAN Edit in the official's time",
}


@dataclass(frozen=True)
class Timed:
    """A projection's steps as they came: seconds of processor time since the start, and image of each."""

    seconds: list[float]
    images: list[torch.Tensor]


def drain(steps: Generator[Step, None, ResultT]) -> tuple[ResultT, Timed]:
    """Run to the end. Taking note of an image costs nothing that would count."""
    started, timed = time.process_time(), Timed([], [])

    def keep(step: Step) -> None:
        timed.seconds.append(time.process_time() - started)
        timed.images.append(step.image)

    result = result_of(steps, keep)
    return result, Timed([*timed.seconds, time.process_time() - started], timed.images)


class Comparison:
    """Both ways of projecting, with what they share."""

    def __init__(self, model: str, steps: int) -> None:
        cpu = torch.device("cpu")
        self.projector, self.steps = result_of(Workspace(cpu).prepare(model, ProjectSettings(cache=False))), steps
        self.settings = self.projector.settings
        self.lpips, self.judge = load_lpips(cpu, self.projector.dtype), Judge(cpu)

    def of_photo(self, name: str, subject: Subject, equal_time: bool) -> dict[str, Any]:
        """All scores of one photo, and the seconds after which the default first looked as near as the official.

        ``equal_time``: with what the default makes of the official's seconds, which costs as long again.
        """
        torch.manual_seed(0)
        image, timed = drain(self._official(subject))
        official = self.judge.score(name, image, subject, timed.seconds[-1], self.steps)
        default, ours = self._ours(name, subject, self.settings)
        scores = {"official": official, "default": default}
        if equal_time:
            steps = max(1, round(self.settings.steps * official.seconds / default.seconds))
            scores["equal_time"], _ = self._ours(name, subject, replace(self.settings, steps=steps))
        reached = self._reached(ours, subject, official.lpips)
        return {"photo": name, **{key: asdict(score) for key, score in scores.items()}, "reached_after": reached}

    def _official(self, subject: Subject) -> Generator[Step, None, torch.Tensor]:
        return project_officially(replace(self.projector, perceptual=self.lpips), subject, self.steps)

    def _ours(self, name: str, subject: Subject, settings: ProjectSettings) -> tuple[Score, Timed]:
        found, timed = drain(project(replace(self.projector, settings=settings), subject))
        return self.judge.score(name, found.inversion.image, subject, timed.seconds[-1], found.steps), timed

    def _reached(self, timed: Timed, subject: Subject, wanted: float) -> float | None:
        """Seconds until LPIPS ``wanted``; None when it was not reached."""
        for seconds, image in zip(timed.seconds, timed.images, strict=False):
            if self.judge.score("", image, subject, 0, 0).lpips <= wanted:
                return seconds
        return None


def subject_of(source: PhotoSource, name: str, resolution: int) -> Subject:
    pixels = torch.from_numpy(square_pixels(source.open(name), resolution).copy())
    image = pixels[None].float() / 127.5 - 1
    return Subject(image, torch.ones_like(image[:, :1]))


def table(rows: list[dict[str, Any]]) -> str:
    """The means in Markdown, and the ratios that are aimed at."""
    lines = ["| projection | photos | LPIPS | PSNR dB | SSIM | processor seconds | steps |", "|---|" + "---|" * 6]
    for key, title in METHODS.items():
        scores = [Score(**row[key]) for row in rows if key in row]
        if scores:
            m = mean(scores)
            figures = f"{m.lpips:.3f} | {m.psnr:.1f} | {m.ssim:.3f} | {m.seconds:.1f} | {m.steps}"
            lines.append(f"| {title} | {len(scores)} | {figures} |")
    lines += ["", *(against(rows, key) for key in ("default", "equal_time"))]
    reached = [row["reached_after"] for row in rows]
    shares = [r / row["official"]["seconds"] for r, row in zip(reached, rows, strict=True) if isinstance(r, float)]
    lines.append(
        f"The default is as near in LPIPS as the official result at last on {len(shares)} of {len(rows)} photos"
        + (f", after {float(np.median(shares)):.3f} of its time (median)." if shares else ".")
    )
    return "\n".join(lines)


def against(rows: list[dict[str, Any]], key: str) -> str:
    """How a method compares with the official one on the photos that both were run on."""
    both = [row for row in rows if key in row]
    if not both:
        return f"{METHODS[key]}: not run."
    ours, official = (mean([Score(**row[method]) for row in both]) for method in (key, "official"))
    return (
        f"{METHODS[key]} ({len(both)} photos), in {ours.seconds / official.seconds:.2f} of the official seconds: "
        f"LPIPS {100 * (1 - ours.lpips / official.lpips):.0f} % lower, "
        f"PSNR {ours.psnr - official.psnr:.1f} dB higher."
    )


def compare(
    results: Annotated[Path, typer.Argument(help="File of JSON lines to read and add to.")],
    photos: Annotated[Path | None, typer.Option(help="Folder or zip file; without it only the table is made.")] = None,
    names: Annotated[Path | None, typer.Option(help="List of photos, one a line; default: all.")] = None,
    model: Annotated[str, typer.Option(help="An installed model's name, or a model file.")] = "default",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many photos.")] = None,
    part: Annotated[str, typer.Option(help="I/N: only every N-th photo, from the I-th on.")] = "0/1",
    steps: Annotated[int, typer.Option(min=1, help="Steps of the official algorithm.")] = STEPS,
    equal_time_every: Annotated[
        int, typer.Option(min=1, help="Run the default for the official's seconds too on every N-th photo of the part.")
    ] = 1,
) -> None:
    """Project each photo both ways, and print the means."""
    torch.set_num_threads(1)
    if photos is not None:
        source, comparison = PhotoSource(photos), Comparison(model, steps)
        first, every = (int(number) for number in part.split("/"))
        chosen = (read_names(names) if names else source.names)[:limit][first::every]
        done = {row["photo"] for row in read(results)}
        for index, name in enumerate(chosen):
            if name in done:
                continue
            subject = subject_of(source, name, comparison.projector.generator.resolution)
            row = comparison.of_photo(name, subject, equal_time=index % equal_time_every == 0)
            with results.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(row) + "\n")
            typer.echo(f"{name}: {row}", err=True)
    rows = read(results)
    if not rows:
        raise GanEditError("no_results", f"There are no results in {results}.", "Name the photos with --photos.")
    typer.echo(table(rows))


def read(results: Path) -> list[dict[str, Any]]:
    """The rows of a results file; none when there is no file yet."""
    if not results.exists():
        return []
    return [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]


def main() -> None:
    try:
        typer.run(compare)
    except GanEditError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
