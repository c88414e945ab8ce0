#!/usr/bin/env python3
"""How an engine's work grows with its workers, and what the queue and Ray cost beside it.

    scripts/scale.py computing results.jsonl                  # real edits by 1, 2 and 4 workers of this machine
    scripts/scale.py simulated results.jsonl --way ray        # 1 to 256 actors that only take time, on a local Ray
    scripts/scale.py simulated results.jsonl --way processes  # the same without Ray
    scripts/scale.py simulated results.jsonl --previews       # with the pictures on the way that a page shows
    scripts/scale.py killed folder                            # a batch of 10,000 whose workers are killed
    scripts/scale.py table results.jsonl

Each run adds its rows to the file. scripts/plot_scale.py draws them; docs/deployment.md holds the results.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from gan_edit_engine.imaging.arrays import to_message
from gan_edit_protocol.requests import EditRequest, JobRequest
from gan_edit_protocol.settings import EditSettings
from gan_edit_protocol.transport import Transport
from report.targets import EYES
from scaling.deaths import batch_with_deaths
from scaling.engines import PROCESSES, RAY, SLEEPER, computing, simulated
from scaling.load import Load, work_through
from scaling.processors import Taken, taken
from scaling.simulated import Effort
from shipped_pictures import shipped

COUNTS = [1, 2, 4, 8, 16, 32, 64, 128, 256]
JOBS_EACH = 5
app = typer.Typer(add_completion=False)
Results = Annotated[Path, typer.Argument(help="File of rows, which is added to.")]


@dataclass(frozen=True)
class Row:
    """``seconds``: that each job takes a worker; ``wall``: that all of them took. ``begun_ms``: from sending one to an
    idle worker to its first word, in the median. ``bytes_per_job``: both ways. ``processor_ms``: what all processes
    took of the processor for each job."""

    kind: str
    workers: int
    jobs: int
    seconds: float
    wall: float
    bytes_per_job: int
    begun_ms: float | None = None
    previews: bool = False
    processor_ms: float | None = None

    @property
    def load(self) -> str:
        """What was measured, but for the number of workers."""
        words = [self.kind, *([f"jobs of {self.seconds:g} s"] if self.seconds else [])]
        return ", ".join([*words, "with previews"] if self.previews else words)

    @property
    def rate(self) -> float:
        """Jobs per second."""
        return self.jobs / self.wall

    @property
    def efficiency(self) -> float:
        """How much of their time the workers worked, where it is known how long a job takes."""
        return self.rate * self.seconds / self.workers

    @property
    def overhead_ms(self) -> float:
        """Of a worker's time for each job, that was not the job's."""
        return (self.wall * self.workers / self.jobs - self.seconds) * 1e3


@app.command("computing")
def measure_computing(
    results: Results,
    workers: Annotated[list[int], typer.Option(help="How many; may be given again.")] = [1, 2, 4],  # noqa: B006
    jobs: Annotated[int, typer.Option(min=1, help="Edits for each number.")] = 8,
    steps: Annotated[int, typer.Option(min=1, help="Of an edit's projection; its scribble is followed for 3/4.")] = 40,
) -> None:
    """Real edits."""
    settings = EditSettings(steps=steps, edit_steps=max(1, steps * 3 // 4), cache=False)
    request = _edit(settings)
    for count in workers:
        with computing(count) as engine, engine.reached() as transport:
            work_through(transport, request, count, count, lambda: None)  # models are loaded
            load = _loaded(transport, request, jobs, count + 1, f"{count} workers")
            _add(results, _row("computing", count, jobs, 0.0, load))


@app.command("simulated")
def measure_simulated(
    results: Results,
    way: Annotated[str, typer.Option(help=f"{RAY} or {PROCESSES}.")] = RAY,
    workers: Annotated[list[int], typer.Option(help="How many; may be given again.")] = COUNTS,
    seconds: Annotated[float, typer.Option(min=0, help="That each job takes.")] = 2.0,
    each: Annotated[int, typer.Option(min=1, help="Jobs for each worker.")] = JOBS_EACH,
    side: Annotated[int, typer.Option(min=16, help="Of the photo's part that travels, in pixels.")] = 512,
    previews: Annotated[bool, typer.Option("--previews", help="As for somebody who looks on.")] = False,
) -> None:
    """Jobs that only take time, as large and as talkative as edits."""
    request = _simulated_edit(side, previews)
    for count in workers:
        effort = Effort(seconds)
        with simulated(way, count, effort) as engine, engine.reached() as transport:
            alone = work_through(transport, request, 5, 1, lambda: None)
            before, jobs = taken(engine.process, SLEEPER), count * each
            load = _loaded(transport, request, jobs, count + min(32, max(2, count // 4)), f"{count} {way}")
            cost = taken(engine.process, SLEEPER).each(jobs, before)
            _print_cost(cost)
            figures = {"begun_ms": statistics.median(alone.to_begin) * 1e3, "processor_ms": cost.all * 1e3}
            _add(results, _row(way, count, jobs, seconds, load, previews=previews, **figures))


@app.command("killed")
def measure_killed(
    folder: Annotated[Path, typer.Argument(help="An empty folder for photos and results.")],
    jobs: Annotated[int, typer.Option(min=1, help="Photos of the batch.")] = 10_000,
    every: Annotated[
        float, typer.Option(min=0.1, help="Seconds after which a worker is killed, again and again.")
    ] = 20.0,
    workers: Annotated[int, typer.Option(min=1, help="How many.")] = 4,
    seconds: Annotated[float, typer.Option(min=0, help="That each job takes.")] = 0.05,
) -> None:
    """A batch whose workers, which only take time, are killed; counts what is lost and what is done twice."""
    counted = batch_with_deaths(folder, jobs, every, workers, Effort(seconds))
    Console().print(", ".join(f"{name} {count}" for name, count in asdict(counted).items()))


@app.command()
def table(results: Results) -> None:
    """Print what is in the file."""
    drawn = Table(
        "kind", "workers", "jobs", "jobs/s", "of ideal", "overhead ms", "begun ms", "processor ms", "kB per job"
    )
    rows = read(results)
    for row in rows:
        one = next(each for each in rows if each.load == row.load)
        ideal = row.efficiency if row.seconds else row.rate / one.rate * one.workers / row.workers
        drawn.add_row(
            row.load,
            *map(str, (row.workers, row.jobs)),
            f"{row.rate:.2f}",
            f"{ideal:.0%}",
            f"{row.overhead_ms:.0f}" if row.seconds else "",
            f"{row.begun_ms:.0f}" if row.begun_ms is not None else "",
            f"{row.processor_ms:.0f}" if row.processor_ms is not None else "",
            f"{row.bytes_per_job / 1e3:.0f}",
        )
    Console().print(drawn)


def read(results: Path) -> list[Row]:
    """The rows of the file."""
    return [Row(**json.loads(line)) for line in results.read_text(encoding="utf-8").splitlines()]


def _loaded(transport: Transport, request: Callable[[int], JobRequest], jobs: int, at_once: int, title: str) -> Load:
    with Progress(console=Console(stderr=True)) as progress:
        shown = progress.add_task(title, total=jobs)
        return work_through(transport, request, jobs, at_once, lambda: progress.advance(shown))


def _row(kind: str, workers: int, jobs: int, seconds: float, load: Load, **more: Any) -> Row:
    return Row(kind, workers, jobs, seconds, load.seconds, (load.bytes_in + load.bytes_out) // jobs, **more)


def _print_cost(cost: Taken) -> None:
    shares = ", ".join(f"{name} {1e3 * seconds:.1f}" for name, seconds in asdict(cost).items())
    Console(stderr=True).print(f"processor's ms for each job: {shares}")


def _add(results: Path, row: Row) -> None:
    with results.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(row)) + "\n")


def _edit(settings: EditSettings) -> Callable[[int], JobRequest]:
    """scikit-image's cat with a blue stroke through her eyes."""
    (photo,) = shipped(["chelsea.png"])
    scribble = np.zeros((*photo.shape[:2], 4), np.uint8)
    for x, y in ((EYES.x1, EYES.y1), (EYES.x2, EYES.y2)):
        scribble[int(y) - 4 : int(y) + 4, int(x) - 8 : int(x) + 8] = (60, 110, 220, 255)
    request = EditRequest(to_message(photo), to_message(scribble), align=EYES, settings=settings)
    return lambda number: request


def _simulated_edit(side: int, previews: bool) -> Callable[[int], JobRequest]:
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    request = EditRequest(to_message(noise), to_message(np.zeros((side, side, 4), np.uint8)), previews=previews)
    return lambda number: request


if __name__ == "__main__":
    app()
