"""``gan-edit batch``: the same for thousands of photos, from a folder or from a file of jobs."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

from gan_edit_engine.batch.contact import make_sheet
from gan_edit_engine.batch.driver import Clients, Driver, Tally
from gan_edit_engine.batch.jobs import Job, Wanted, check_apart, jobs_of
from gan_edit_engine.batch.report import NAME, Line, Report, held, is_done, left_of
from gan_edit_engine.batch.studio import Judge, Studio
from gan_edit_engine.cli.edit import Assignments, CropText, Device, Keep, ModelName, Quality, Seed, given_place
from gan_edit_engine.cli.progress import Interrupts
from gan_edit_engine.cli.session import engine
from gan_edit_engine.imaging.crop import Image
from gan_edit_engine.system.printable import printable
from gan_edit_protocol.client import Client
from gan_edit_protocol.default_model import DEFAULT
from gan_edit_protocol.errors import GanEditError, JobCancelledError
from gan_edit_protocol.geometry import Crop

_PACE_SECONDS = 300.0
"""Over which the photos a minute are counted."""
_FIGURES = ("psnr", "ssim", "lpips", "seconds")

Source = Annotated[
    Path, typer.Argument(metavar="FOLDER|JOBS.jsonl", help="A folder of photos, or a file with one JSON object a line.")
]
Output = Annotated[
    Path, typer.Option(help="The folder for results and report.jsonl; the same command again goes on where it ended.")
]
Task = Annotated[str, typer.Option(help="project, edit or evaluate.")]
Scribble = Annotated[
    Path | None,
    typer.Option(
        help="For edit: an RGBA PNG painted once for all photos, on the model's own square (then a square), or on "
        "--scribble-on."
    ),
]
ScribbleOn = Annotated[
    Path | None,
    typer.Option(help="The photo that the scribble was painted on; from its face it is laid on every other one."),
]
MaskFile = Annotated[
    Path | None,
    typer.Option(help="What may change: of the scribble's picture, or without one a picture of the photos' size."),
]
Directions = Annotated[
    list[Path] | None,
    typer.Option(
        "--direction",
        help="For edit: a difference of latents (.npz); or given twice, two latents (as --latents writes them): from "
        "the first to the second.",
    ),
]
Amount = Annotated[float, typer.Option(min=-10, max=10, help="How much of the direction is added.")]
Latents = Annotated[
    bool | None,
    typer.Option("--latents/--no-latents", help="Also write each result's latent. Default: for project."),
]
Retry = Annotated[bool, typer.Option("--retry", help="Try those again that failed before.")]
Contact = Annotated[
    bool, typer.Option("--contact/--no-contact", help="Write a contact sheet, contact.webp, of before and after.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object about the batch.")]


def batch(
    source: Source,
    output: Output,
    task: Task = "project",
    scribble: Scribble = None,
    scribble_on: ScribbleOn = None,
    mask: MaskFile = None,
    direction: Directions = None,
    amount: Amount = 1.0,
    model: ModelName = DEFAULT,
    quality: Quality = None,
    seed: Seed = None,
    assignments: Assignments = None,
    crop: CropText = None,
    latents: Latents = None,
    retry: Retry = False,
    contact: Contact = True,
    device: Device = None,
    keep: Keep = True,
    as_json: AsJson = False,
) -> None:
    """Project, edit or evaluate all photos of a folder, or what a file of jobs asks for."""
    short = (f"{name}={value}" for name, value in (("quality", quality), ("seed", seed)) if value is not None)
    wanted = Wanted(
        task,
        model,
        scribble,
        scribble_on,
        mask=mask,
        direction=tuple(direction or ()),
        amount=amount,
        crop=_crop(crop),
        settings=(*short, *(assignments or ())),
        latents=latents,
    )
    jobs = jobs_of(source, wanted)
    check_apart(jobs, output)
    if source.is_file() and os.path.realpath(source) == os.path.realpath(output / NAME):
        raise GanEditError("bad_output", f"{source} would be the report, too.", "Give another --output.")
    judge = _judge() if any(job.wanted.task == "evaluate" for job in jobs) else None
    with held(output), Report(output) as report:
        work = _Work(output, jobs, wanted, report, Studio(output, judge))
        about = work.run(retry, lambda: engine(device, keep))
        about["contact"] = _sheets(output, jobs, report) if contact else []
    if as_json:
        print(json.dumps(about))
    else:
        _print(about, retry)
    if about["failed"]:
        raise typer.Exit(1)


class _Work:
    """The jobs of a command, from what its folder holds already to what is said in the end."""

    def __init__(self, folder: Path, jobs: list[Job], wanted: Wanted, report: Report, studio: Studio) -> None:
        self._folder, self._jobs, self._wanted = folder, jobs, wanted
        self._report, self._studio = report, studio
        self._checked = False

    def run(self, retry: bool, connect: Callable[[], AbstractContextManager[Client]]) -> dict[str, Any]:
        """Do what is left; what is to be told of all. JobCancelledError's sentence says how it goes on."""
        left = left_of(self._jobs, self._report, retry, self._studio.has_files)
        tally = Tally(len(self._jobs), *self._ended(left))
        began = time.monotonic()
        with Interrupts() as interrupts, _bar(tally) as tell:
            driver = Driver(self._studio.make, self._report.add, tell, lambda: interrupts.any)
            try:
                if left:
                    driver.run(left, lambda: self._connected(connect, lambda: interrupts.any), tally)
            except JobCancelledError:
                raise GanEditError(
                    "cancelled",
                    f"Stopped; {tally.done} of {tally.total} photos are done.",
                    "The same command goes on from there.",
                ) from None
        return self._about(tally, time.monotonic() - began)

    def _ended(self, left: Sequence[Job]) -> tuple[int, int]:
        """How many are done, and have failed, of those that are not left."""
        waiting = {job.output for job in left}
        ended = [is_done(self._report.lines[job.output]) for job in self._jobs if job.output not in waiting]
        return sum(ended), len(ended) - sum(ended)

    @contextmanager
    def _connected(
        self, connect: Callable[[], AbstractContextManager[Client]], cancelled: Callable[[], bool]
    ) -> Iterator[Clients]:
        with connect() as client:
            if not self._checked:
                self._studio.check(self._jobs, self._wanted, client, cancelled)
                self._checked = True
            with client.shared() as clients:
                yield clients

    def _about(self, tally: Tally, seconds: float) -> dict[str, Any]:
        rate = round(60 * tally.now / seconds, 2) if tally.now else 0.0
        lines = [line for job in self._jobs if is_done(line := self._report.lines.get(job.output))]
        return {
            **{name: getattr(tally, name) for name in ("total", "done", "failed", "now")},
            "seconds": round(seconds, 1),
            "photos_per_minute": rate,
            "report": str(self._folder / NAME),
            "mean": _means(lines),
        }


def _means(lines: Sequence[Line | None]) -> dict[str, float]:
    """Of the figures that the photos have."""
    found = {
        name: [line[name] for line in lines if line is not None and line.get(name) is not None] for name in _FIGURES
    }
    return {name: sum(values) / len(values) for name, values in found.items() if values}


@contextmanager
def _bar(tally: Tally) -> Iterator[Callable[[Tally, Job | None, Line | None], None]]:
    """A bar on standard error with the photos done, their pace, the time left and how many failed."""
    pace, failed = TextColumn("{task.fields[pace]}"), TextColumn("[red]{task.fields[failed]}")
    with _progress(pace, TimeRemainingColumn(), failed) as bar:
        ended = tally.done + tally.failed
        task = bar.add_task("Photos", total=tally.total, completed=ended, pace="", failed="")

        def tell(tally: Tally, job: Job | None, line: Line | None) -> None:
            if job is not None and line is not None and not is_done(line):
                text = f"{printable(job.name)}: {line['message']}"
                bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
            pace = bar.tasks[0].speed
            bar.update(
                task,
                description=tally.state or "Photos",
                completed=tally.done + tally.failed,
                pace="" if pace is None else f"{60 * pace:.1f} a minute",
                failed=f"{tally.failed} failed" if tally.failed else "",
            )

        yield tell


def _sheets(folder: Path, jobs: list[Job], report: Report) -> list[str]:
    with _progress() as bar:
        task = bar.add_task("Contact sheet", total=None)
        made = make_sheet(folder, jobs, report, lambda page, of: bar.update(task, completed=page, total=of))
    return [str(sheet) for sheet in made]


@contextmanager
def _progress(*more: ProgressColumn) -> Iterator[Progress]:
    # While pictures are decoded nothing comes through descriptor 2.
    with os.fdopen(os.dup(2), "w", encoding="utf-8", errors="backslashreplace") as errors:
        console = Console(file=errors)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), *more)
        hidden = not console.is_terminal
        with Progress(
            *columns, console=console, transient=True, disable=hidden, speed_estimate_period=_PACE_SECONDS
        ) as bar:
            yield bar


def _print(about: dict[str, Any], retry: bool) -> None:
    pace = f", {about['photos_per_minute']:g} a minute" if about["now"] else ""
    print(f"{about['report']}: {about['done']} of {about['total']} photos are done{pace}.")
    figures = {"psnr": "PSNR {:.2f} dB", "ssim": "SSIM {:.3f}", "lpips": "LPIPS {:.3f}"}
    if "lpips" in about["mean"]:
        print(f"In the mean: {', '.join(text.format(about['mean'][name]) for name, text in figures.items())}.")
    if about["failed"]:
        again = "" if retry else "; --retry tries them again"
        print(f"{about['failed']} failed, as the report says{again}.")
    if about["contact"]:
        more = f" and {len(about['contact']) - 1} more pages" if len(about["contact"]) > 1 else ""
        print(f"Before and after: {about['contact'][0]}{more}")


def _crop(text: str | None) -> Crop | None:
    place = given_place(None, text)
    return None if place is None else place.crop


def _judge() -> Judge:
    """Scores images by SSIM and LPIPS, here and not by the engine."""
    # These bring torch, which takes seconds to load.
    import torch  # noqa: PLC0415

    from gan_edit_engine.imaging.view import to_tensor  # noqa: PLC0415
    from gan_edit_engine.inversion.subject import Subject  # noqa: PLC0415
    from gan_edit_engine.worker import evaluate  # noqa: PLC0415

    cpu = torch.device("cpu")
    judge, lock = evaluate.Judge(cpu), threading.Lock()

    def score(square: Image, image: Image) -> dict[str, float]:
        ours, theirs = (to_tensor(colours, 3, cpu) for colours in (image, square))
        with lock:
            found = judge.score("", ours, Subject(theirs, torch.ones_like(theirs[:, :1])), 0.0, 0)
        return {"ssim": found.ssim, "lpips": found.lpips}

    return score
