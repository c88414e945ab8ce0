"""What each procedure does, from GIMP's call to its return values."""

from __future__ import annotations

import dataclasses
import logging
import os
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
import look
import parasites
import pixels
import stack
import typed
from gan_edit_protocol import launch
from gan_edit_protocol.arrays import ITEM_SIZES, Array
from gan_edit_protocol.client import Client
from gan_edit_protocol.errors import EngineSilentError, EngineUnavailableError, GanEditError, JobCancelledError
from gan_edit_protocol.events import EngineStatus, ResultReady
from gan_edit_protocol.geometry import Align, Box, Place
from gan_edit_protocol.latent import Latent
from gan_edit_protocol.requests import (
    EditRequest,
    ImagineRequest,
    InterpolateRequest,
    LookRequest,
    ProjectRequest,
    RandomRequest,
)
from gan_edit_protocol.settings import (
    EditSettings,
    ImagineSettings,
    InterpolateSettings,
    ProjectSettings,
    RandomSettings,
)
from progress import ProgressBar

Values = list[tuple[Any, Any]]
"""Return values with their GObject types, in the order in which the procedure declares them."""


@dataclass(frozen=True)
class Call:
    """One call of a procedure. ``interactive``: its dialog is wanted; ``attended``: there is a person to ask."""

    procedure: Gimp.ImageProcedure
    interactive: bool
    attended: bool
    image: Gimp.Image | None
    drawables: list[Gimp.Drawable]
    config: Gimp.ProcedureConfig
    engine: launch.EngineCommand

    def ask(self, ordered: list[str] | None = None, photos: dict[Gimp.Layer | None, str] | None = None) -> None:
        """Show the dialog when there is a person; :class:`JobCancelledError` when it is dismissed.

        ``ordered``: names of layers whose order counts. ``photos``: as in ``dialogs.ask``.
        """
        if not self.interactive:
            return
        choices = stack.plain_layers(self.image) if self.image else []
        if self.config.find_property(arguments.START_LAYER):
            self.config.set_property(arguments.START_LAYER, None)  # last time's may be of another photo
        # Started before the dialog: it lists the installed models, and the worker is ready when OK is pressed.
        with _engine(self, "Starting the GAN Edit engine") as (client, _):
            models = client.status().models
        if not dialogs.ask(self.procedure, self.config, choices, models, ordered or [], photos or {}):
            raise JobCancelledError
        typed.keep(self.config, self.image)


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
        interactive, attended = run_mode == Gimp.RunMode.INTERACTIVE, run_mode != Gimp.RunMode.NONINTERACTIVE
        values = ACTIONS[procedure.get_name()](
            Call(procedure, interactive, attended, image, list(drawables), config, installed.engine)
        )
    except JobCancelledError:
        return procedure.new_return_values(Gimp.PDBStatusType.CANCEL, None)
    except GanEditError as error:
        log.warning("%s: %s", error.code, error)
        return _failure(procedure, str(error))
    except MemoryError:
        log.warning("the memory is full", exc_info=True)
        return _failure(procedure, "The memory is full. Select a smaller part of the photo, or close other programs.")
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
    scene = _scene(call, image)
    settings = arguments.read_settings(call.config, EditSettings)
    align = layers.find_align(image, scene.photo)
    start = _model_and_start(call, parasites.read_projection)

    def request(client: Client) -> EditRequest:
        part = _part(client, image, scene.photo, start["model"], align, settings.feather)
        with look.photo_as_seen(scene.photo) as photo, look.paint_as_seen(scene.scribble, scene.photo) as scribble:
            made = EditRequest(
                photo=pixels.read_photo(photo, part),
                scribble=pixels.read_scribble(scribble, scene.photo, part),
                mask=_mask(image, scene.photo, part),
                align=align,
                place=_place(scene.photo, part),
                settings=settings,
                **start,
            )
        if not pixels.any_painted(made.scribble, made.mask):
            raise GanEditError(
                "empty_scribble",
                f"Nothing is painted on the layer “{scene.scribble.get_name()}” inside the selection.",
                "Paint the wanted colours there, or change the selection.",
            )
        return made

    result = _run_job(call, request, "Editing the photo")
    with insert.one_undo_step(image):
        layer = insert.insert_edit(scene.photo, result, "scribble", settings, start["model"])
        if call.config.get_property("hide-scribble") and scene.scribble.is_valid():
            scene.scribble.set_visible(False)
    return [(Gimp.Layer, layer)]


def _scene(call: Call, image: Gimp.Image) -> layers.Scene:
    """The photo and the scribble: as a program calls for them, else as they are found and a person changes them."""
    if not call.attended:
        return layers.find_scene(image, call.drawables, call.config.get_property("scribble"))
    possible = layers.possible_scenes(image, call.drawables)
    try:
        found = layers.find_scene(image, call.drawables)
        if not call.interactive:
            return found
        call.config.set_property("scribble", found.scribble)
    except GanEditError as error:
        if error.code != "no_scribble" or not possible:
            raise
        call.config.set_property("scribble", None)  # the dialog asks for it
    photos = {scene.scribble: scene.photo.get_name() for scene in possible}
    dataclasses.replace(call, interactive=True).ask(photos=photos)
    return layers.find_scene(image, call.drawables, call.config.get_property("scribble"))


def project(call: Call) -> Values:
    """Put the model's own version of the photo above it."""
    image = _image(call)
    photo = layers.find_photo(image, call.drawables)
    call.ask(photos={None: photo.get_name()})
    settings = arguments.read_settings(call.config, ProjectSettings)
    align = layers.find_align(image, photo)
    start = _model_and_start(call, parasites.read)

    def request(client: Client) -> ProjectRequest:
        part = _part(client, image, photo, start["model"], align)
        with look.photo_as_seen(photo) as seen:
            return ProjectRequest(
                photo=pixels.read_photo(seen, part),
                mask=_mask(image, photo, part),
                align=align,
                place=_place(photo, part),
                settings=settings,
                **start,
            )

    result = _run_job(call, request, "Projecting the photo")
    with insert.one_undo_step(image):
        layer = insert.insert_edit(photo, result, "projection", settings, start["model"])
    return [(Gimp.Layer, layer)]


def random_image(call: Call) -> Values:
    """Put a random image of the model into the open image, or into a new one."""
    call.ask()
    settings = arguments.read_settings(call.config, RandomSettings)
    model = call.config.get_property("model")
    result = _run_job(call, lambda client: RandomRequest(model, settings), "Drawing a random image")
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


def imagine(call: Call) -> Values:
    """Put images of the model that a scribble alone asks for on top of the image."""
    image = _image(call)
    found = layers.find_painting(image, call.drawables, call.config.get_property("scribble"))
    call.config.set_property("scribble", found)
    call.ask()
    scribble = layers.find_painting(image, call.drawables, call.config.get_property("scribble"))
    settings = arguments.read_settings(call.config, ImagineSettings)
    paint = pixels.read_paint(scribble, insert.square(image))
    if not pixels.any_painted(paint, None):
        raise GanEditError(
            "empty_scribble",
            f"Nothing is painted on the layer “{scribble.get_name()}” in the square of the selection or the canvas.",
            "Paint the wanted colours there, or change the selection.",
        )
    request = ImagineRequest(paint, call.config.get_property("model"), settings)
    with _engine(call, "Imagining") as (client, bar):
        result = client.run(request, bar.show)
    with insert.one_undo_step(image):
        layer = insert.insert_candidates(image, result, settings, request.model)
    return [(Gimp.Layer, layer)]


def _model_and_start(call: Call, read: Callable[[Gimp.Layer], Latent | None]) -> dict[str, Any]:
    """The request's model, and the latent of the layer to start from, if one is chosen."""
    model, layer = call.config.get_property("model"), call.config.get_property(arguments.START_LAYER)
    if layer is None:
        return {"model": model}
    layers.require_own(_image(call), layer)
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
    return {"model": kept.model, "latent": kept}


def interpolate(call: Call) -> Values:
    """Make a new image whose layers are the way between the latents of several layers."""
    image = _image(call)
    stops = _stops(image, call.drawables)
    call.ask([layer.get_name() for layer, _ in stops])
    settings = arguments.read_settings(call.config, InterpolateSettings)
    latents = [kept for _, kept in stops]
    request = InterpolateRequest.between(latents, latents[0].model, settings)
    with _engine(call, "Interpolating") as (client, bar):
        animation = insert.new_animation(client.frames(request, bar.show), settings, request.model)
    if call.interactive:
        Gimp.Display.new(animation)
    return [(Gimp.Image, animation)]


def _stops(image: Gimp.Image, chosen: list[Gimp.Drawable]) -> list[tuple[Gimp.Layer, Latent]]:
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
    if len({(kept.model, kept.ws.shape) for _, kept in stops}) > 1:
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
    "gan-edit-imagine": imagine,
    "gan-edit-interpolate": interpolate,
    "gan-edit-status": show_status,
}


def _image(call: Call) -> Gimp.Image:
    if call.image is None:
        raise GanEditError("no_image", "No image is open.", "Open a photo first.")
    return call.image


def _part(
    client: Client, image: Gimp.Image, photo: Gimp.Layer, model: str, align: Align | None, feather: float = 0.0
) -> Box:
    """What of the photo the engine needs: the rest of it, however large, stays here."""
    selected = None
    if not Gimp.Selection.is_empty(image):
        selected = pixels.selected_box(image, photo)
        if selected is None:
            raise GanEditError(
                "empty_mask",
                f"The selection does not touch the layer “{photo.get_name()}”.",
                "Select a region of the photo.",
            )
    dtype, channels = pixels.photo_format(photo)
    size = max(4, channels * ITEM_SIZES[dtype])
    look = LookRequest(photo.get_width(), photo.get_height(), model, align, None, selected, feather, size)
    return client.look(look)


def _place(photo: Gimp.Layer, part: Box) -> Place:
    return Place(part.x, part.y, photo.get_width(), photo.get_height())


def _mask(image: Gimp.Image, photo: Gimp.Layer, part: Box) -> Array | None:
    return None if Gimp.Selection.is_empty(image) else pixels.read_selection(image, photo, part)


def _run_job(
    call: Call, request: Callable[[Client], EditRequest | ProjectRequest | RandomRequest], title: str
) -> ResultReady:
    """Run the job that ``request`` gives when the engine is there."""
    with _engine(call, title) as (client, bar):
        return client.run(request(client), bar.show)


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
