"""What the page's jobs do: read the photo, find where to look, ask the engine, and write what a visitor takes home."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gan_edit_engine.imaging.arrays import from_message, to_message
from gan_edit_engine.imaging.cutting import Scene, cut, laid_on
from gan_edit_engine.imaging.image_files import Picture, encode_png, read_picture
from gan_edit_engine.imaging.image_formats import decoding, open_image
from gan_edit_engine.imaging.latent_notes import with_latent
from gan_edit_engine.imaging.looking import Sight, drawn, find_request
from gan_edit_engine.serving import advice
from gan_edit_engine.serving.desk import Cancel
from gan_edit_engine.serving.limits import Limits
from gan_edit_engine.serving.painting import Strokes, asked_of_a_blank, painted, view_of
from gan_edit_protocol.client import Client
from gan_edit_protocol.errors import GanEditError, JobCancelledError
from gan_edit_protocol.events import (
    Accepted,
    Cancelled,
    Event,
    FacesFound,
    Failed,
    FramesReady,
    Notice,
    Progress,
    ResultReady,
)
from gan_edit_protocol.latent import Latent
from gan_edit_protocol.requests import EditRequest, ImagineRequest, RandomRequest
from gan_edit_protocol.settings import EditSettings, ImagineSettings, RandomSettings

_SHOWN_SIDE, _SEEN_SIDE = 1600, 480
_SHOWN_QUALITY = 92
_SHARES = (0.6, 1.5)
"""Of the strength that was asked for: of a weaker edit and of a stronger one."""


@dataclass(frozen=True)
class Candidate:
    """One of those made: ``shown`` to look at, ``download`` whole, with the latent inside, and what it differs by."""

    shown: Path
    download: Path
    name: str = ""


@dataclass(frozen=True)
class Made:
    """What a job has made: ``candidates`` to choose from, of which number ``best`` is looked at first; what to say.

    ``before``: the photo, where there was one.
    """

    candidates: tuple[Candidate, ...]
    told: str
    best: int = 0
    before: Path | None = None


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

    def work(self, client: Client, cancel: Cancel) -> Iterator[Accepted | Seen | None]:
        """What is seen."""
        picture = read_photo(self.photo, self.limits)
        found = yield from _found(Sight(picture.pixels, None, self.model), client, cancel)
        yield _seen(picture, found, False)


@dataclass(frozen=True)
class Edit:
    """An edit that a visitor asks for: the ``photo``'s file, the ``layers`` painted on it, and the rest.

    ``strengths``: of each candidate, the settings' own among them. ``folder``: for what is made.
    """

    photo: Path
    layers: list[Strokes]
    model: str
    settings: EditSettings
    strengths: tuple[float, ...]
    limits: Limits
    folder: Path

    def work(self, client: Client, cancel: Cancel) -> Iterator[Event | Seen | Made | None]:
        """The engine's events, and at the end what was made."""
        picture = read_photo(self.photo, self.limits)
        scribble, selection = painted(self.layers, picture.pixels)
        marked = scribble[..., 3] if selection is None else selection
        found = yield from _found(Sight(picture.pixels, marked, self.model), client, cancel)
        yield _seen(picture, found, selection is not None)
        crop = None if found.face is None else found.face.crop
        scene = Scene(picture.pixels, selection, self.model, None, crop, scribble)
        notes: list[Notice] = []
        part = cut(scene, client, notes.append, self.settings.feather)
        yield from map(advice.of_notice, notes)
        assert part.scribble is not None  # the scene has one
        request = EditRequest(
            part.photo,
            part.scribble,
            part.mask,
            self.model,
            scene.align,
            scene.crop,
            settings=self.settings,
            place=part.place,
            previews=True,
        )
        requests = [replace(request, settings=replace(self.settings, strength=each)) for each in self.strengths]
        results = yield from _all_done(requests, client, cancel)
        self.folder.mkdir(parents=True, exist_ok=True)
        made = [self._made(picture, *each) for each in zip(results, self.strengths, strict=True)]
        seconds = sum(result.seconds for result in results)
        told = f"{results[0].steps} steps in {seconds:.0f} s with {results[0].model}."
        best = self.strengths.index(self.settings.strength)
        yield Made(tuple(made), told, best, self._shown("before", picture))

    def _made(self, picture: Picture, result: ResultReady, strength: float) -> Candidate:
        edited = laid_on(picture, result)
        name = f"-strength-{strength:g}" if len(self.strengths) > 1 else ""
        download = self.folder / f"{self.photo.stem[:60]}-edited{name}.png"
        download.write_bytes(with_latent(encode_png(edited), result.latent))
        return Candidate(self._shown(f"after{name}", edited), download, f"Strength {strength:g}")

    def _shown(self, name: str, picture: Picture) -> Path:
        """Small enough for a phone."""
        path = self.folder / f"{name}.webp"
        Image.fromarray(view_of(picture, _SHOWN_SIDE)).save(path, quality=_SHOWN_QUALITY)
        return path


@dataclass(frozen=True)
class Draw:
    """Images without a photo: those that follow the colours painted on the ``layers``; random ones without colours.

    ``folder``: for what is made.
    """

    layers: list[Strokes]
    model: str
    settings: ImagineSettings
    folder: Path

    def work(self, client: Client, cancel: Cancel) -> Iterator[Event | Made | None]:
        """The engine's events, and at the end the images, the most likely first."""
        scribble = asked_of_a_blank(self.layers)
        if scribble is None:
            wanted = [RandomSettings(self.settings.seed + number) for number in range(self.settings.candidates)]
            results = yield from _all_done([RandomRequest(self.model, each) for each in wanted], client, cancel)
            images = [(from_message(result.image), result.latent) for result in results]
            seconds = sum(result.seconds for result in results)
        else:
            request = ImagineRequest(to_message(scribble), self.model, self.settings, previews=True)
            (frames,) = yield from _all_done([request], client, cancel)
            latents = [Latent(ws, model=frames.model) for ws in frames.latents.parts()]
            images = list(zip(from_message(frames.frames), latents, strict=True))
            seconds = frames.seconds
        self.folder.mkdir(parents=True, exist_ok=True)
        made = [self._made(number, *each) for number, each in enumerate(images, start=1)]
        count = "1 image" if len(made) == 1 else f"{len(made)} images"
        yield Made(tuple(made), f"{count} in {seconds:.0f} s with {self.model}. Draw again for other ones.")

    def _made(self, number: int, image: NDArray[Any], latent: Latent) -> Candidate:
        file = self.folder / f"{self.model[:60]}-{self.settings.seed}-{number}.png"
        file.write_bytes(with_latent(encode_png(Picture(image)), latent))
        return Candidate(file, file)


def _all_done(requests: Sequence[Any], client: Client, cancel: Cancel) -> Generator[Event | None, None, list[Any]]:
    """The results of all requests, one after the other; what they tell on the way is told once.

    JobFailedError or JobCancelledError when one of them ends so, which ends all.
    """
    results: list[Any] = []
    said: set[Notice] = set()
    for number, request in enumerate(requests, start=1):
        for event in client.events(request, cancel):
            if isinstance(event, Failed):
                raise event.error
            if isinstance(event, Cancelled):
                raise JobCancelledError
            if isinstance(event, ResultReady | FramesReady | FacesFound):
                results.append(event)
            elif isinstance(event, Progress) and len(requests) > 1:
                yield replace(event, stage=f"{number} of {len(requests)}, {event.stage}")
            elif not isinstance(event, Notice):
                yield event
            elif event not in said:
                said.add(event)
                yield advice.of_notice(event)
    return results


def _found(sight: Sight, client: Client, cancel: Cancel) -> Generator[Accepted | None, None, FacesFound]:
    """The faces, in pixels of the photo; of the way there, how many jobs have to end first.

    What is computed for it takes less time than to read of it, and is not yet what the job's time is counted from.
    """
    request, scale = find_request(sight)
    searching = _all_done([request], client, cancel)
    while True:
        try:
            event = next(searching)
        except StopIteration as ended:
            (found,) = ended.value
            return found.enlarged(1 / scale)
        yield event if isinstance(event, Accepted) else None


def weaker_and_stronger(strength: float) -> tuple[float, ...]:
    """The strengths of candidates: that one among others, none of them more than is allowed."""
    most = next(each.maximum for each in EditSettings.specs() if each.name == "strength")
    assert most is not None
    return tuple(sorted({strength, *(round(min(most, strength * share), 2) for share in _SHARES)}))


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


def read_photo(path: Path, limits: Limits) -> Picture:
    """A visitor's photo; GanEditError when it is none, or too large, before it is decoded."""
    name = path.name
    try:
        os.utime(path)  # it is in use, and stays
        data = path.read_bytes()
    except OSError:
        raise GanEditError("no_photo", f"The photo {name} is no longer kept here.", "Choose it again.") from None
    with decoding(name):
        limits.check_size(*open_image(data, name).size)
    return read_picture(path, name)
