"""`gan-edit models`: list, describe, download, import and remove models."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

from gan_edit_engine.library import catalogue, downloads, encoders, importing, models, perceptual_files, pulling
from gan_edit_engine.library.models_folder import MODELS_DIR_VARIABLE, encoder_path, is_installed
from gan_edit_engine.library.models_folder import models_dir as folder_in_use
from gan_edit_engine.system.printable import printable
from gan_edit_protocol.errors import GanEditError

app = typer.Typer(
    help="List, describe, download, import and remove models.", no_args_is_help=True, add_completion=False
)

ModelsDir = Annotated[
    Path | None, typer.Option("--models-dir", envvar=MODELS_DIR_VARIABLE, help="The folder that holds the models.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command("list")
def list_models(models_dir: ModelsDir = None, as_json: AsJson = False) -> None:
    """The installed models, and those that `pull` can get."""
    found = models.installed(models_dir)
    names = {info.name for info in found}
    available = [entry for entry in catalogue.MODELS if entry.name not in names]
    if as_json:
        listed = {
            "installed": [_info_json(i, models_dir) for i in found],
            "available": [dataclasses.asdict(e) for e in available],
        }
        print(json.dumps(listed))
        return
    table = Table("name", "family", "pixels", "shows", "licence", title="installed", title_justify="left")
    for info in found:
        shown = (info.name, info.family, str(info.resolution), info.domain, info.licence)
        table.add_row(*map(Text, shown))  # square brackets in it are what somebody wrote, not rich's markup
    Console().print(table)
    table = Table("name", "pixels", "shows", "licence", title="gan-edit models pull NAME", title_justify="left")
    table.columns[0].no_wrap = True
    for entry in available:
        table.add_row(entry.name, str(entry.resolution), entry.domain, _short(entry.licence))
    for name in perceptual_files.NAMES:
        state = "installed" if perceptual_files.weights_path(name, models_dir).is_file() else _short(_licence(name))
        table.add_row(name, "", "perceptual network", state)
    Console().print(table)


@app.command()
def info(
    name: Annotated[str, typer.Argument(metavar="NAME-or-FILE", help="A model's name, or a checkpoint of any format.")],
    models_dir: ModelsDir = None,
    as_json: AsJson = False,
) -> None:
    """What is known of an installed model, a file or a catalogue entry."""
    described = _describe(name, models_dir)
    if as_json:
        print(json.dumps(described))
        return
    for key, value in described.items():
        print(f"{key:<17} {'none' if value is None else printable(str(value))}")


@app.command()
def pull(
    name: Annotated[str, typer.Argument(help="A name from `gan-edit models list`, vgg19 or vgg16-lpips.")],
    models_dir: ModelsDir = None,
    keep_download: Annotated[bool, typer.Option("--keep-download", help="Keep the original file too.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask whether the licence is accepted.")] = False,
) -> None:
    """Download a model (going on where an earlier download stopped), verify it and install it."""
    if name in perceptual_files.NAMES:
        source = catalogue.VGG19.source if name == catalogue.VGG19.name else perceptual_files.LPIPS_SOURCE
        _show_licence(name, _licence(name), source, yes)
        with _progress(name) as progress:
            path = pulling.pull_perceptual(name, progress, models_dir)
    else:
        entry = catalogue.find_entry(name)
        _show_licence(name, entry.licence, entry.licence_url, yes)
        with _progress(name) as progress:
            path = pulling.pull_model(entry, progress, models_dir, keep_download)
    print(f"{name} is installed: {path}")


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="A checkpoint of any supported format.")],
    name: Annotated[str | None, typer.Option(help="The model's name; by default the file's.")] = None,
    domain: Annotated[str, typer.Option(help="What the model shows, such as 'cat face'.")] = "",
    licence: Annotated[str, typer.Option(help="The licence of the weights.")] = "",
    provenance: Annotated[str, typer.Option(help="Where the weights come from.")] = "",
    align: Annotated[
        str | None, typer.Option(metavar="X1,Y1,X2,Y2", help="The two alignment points in the unit square, e.g. eyes.")
    ] = None,
    models_dir: ModelsDir = None,
) -> None:
    """Convert a checkpoint to the project's format; from then on its name works everywhere."""
    points = "" if align is None else _align_json(align)
    description = importing.Description(domain, provenance, licence, points)
    made = importing.import_model(file, name, description, models_dir)
    print(f"{made.name} is installed: {made.path}")


@app.command()
def encoder(
    name: Annotated[str, typer.Argument(help="An imported model's name.")],
    file: Annotated[Path, typer.Argument(help="What scripts/train_encoder.py wrote for this model.")],
    models_dir: ModelsDir = None,
) -> None:
    """Give an imported model its encoder: projections then start from its answer."""
    print(f"{name} has an encoder: {encoders.attach_encoder(name, file, models_dir)}")


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="An imported model's name.")], models_dir: ModelsDir = None
) -> None:
    """Delete an imported model, and its encoder."""
    print(f"Deleted {importing.remove_model(name, models_dir)}")


@app.command()
def path(
    name: Annotated[str | None, typer.Argument(help="A model's name; without it, the models folder.")] = None,
    models_dir: ModelsDir = None,
) -> None:
    """Where the models, or one of them, are on the disk."""
    print(folder_in_use(models_dir) if name is None else models.find_model(name, models_dir))


def _describe(name: str, folder: Path | None) -> dict[str, object]:
    """Facts of an installed model or file; of the catalogue's entry when only that exists."""
    try:
        return _info_json(models.open_model(name, folder=folder).info, folder)
    except GanEditError as error:
        if error.code != "unknown_model" or not any(entry.name == name for entry in catalogue.MODELS):
            raise
    entry = catalogue.find_entry(name)
    by_hand = str(pulling.download_path(entry, folder))
    return {**dataclasses.asdict(entry), "installed": False, "place_by_hand_at": by_hand}


def _info_json(info: models.ModelInfo, folder: Path | None) -> dict[str, object]:
    encoder_file = encoder_path(info.path, folder)
    has_one = encoder_file is not None and encoder_file.is_file()
    found = {"path": str(info.path), "encoder": str(encoder_file) if has_one else None}
    return {**dataclasses.asdict(info), **found, "installed": is_installed(info.path, folder)}


def _short(licence: str) -> str:
    """What fits a table: whether the licence forbids commercial use, else its first words."""
    return "non-commercial" if "non-commercial" in licence else licence.partition(" (")[0]


def _licence(name: str) -> str:
    return catalogue.VGG19.licence if name == catalogue.VGG19.name else perceptual_files.LPIPS_LICENCE


def _show_licence(name: str, licence: str, address: str, yes: bool) -> None:
    """Print the licence before anything is fetched; at a terminal, ask."""
    print(f"{name}: {licence}\n{address}")
    if sys.stdin.isatty() and not yes and not typer.confirm("Download it under this licence?"):
        raise GanEditError("licence_declined", "Nothing was downloaded.")


def _align_json(text: str) -> str:
    try:
        x1, y1, x2, y2 = (float(part) for part in text.split(","))
    except ValueError:
        raise GanEditError("bad_setting", f"--align takes four numbers X1,Y1,X2,Y2, not {text!r}.") from None
    if not all(0 <= value <= 1 for value in (x1, y1, x2, y2)):
        raise GanEditError("bad_setting", "--align takes points in the unit square: all four numbers in 0..1.")
    return json.dumps([[x1, y1], [x2, y2]])


@contextmanager
def _progress(name: str) -> Iterator[downloads.Progress]:
    """A progress bar on standard error; it says what is done, how fast, and how long it will take."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
