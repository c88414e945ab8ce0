"""Edits and projections of a photo."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gi.repository import Gimp

import arguments
import insert
import layers
import look
import parasites
import pixels
from call import Call, Values, image_of, run_job
from gan_edit_protocol.arrays import ITEM_SIZES, Array
from gan_edit_protocol.client import Client
from gan_edit_protocol.default_model import DEFAULT
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.geometry import Align, Box, Place
from gan_edit_protocol.latent import Latent
from gan_edit_protocol.requests import EditRequest, LookRequest, ProjectRequest
from gan_edit_protocol.settings import EditSettings, ProjectSettings


def edit_with_scribble(call: Call) -> Values:
    """Edit the photo's layer after the scribble, inside the selection."""
    image = image_of(call)
    scene = _scene(call, image)
    settings = arguments.read_settings(call.config, EditSettings)
    task = _task(call, scene.photo, parasites.read_projection)

    def request(client: Client) -> EditRequest:
        part = task.part(client, settings.feather)
        with look.photo_as_seen(scene.photo) as photo, look.paint_as_seen(scene.scribble, scene.photo) as scribble:
            made = EditRequest(
                photo=pixels.read_photo(photo, part),
                scribble=pixels.read_scribble(scribble, scene.photo, part),
                settings=settings,
                **task.entries(part),
            )
        layers.require_painted(scene.scribble, made.scribble, made.mask, "inside the selection")
        return made

    result = run_job(call, request, "Editing the photo")
    with insert.one_undo_step(image):
        layer = insert.insert_edit(scene.photo, result, "scribble", settings, task.model)
        if call.config.get_property("hide-scribble") and scene.scribble.is_valid():
            scene.scribble.set_visible(False)
    return [(Gimp.Layer, layer)]


def project(call: Call) -> Values:
    """Put the model's own version of the photo above it."""
    image = image_of(call)
    photo = layers.find_photo(image, call.drawables)
    call.ask(photos={None: photo.get_name()})
    settings = arguments.read_settings(call.config, ProjectSettings)
    task = _task(call, photo, parasites.read)

    def request(client: Client) -> ProjectRequest:
        part = task.part(client)
        with look.photo_as_seen(photo) as seen:
            return ProjectRequest(photo=pixels.read_photo(seen, part), settings=settings, **task.entries(part))

    result = run_job(call, request, "Projecting the photo")
    with insert.one_undo_step(image):
        layer = insert.insert_edit(photo, result, "projection", settings, task.model)
    return [(Gimp.Layer, layer)]


@dataclass(frozen=True)
class _Task:
    """What edits and projections have in common: a photo, where the model looks, and what is started from."""

    image: Gimp.Image
    photo: Gimp.Layer
    align: Align | None
    model: str
    latent: Latent | None

    def part(self, client: Client, feather: float = 0.0) -> Box:
        """What of the photo the engine needs: the rest of it, however large, stays here."""
        selected = None
        if self._has_selection():
            selected = pixels.selected_box(self.image, self.photo)
            if selected is None:
                raise GanEditError(
                    "empty_mask",
                    f"The selection does not touch the layer “{self.photo.get_name()}”.",
                    "Select a region of the photo.",
                )
        width, height = self.photo.get_width(), self.photo.get_height()
        dtype, channels = pixels.photo_format(self.photo)
        size = max(4, channels * ITEM_SIZES[dtype])
        return client.look(LookRequest(width, height, self.model, self.align, None, selected, feather, size))

    def entries(self, part: Box) -> dict[str, Any]:
        """Those of the request for that part, but for its pixels."""
        return {
            "mask": self._mask(part),
            "model": self.model,
            "align": self.align,
            "latent": self.latent,
            "place": Place(part.x, part.y, self.photo.get_width(), self.photo.get_height()),
        }

    def _mask(self, part: Box) -> Array | None:
        return pixels.read_selection(self.image, self.photo, part) if self._has_selection() else None

    def _has_selection(self) -> bool:
        return not Gimp.Selection.is_empty(self.image)


def _task(call: Call, photo: Gimp.Layer, read: Callable[[Gimp.Layer], Latent | None]) -> _Task:
    """``read``: gives the latent of the layer to start from, if one is chosen."""
    image = image_of(call)
    align = layers.find_align(image, photo)
    model, layer = call.config.get_property("model"), call.config.get_property(arguments.START_LAYER)
    if layer is None:
        return _Task(image, photo, align, model, None)
    layers.require_own(image, layer)
    kept = read(layer)
    if kept is None:
        raise GanEditError(
            "no_latent",
            f"No latent is kept with the layer “{layer.get_name()}”.",
            "Start from a layer that GAN Edit made.",
        )
    if model not in (DEFAULT, kept.model):
        raise GanEditError(
            "bad_latent",
            f"The layer “{layer.get_name()}” was made with the model {kept.model}, not {model}.",
            "Choose that model, or no layer to start from.",
        )
    return _Task(image, photo, align, kept.model, kept)


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
