"""What each procedure does, from GIMP's call to its return values."""

from __future__ import annotations

import logging
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gi.repository import Gimp, GLib, GObject

import arguments
import dialogs
import insert
import installation
import layers
import parasites
import pixels
import stack
from gan_edit_protocol import launch
from gan_edit_protocol.client import Client
from gan_edit_protocol.errors import EngineSilentError, EngineUnavailableError, GanEditError, JobCancelledError
from gan_edit_protocol.messages import (
    Array,
    EditRequest,
    EngineStatus,
    InterpolateRequest,
    ProjectRequest,
    RandomRequest,
    ResultReady,
)
from gan_edit_protocol.settings import EditSettings, InterpolateSettings, ProjectSettings, RandomSettings
from progress import ProgressBar

Values = list[tuple[Any, Any]]
"""Return values with their GObject types, in the order in which the procedure declares them."""


@dataclass(frozen=True)
class Call:
    """One call of a procedure."""

    procedure: Gimp.ImageProcedure
    interactive: bool
    image: Gimp.Image | None
    drawables: list[Gimp.Drawable]
    config: Gimp.ProcedureConfig
    engine: launch.EngineCommand

    def ask(self, ordered: list[str] | None = None) -> None:
        """Show the dialog when there is a person; :class:`JobCancelledError` when it is dismissed.

        ``ordered``: names of layers whose order counts.
        """
        if not self.interactive:
            return
        choices = stack.plain_layers(self.image) if self.image else []
        if self.config.find_property(arguments.START_LAYER):
            self.config.set_property(arguments.START_LAYER, None)  # last time's may be of another photo
        # Started before the dialog: it lists the installed models, and the worker is ready when OK is pressed.
        with _engine(self, "Starting the GAN Edit engine") as (client, _):
            models = client.status().models
        if not dialogs.ask(self.procedure, self.config, choices, models, ordered or []):
            raise JobCancelledError


def run(
    procedure: Gimp.ImageProcedure,
    run_mode: Gimp.RunMode,
    image: Gimp.Image | None,
    drawables: list[Gimp.Drawable],
    config: Gimp.ProcedureConfig,
) -> Gimp.ValueArray:
    """Perform the call. Whatever goes wrong is returned as one plain sentence; the details are in the log."""
    log = logging.getLogger("gan-edit")
    try:
        installed = installation.read()
        log = installation.start_log(installed.log_file)
        log.info("%s (%s)", procedure.get_name(), run_mode.value_nick)
        interactive = run_mode == Gimp.RunMode.INTERACTIVE
        values = ACTIONS[procedure.get_name()](
            Call(procedure, interactive, image, list(drawables), config, installed.engine)
        )
    except JobCancelledError:
        return procedure.new_return_values(Gimp.PDBStatusType.CANCEL, None)
    except GanEditError as error:
        log.warning("%s: %s", error.code, error)
        return _failure(procedure, str(error))
    except Exception as error:  # GIMP would pass on nothing at all
        log.exception("unexpected")
        return _failure(procedure, f"GAN Edit failed unexpectedly ({error!r}). The plug-in's log has the details.")
    log.info("done")
    returned = procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, None)
    for number, (kind, value) in enumerate(values, start=1):
        returned.remove(number)
        returned.insert(number, GObject.Value(kind, value))
    return returned


def _failure(procedure: Gimp.Procedure, text: str) -> Gimp.ValueArray:
    return procedure.new_return_values(Gimp.PDBStatusType.EXECUTION_ERROR, GLib.Error(text))


def edit_with_scribble(call: Call) -> Values:
    """Edit the photo's layer after the scribble, inside the selection."""
    image = _image(call)
    scene = layers.find_scene(image, call.drawables, call.config.get_property("scribble"))
    call.config.set_property("scribble", scene.scribble)
    call.ask()
    scene = layers.find_scene(image, call.drawables, call.config.get_property("scribble"))
    settings = arguments.read_settings(call.config, EditSettings)
    request = EditRequest(
        photo=pixels.read_photo(scene.photo),
        scribble=pixels.read_scribble(scene.scribble, scene.photo),
        mask=_mask(image, scene.photo),
        align=layers.find_align(image, scene.photo),
        settings=settings,
        **_model_and_start(call, parasites.read_projection),
    )
    if not pixels.any_painted(request.scribble, request.mask):
        raise GanEditError(
            "empty_scribble",
            f"Nothing is painted on the layer “{scene.scribble.get_name()}” inside the selection.",
            "Paint the wanted colours there, or change the selection.",
        )
    result = _run_job(call, request, "Editing the photo")
    with insert.one_undo_step(image):
        layer = insert.insert_edit(scene.photo, result, "scribble", settings, request.model)
        if call.config.get_property("hide-scribble") and scene.scribble.is_valid():
            scene.scribble.set_visible(False)
    return [(Gimp.Layer, layer)]


def project(call: Call) -> Values:
    """Put the model's own version of the photo above it."""
    image = _image(call)
    photo = layers.find_photo(call.drawables)
    call.ask()
    settings = arguments.read_settings(call.config, ProjectSettings)
    request = ProjectRequest(
        photo=pixels.read_photo(photo),
        mask=_mask(image, photo),
        align=layers.find_align(image, photo),
        settings=settings,
        **_model_and_start(call, parasites.read),
    )
    result = _run_job(call, request, "Projecting the photo")
    with insert.one_undo_step(image):
        layer = insert.insert_edit(photo, result, "projection", settings, request.model)
    return [(Gimp.Layer, layer)]


def random_image(call: Call) -> Values:
    """Put a random image of the model into the open image, or into a new one."""
    call.ask()
    settings = arguments.read_settings(call.config, RandomSettings)
    model = call.config.get_property("model")
    result = _run_job(call, RandomRequest(model, settings), "Drawing a random image")
    if call.image is not None:
        with insert.one_undo_step(call.image):
            layer = insert.insert_picture(call.image, result, "random", settings, model)
        return [(Gimp.Layer, layer)]
    height, width = result.image.shape[:2]
    image = Gimp.Image.new(width, height, Gimp.ImageBaseType.RGB)
    layer = insert.insert_picture(image, result, "random", settings, model)
    if call.interactive:
        Gimp.Display.new(image)
    return [(Gimp.Layer, layer)]


def _model_and_start(
    call: Call, read: Callable[[Gimp.Layer], parasites.KeptLatent | None]
) -> dict[str, str | Array | None]:
    """The request's model, and the latent of the layer to start from, if one is chosen."""
    model, layer = call.config.get_property("model"), call.config.get_property(arguments.START_LAYER)
    if layer is None:
        return {"model": model}
    kept = read(layer)
    if kept is None:
        raise GanEditError(
            "no_latent",
            f"No latent is kept with the layer “{layer.get_name()}”.",
            "Start from a layer that GAN Edit made.",
        )
    if model not in ("default", kept.model):
        raise GanEditError(
            "bad_latent",
            f"The layer “{layer.get_name()}” was made with the model {kept.model}, not {model}.",
            "Choose that model, or no layer to start from.",
        )
    return {"model": kept.model, "latent": kept.latent, "noise": kept.noise}


def interpolate(call: Call) -> Values:
    """Make a new image whose layers are the way between the latents of several layers."""
    image = _image(call)
    stops = _stops(image, call.drawables)
    call.ask([layer.get_name() for layer, _ in stops])
    settings = arguments.read_settings(call.config, InterpolateSettings)
    request = _interpolation([kept for _, kept in stops], settings)
    with _engine(call, "Interpolating") as (client, bar):
        result = client.run(request, bar.show)
    animation = insert.new_animation(result, settings, request.model)
    if call.interactive:
        Gimp.Display.new(animation)
    return [(Gimp.Image, animation)]


def _interpolation(kept: list[parasites.KeptLatent], settings: InterpolateSettings) -> InterpolateRequest:
    """The way on the sphere goes through z, where all layers have one; everything else through w+."""
    zs = [each.z for each in kept if each.z is not None]
    in_z = settings.mode == "spherical" and len(zs) == len(kept)
    chosen = zs if in_z else [each.latent for each in kept]
    latents = Array("float32", (len(chosen), *chosen[0].shape), b"".join(each.data for each in chosen))
    psis = struct.pack(f"<{len(kept)}f", *(each.truncation_psi for each in kept))
    truncations = Array("float32", (len(kept),), psis) if in_z else None
    return InterpolateRequest(latents, truncations, kept[0].model, settings)


def _stops(image: Gimp.Image, chosen: list[Gimp.Drawable]) -> list[tuple[Gimp.Layer, parasites.KeptLatent]]:
    """The chosen layers, or all where fewer than two are chosen, that keep a latent, from the lowest layer up."""
    candidates = stack.plain_layers(image)
    if len(chosen) >= 2:
        candidates = [layer for layer in candidates if layer in chosen]
    stops = [(layer, kept) for layer in reversed(candidates) if (kept := parasites.read(layer)) is not None]
    if len(stops) < 2:
        raise GanEditError(
            "too_few_latents",
            f"Interpolation needs two layers made by GAN Edit, and there are {len(stops)}.",
            "Make some with Random Image or Project Photo, or select them.",
        )
    if len({(kept.model, kept.latent.shape) for _, kept in stops}) > 1:
        raise GanEditError("bad_latent", "The layers come from different models.", "Select layers of one model.")
    return stops


def show_status(call: Call) -> Values:
    """Tell how the engine is, in a small window or as return values, and end it when asked to."""
    if call.interactive:
        dialogs.show_status(lambda: _status(call.engine), lambda: _start(call), lambda: _end(call.engine))
    status = _status(call.engine)
    if status is not None and call.config.get_property("end-engine") and not call.interactive:
        _end(call.engine)
    shown = status or EngineStatus()
    texts = (shown.version, shown.worker, shown.device, "\n".join(shown.models))
    return [
        (GObject.TYPE_BOOLEAN, status is not None),
        *((GObject.TYPE_STRING, text) for text in texts),
        (GObject.TYPE_INT, shown.jobs),
    ]


ACTIONS: dict[str, Callable[[Call], Values]] = {
    "gan-edit-scribble": edit_with_scribble,
    "gan-edit-project": project,
    "gan-edit-random": random_image,
    "gan-edit-interpolate": interpolate,
    "gan-edit-status": show_status,
}


def _image(call: Call) -> Gimp.Image:
    if call.image is None:
        raise GanEditError("no_image", "No image is open.", "Open a photo first.")
    return call.image


def _mask(image: Gimp.Image, photo: Gimp.Layer) -> Any:
    mask = pixels.read_selection(image, photo)
    if mask is not None and not any(mask.data):
        raise GanEditError(
            "empty_mask",
            f"The selection does not touch the layer “{photo.get_name()}”.",
            "Select a region of the photo.",
        )
    return mask


def _run_job(call: Call, request: EditRequest | ProjectRequest | RandomRequest, title: str) -> ResultReady:
    with _engine(call, title) as (client, bar):
        return client.run(request, bar.show)


@contextmanager
def _engine(call: Call, title: str) -> Iterator[tuple[Client, ProgressBar]]:
    """The engine, started when none answers, which ends with GIMP and its other users; a progress bar for its work."""
    bar = ProgressBar(title)
    try:
        with launch.connect_or_start(call.engine, os.getppid(), bar.starting) as client:
            yield client, bar
    finally:
        bar.end()


def _status(engine: launch.EngineCommand) -> EngineStatus | None:
    try:
        with launch.connect(engine) as client:
            return client.status()
    except EngineSilentError:
        raise
    except EngineUnavailableError:
        return None


def _start(call: Call) -> None:
    with _engine(call, "Starting the GAN Edit engine"):
        pass


def _end(engine: launch.EngineCommand) -> None:
    try:
        with launch.connect(engine) as client:
            client.shutdown()
        launch.wait_for_end(engine.connection_file)
    except EngineSilentError:
        raise
    except EngineUnavailableError:
        return  # it has ended already
