"""Edits and projections of a photo."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from gi.repository import Gimp

import arguments
import faces
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
from gan_edit_protocol.events import Notice
from gan_edit_protocol.geometry import Align, Box, Crop, Place
from gan_edit_protocol.latent import Latent
from gan_edit_protocol.requests import MAX_MAP_SIDE, EditRequest, LookRequest, ProjectRequest
from gan_edit_protocol.settings import EditSettings, ProjectSettings
from progress import ProgressBar


def edit_with_scribble(call: Call) -> Values:
    """Edit the photo's layer after the scribble, inside the selection."""
    image = image_of(call)
    scene, shown = _scene(call, image)
    settings = arguments.read_settings(call.config, EditSettings)
    task = _task(call, scene.photo, "scribble", shown)

    def request(client: Client, bar: ProgressBar) -> EditRequest:
        task.look(client, bar, scene.scribble)
        part = task.part(client, bar, settings.feather, scene.scribble)
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
        layer = insert.insert_edit(scene.photo, result, task.origin(), settings, task.model)
        if call.config.get_property("hide-scribble") and scene.scribble.is_valid():
            scene.scribble.set_visible(False)
    return [(Gimp.Layer, layer)]


def project(call: Call) -> Values:
    """Put the model's own version of the photo above it."""
    image = image_of(call)
    photo = layers.find_photo(image, call.drawables)
    shown = call.ask(photos={None: photo})
    settings = arguments.read_settings(call.config, ProjectSettings)
    task = _task(call, photo, "projection", shown)

    def request(client: Client, bar: ProgressBar) -> ProjectRequest:
        task.look(client, bar)
        part = task.part(client, bar)
        with look.photo_as_seen(photo) as seen:
            return ProjectRequest(photo=pixels.read_photo(seen, part), settings=settings, **task.entries(part))

    result = run_job(call, request, "Projecting the photo")
    with insert.one_undo_step(image):
        layer = insert.insert_edit(photo, result, task.origin(), settings, task.model)
    return [(Gimp.Layer, layer)]


@dataclass
class _Task:
    """What edits and projections have in common: a photo, where the model looks, and what is started from.

    ``align``: by the path; ``crop``: as the dialog showed it, as it was for the layer to start from, or as it is found.
    ``made_from``: the photo as it is now.
    """

    image: Gimp.Image
    photo: Gimp.Layer
    made_from: parasites.Origin
    model: str
    engine: str
    align: Align | None = None
    crop: Crop | None = None
    latent: Latent | None = None

    def look(self, client: Client, bar: ProgressBar, scribble: Gimp.Layer | None = None) -> None:
        """Look for the face that is meant where nothing says yet where the model looks."""
        if self.align is not None or self.crop is not None:
            return
        found = faces.Question.about(self.photo, scribble, self.model, self.engine).ask(client, bar.show)
        if found.face is not None:
            self.crop = found.face.crop
        elif told := found.told(self._has_selection()):
            bar.show(Notice(told))

    def origin(self) -> parasites.Origin:
        """How the new layer comes about."""
        return self.made_from if self.align is not None else dataclasses.replace(self.made_from, crop=self.crop)

    def part(self, client: Client, bar: ProgressBar, feather: float = 0.0, scribble: Gimp.Layer | None = None) -> Box:
        """What of the photo the engine needs: the rest of it, however large, stays here."""
        selected = selected_map = None
        scale = min(1.0, MAX_MAP_SIDE / max(self.photo.get_width(), self.photo.get_height()))
        if self._has_selection():
            selected = pixels.selected_box(self.image, self.photo)
            if selected is None:
                raise GanEditError(
                    "empty_mask",
                    f"The selection does not touch the layer “{self.photo.get_name()}”.",
                    "Select a region of the photo.",
                )
            selected_map = pixels.read_reduced_selection(self.image, self.photo, scale)
        painted_map = None if scribble is None else pixels.read_reduced_paint(scribble, self.photo, scale)
        width, height = self.photo.get_width(), self.photo.get_height()
        dtype, channels = pixels.photo_format(self.photo)
        size = max(4, channels * ITEM_SIZES[dtype])
        asked = (width, height, self.model, self.align, self.crop, selected, feather, size)
        answer = client.look(LookRequest(*asked, selected_map, painted_map))
        for note in answer.notes:
            bar.show(Notice(note))
        return answer.part

    def entries(self, part: Box) -> dict[str, Any]:
        """Those of the request for that part, but for its pixels."""
        return {
            "mask": self._mask(part),
            "model": self.model,
            "align": self.align,
            "crop": self.crop,
            "latent": self.latent,
            "place": Place(part.x, part.y, self.photo.get_width(), self.photo.get_height()),
        }

    def _mask(self, part: Box) -> Array | None:
        return pixels.read_selection(self.image, self.photo, part) if self._has_selection() else None

    def _has_selection(self) -> bool:
        return not Gimp.Selection.is_empty(self.image)


def _task(call: Call, photo: Gimp.Layer, kind: str, shown: Crop | None) -> _Task:
    """``kind``: "scribble" or "projection". ``shown``: the dialog's square."""
    image = image_of(call)
    model, layer = call.config.get_property("model"), call.config.get_property(arguments.START_LAYER)
    made_from, align = parasites.Origin.of_photo(kind, photo), layers.find_align(image, photo)
    if layer is None:
        return _Task(image, photo, made_from, model, call.engine, align, shown)
    layers.require_own(image, layer)
    kept = parasites.read_projection(layer) if kind == "scribble" else parasites.read(layer)
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
    crop = shown or parasites.read_crop(layer, photo)
    return _Task(image, photo, made_from, kept.model, call.engine, align, crop, kept)


def _scene(call: Call, image: Gimp.Image) -> tuple[layers.Scene, Crop | None]:
    """The photo and the scribble: as a program calls for them, else as they are found and a person changes them.

    And the square that the dialog showed, if there was one.
    """
    if not call.attended:
        return layers.find_scene(image, call.drawables, call.config.get_property("scribble")), None
    possible = layers.possible_scenes(image, call.drawables)
    try:
        found = layers.find_scene(image, call.drawables)
        if not call.interactive:
            return found, None
        call.config.set_property("scribble", found.scribble)
    except GanEditError as error:
        if error.code != "no_scribble" or not possible:
            raise
        call.config.set_property("scribble", None)  # the dialog asks for it
    photos: dict[Gimp.Layer | None, Gimp.Layer] = {scene.scribble: scene.photo for scene in possible}
    shown = dataclasses.replace(call, interactive=True).ask(photos=photos)
    return layers.find_scene(image, call.drawables, call.config.get_property("scribble")), shown
