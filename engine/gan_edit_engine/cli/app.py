"""The ``gan-edit`` command: the engine itself, and everything that a person or a script asks of it."""

from __future__ import annotations

import dataclasses
import io
import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from gan_edit_engine import __version__
from gan_edit_engine.cli import install, session
from gan_edit_engine.cli.batch import batch
from gan_edit_engine.cli.edit import AsJson, Assignments, Device, ModelName, edit, project, random
from gan_edit_engine.cli.engine import ConnectionFile, run_engine
from gan_edit_engine.cli.find import find
from gan_edit_engine.cli.imagine import imagine
from gan_edit_engine.cli.interpolate import interpolate
from gan_edit_engine.cli.serve import connect, keys, serve
from gan_edit_engine.imaging.image_files import photo_files
from gan_edit_engine.service import relay
from gan_edit_engine.system.out_of_memory import is_out_of_memory
from gan_edit_protocol import connection, launch, remote
from gan_edit_protocol.default_model import DEFAULT
from gan_edit_protocol.errors import EngineSilentError, EngineUnavailableError, GanEditError
from gan_edit_protocol.events import EngineStatus
from gan_edit_protocol.remote import RemoteTransport
from gan_edit_protocol.settings import (
    EditSettings,
    ImagineSettings,
    InterpolateSettings,
    ProjectSettings,
    RandomSettings,
)
from gan_edit_protocol.spec import Settings

ENGINE_FAULTS = {
    *("internal_error", "worker_died", "worker_start", "engine_unavailable", "engine_shutdown"),
    *("out_of_memory", "queue_full", "version_mismatch"),
}
"""Error codes that are not the input's fault: exit code 1 instead of 2."""
CANCELLED_EXIT = 130

SETTINGS_OF: dict[str, type[Settings]] = {
    "edit": EditSettings,
    "project": ProjectSettings,
    "random": RandomSettings,
    "imagine": ImagineSettings,
    "interpolate": InterpolateSettings,
}

_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}

app = typer.Typer(
    name="gan-edit",
    help="Edit photographs through a generative network, from GIMP or from the command line.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("engine")(run_engine)
for command in (edit, project, random, imagine, interpolate, find, batch, serve, keys, connect):
    app.command()(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"gan-edit {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
    where: Annotated[
        str,
        typer.Option(
            "--engine",
            envvar="GAN_EDIT_ENGINE",
            metavar="URL",
            help="Which engine makes the pictures: local, or a server's address that gan-edit connect knows.",
        ),
    ] = session.LOCAL,
) -> None:
    """Edit photographs through a generative network, from GIMP or from the command line."""
    session.choose(where)


@app.command()
def stop(connection_file: ConnectionFile = None) -> None:
    """End the running engine, of whatever version, and with it the jobs that wait or run."""
    command = _engine_at(connection_file)
    with launch.connect(command) as client:
        client.shutdown()
    ended = launch.wait_for_end(command.connection_file)
    print("The engine has ended." if ended else "The engine was told to end, but has not yet.")


@app.command()
def status(connection_file: ConnectionFile = None, as_json: AsJson = False) -> None:
    """Tell whether an engine runs, on which device, and which models it has."""
    try:
        with launch.connect(_engine_at(connection_file)) as client:
            found, usable = client.status(), client.speaks_our_version
    except EngineUnavailableError as error:
        print(json.dumps({"running": isinstance(error, EngineSilentError)}) if as_json else error.message)
        return
    if as_json:
        print(json.dumps({"running": True, **dataclasses.asdict(found)}))
        return
    one = found.workers[0] if len(found.workers) == 1 else None
    does = f"{one.state}, " if one else ""
    print(f"GAN Edit engine {found.version}, process {found.pid}: {does}{found.jobs} jobs")
    if not usable:
        print("It is of another version of GAN Edit and takes no jobs of this one; end it with: gan-edit stop")
    if one:
        print(f"device: {one.device or 'not known yet'}")
    else:
        _print_workers(found)
    more = [f"and {found.more_models} more (see: gan-edit models list)"] if found.more_models else []
    print(f"models: {', '.join([*found.models, *more])}")


def _print_workers(found: EngineStatus) -> None:
    for number, worker in enumerate(found.workers, 1):
        print(f"worker {number}: {worker}")
    if found.more_workers:
        print(f"and {found.more_workers} more")


@app.command("relay")
def run_relay(
    connection_file: ConnectionFile = None,
    url: Annotated[
        str | None, typer.Option(help="Instead: a server's address that gan-edit connect knows.", metavar="URL")
    ] = None,
) -> None:
    """Carry messages between standard input and output and the engine (for GIMPs whose Python lacks ZeroMQ)."""
    path = connection_file or connection.default_path()
    if url is None:
        relay.relay(path)
    else:
        relay.carry_streams(RemoteTransport(remote.stored(url.rstrip("/"), remote.path_beside(path))))


@app.command()
def synthesize(
    model: Annotated[str, typer.Argument(help="An installed model's name, or a model file.")],
    input_file: Annotated[
        Path, typer.Option("--input", help=".npz with z [N, z_dim], w [N, w_dim] or ws, and c; or the projector's.")
    ],
    output_file: Annotated[Path, typer.Option("--output", help=".npz to write: image, float32 [N, 3, H, W] in -1..1.")],
    noise: Annotated[str, typer.Option(help="const: the noise stored with the model; none: zeros.")] = "const",
    device: Annotated[str, typer.Option(help="cuda, mps, xpu or cpu.")] = "cpu",
) -> None:
    """Compute the images of given latents, exactly as the model makes them, without truncation."""
    # Imported here because it brings torch, which takes seconds to load and which the engine itself must not hold.
    from gan_edit_engine.cli import synthesize as synthesis  # noqa: PLC0415

    count = synthesis.synthesize(model, input_file, output_file, noise, device)
    print(f"{output_file}: {count} images")


@app.command()
def evaluate(
    photos: Annotated[Path, typer.Option(help="A folder of photos, each showing what the model knows, aligned.")],
    model: ModelName = DEFAULT,
    assignments: Assignments = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many photos.")] = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Project photos and print PSNR, SSIM, LPIPS (VGG-16), seconds and steps, each and in the mean."""
    from gan_edit_engine.cli import evaluate as scores  # noqa: PLC0415 - it brings torch, as above

    settings = ProjectSettings.from_assignments(assignments or [])
    scores.evaluate(photo_files(photos)[:limit], model, settings, device, as_json)


# Everything behind "models" belongs to an app of its own, which reads its own options.
@app.command("models", context_settings={**_PASS_ON, "help_option_names": []})
def run_models(context: typer.Context) -> None:
    """List, describe, download, import and remove models."""
    from gan_edit_engine.cli import models as models_cli  # noqa: PLC0415 - it brings torch, as above

    models_cli.app(args=context.args, prog_name="gan-edit models")


@app.command("install-plugin")
def install_plugin(
    profile: Annotated[
        list[Path] | None,
        typer.Option(help="A GIMP 3 profile folder, such as ~/.config/GIMP/3.0; by default all that are found."),
    ] = None,
    uninstall: Annotated[bool, typer.Option("--uninstall", help="Remove the plug-in again.")] = False,
) -> None:
    """Put the plug-in into GIMP 3."""
    action = install.uninstall if uninstall else install.install
    for sentence in action(profile or None):
        print(sentence)


@app.command()
def settings() -> None:
    """List every setting that --set and GIMP's dialogs take, with its default and range."""
    for name, kind in SETTINGS_OF.items():
        table = Table(
            "setting", "default", "range", "meaning", title=f"gan-edit {name} --set ...", title_justify="left"
        )
        for spec in kind.specs():
            table.add_row(spec.name, str(spec.default), spec.range, spec.help)
        Console().print(table)


def _engine_at(connection_file: Path | None) -> launch.EngineCommand:
    default = session.default_engine()
    return launch.EngineCommand(default.program, connection_file or default.connection_file, default.log_file)


def main(arguments: list[str] | None = None) -> None:
    """The console script. A :class:`GanEditError` becomes one line and exit code 2, or 1 when it is not the input's."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal cannot print is no reason to end
            stream.reconfigure(errors="backslashreplace")
    try:
        app(args=arguments)
    except GanEditError as error:
        print(f"gan-edit: {error}", file=sys.stderr)
        if error.code == "cancelled":
            sys.exit(CANCELLED_EXIT)
        sys.exit(1 if error.code in ENGINE_FAULTS else 2)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        print("gan-edit: The memory is full. Close other programs or make the picture smaller.", file=sys.stderr)
        sys.exit(1)
