"""What the page's jobs do: read the photo, find where to look, ask the engine, and write what a visitor takes home."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gan_edit_engine.imaging.cutting import Scene, cut, laid_on
from gan_edit_engine.imaging.image_files import Picture, encode_png, read_picture
from gan_edit_engine.imaging.image_formats import decoding, open_image
from gan_edit_engine.imaging.latent_notes import with_latent
from gan_edit_engine.imaging.looking import Sight, drawn, find_faces
from gan_edit_engine.serving.desk import Cancel
from gan_edit_engine.serving.limits import Limits
from gan_edit_engine.serving.painting import Strokes, painted, view_of
from gan_edit_protocol.client import Client
from gan_edit_protocol.events import Event, FacesFound, Notice, ResultReady
from gan_edit_protocol.requests import EditRequest
from gan_edit_protocol.settings import EditSettings

_SHOWN_SIDE, _SEEN_SIDE = 1600, 480
_SHOWN_QUALITY = 92


@dataclass(frozen=True)
class Made:
    """An edit's files: ``before`` and ``after`` to look at, ``download`` whole, with the latent; and what to say."""

    before: Path
    after: Path
    download: Path
    told: str


@dataclass(frozen=True)
class Seen:
    """Where the model looks: ``view`` [h, w, 3] uint8 of the photo with that drawn in, and what to say of it."""

    view: NDArray[np.uint8]
    told: str


@dataclass(frozen=True)
class Look:
    """A visitor's wish to see where a ``model`` would look in the photo."""

    photo: Path
    model: str
    limits: Limits

    def work(self, client: Client, cancel: Cancel) -> Iterator[Seen]:
        """What is seen."""
        picture = read_photo(self.photo, self.limits)
        yield _seen(picture, find_faces(Sight(picture.pixels, None, self.model), client, _unheard, cancel), False)


@dataclass(frozen=True)
class Edit:
    """An edit that a visitor asks for: the ``photo``'s file, the ``layers`` painted on it, and the rest.

    ``folder``: for what is made, which is not there yet.
    """

    photo: Path
    layers: list[Strokes]
    model: str
    settings: EditSettings
    limits: Limits
    folder: Path

    def work(self, client: Client, cancel: Cancel) -> Iterator[Event | Seen | Made | None]:
        """The engine's events, and at the end what was made."""
        picture = read_photo(self.photo, self.limits)
        scribble, selection = painted(self.layers, picture.pixels)
        marked = scribble[..., 3] if selection is None else selection
        found = find_faces(Sight(picture.pixels, marked, self.model), client, _unheard, cancel)
        yield _seen(picture, found, selection is not None)
        crop = None if found.face is None else found.face.crop
        scene = Scene(picture.pixels, selection, self.model, None, crop, scribble)
        notes: list[Notice] = []
        part = cut(scene, client, notes.append, self.settings.feather)
        yield from notes
        assert part.scribble is not None  # the scene has one
        request = EditRequest(
            part.photo, part.scribble, part.mask, self.model, scene.align, scene.crop, None, self.settings, part.place
        )
        for event in client.events(request, cancel):
            if isinstance(event, ResultReady):
                yield self._made(picture, event)
                return
            yield event

    def _made(self, picture: Picture, result: ResultReady) -> Made:
        self.folder.mkdir(parents=True)
        edited = laid_on(picture, result)
        download = self.folder / f"{self.photo.stem[:60]}-edited.png"
        download.write_bytes(with_latent(encode_png(edited), result.latent))
        told = f"{result.steps} steps in {result.seconds:.0f} s with {result.model}."
        return Made(self._shown("before", picture), self._shown("after", edited), download, told)

    def _shown(self, name: str, picture: Picture) -> Path:
        """Small enough for a phone."""
        path = self.folder / f"{name}.webp"
        Image.fromarray(view_of(picture, _SHOWN_SIDE)).save(path, quality=_SHOWN_QUALITY)
        return path


def _seen(picture: Picture, found: FacesFound, selected: bool) -> Seen:
    told = found.told(selected)
    if not found.kind:
        told = f"The model looks at {'the square around the selection' if selected else 'the whole photo'}."
    elif found.face is not None:
        told = f"{told} The model looks at its square."
    small = Picture(view_of(picture, _SEEN_SIDE))
    scale = small.pixels.shape[1] / picture.pixels.shape[1]
    face = () if found.face is None else (found.enlarged(scale).faces[found.chosen],)
    return Seen(np.asarray(drawn(small, face).pixels, np.uint8), told)


def _unheard(event: Any) -> None:
    """A face is found in less time than it takes to read that it is looked for."""


def read_photo(path: Path, limits: Limits) -> Picture:
    """A visitor's photo; GanEditError when it is none, or too large, before it is decoded."""
    name = path.name
    data = path.read_bytes()
    with decoding(name):
        limits.check_size(*open_image(data, name).size)
    return read_picture(path, name)
