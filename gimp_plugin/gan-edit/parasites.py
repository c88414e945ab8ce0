"""The latent of an edit, kept with its layer: it travels in the XCF, and other edits can start from it."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from typing import Any

from gi.repository import Gimp

from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.events import FramesReady, ResultReady
from gan_edit_protocol.geometry import Crop
from gan_edit_protocol.latent import Latent
from gan_edit_protocol.spec import Settings

LATENT = "gan-edit-latent"
START = "gan-edit-latent-start"
PERSISTENT = 1
"""GIMP_PARASITE_PERSISTENT: the parasite is saved in the XCF."""


@dataclass(frozen=True)
class Origin:
    """How a layer came about.

    ``kind``: what made it ("scribble", "projection", "random", "imagined" or "interpolation").
    ``photo_tattoo``, ``photo_name``: of the layer that it was made from; None when there was none, or in layers of
    earlier versions. ``photo_size``, ``crop``: how large that layer was, and the square of it that the model saw.
    """

    kind: str
    photo_tattoo: int | None = None
    photo_name: str | None = None
    photo_size: tuple[int, int] | None = None
    crop: Crop | None = None

    @classmethod
    def of_photo(cls, kind: str, photo: Gimp.Layer) -> Origin:
        """That of a layer that is made from ``photo``."""
        return cls(kind, photo.get_tattoo(), photo.get_name(), (photo.get_width(), photo.get_height()))


def attach(layer: Gimp.Layer, result: ResultReady, origin: Origin, settings: Settings, asked_model: str) -> None:
    """Keep the result's latents, and how they came about, with ``layer``. ``asked_model``: as the request named it."""
    model = asked_model if os.path.isabs(asked_model) else result.model  # a file is found by its path only
    about = {**dataclasses.asdict(origin), "seed": result.seed, "settings": vars(settings)}
    for name, latent in ((LATENT, result.latent), (START, result.start)):
        if latent is not None:
            _attach(layer, name, latent.of_model(model), about)


def attach_frames(frames: list[Gimp.Layer], result: FramesReady, settings: Settings, model: str) -> None:
    """Keep each frame's latent with its layer, so that a frame can be a start or a stop of another way."""
    about = {**dataclasses.asdict(Origin("interpolation")), "seed": 0, "settings": vars(settings)}
    for layer, ws in zip(frames, result.latents.parts(), strict=True):
        _attach(layer, LATENT, Latent(ws, model=model), about)


def _attach(layer: Gimp.Layer, name: str, latent: Latent, about: dict[str, Any]) -> None:
    """A latent as JSON, with seed and settings.

    ASCII, because GIMP's Python takes a parasite's bytes as signed numbers in one release and may not in another.
    """
    text = json.dumps({**about, **latent.to_json()})
    layer.attach_parasite(Gimp.Parasite.new(name, PERSISTENT, text.encode("ascii")))


def keeps_latent(layer: Gimp.Layer) -> bool:
    """Whether a latent is kept with the layer."""
    return layer.get_parasite(LATENT) is not None


def read_origin(layer: Gimp.Layer) -> Origin | None:
    """How the layer came about; None when GAN Edit did not make it, or what is kept with it is damaged."""
    try:
        values = _values(layer, LATENT)
        if values is None:
            return None
        return Origin(values["kind"], values.get("photo_tattoo"), values.get("photo_name"))
    except (ValueError, KeyError):
        return None


def read_crop(layer: Gimp.Layer, photo: Gimp.Layer) -> Crop | None:
    """The square of ``photo`` that the model saw for ``layer``; None where that was another one, or is not known."""
    try:
        values = _values(layer, LATENT) or {}
        about = [photo.get_tattoo(), [photo.get_width(), photo.get_height()]]
        if [values.get("photo_tattoo"), values.get("photo_size")] != about or values.get("crop") is None:
            return None
        return Crop(**{name: float(value) for name, value in values["crop"].items()})
    except (ValueError, TypeError, AttributeError):
        return None


def read(layer: Gimp.Layer) -> Latent | None:
    """The latent kept with a layer, None when there is none; :class:`GanEditError` when it is damaged."""
    return _read(layer, LATENT)


def read_projection(layer: Gimp.Layer) -> Latent | None:
    """The latent that an edit started from, else the layer's own; None and errors as for :func:`read`."""
    return _read(layer, START) or _read(layer, LATENT)


def _read(layer: Gimp.Layer, name: str) -> Latent | None:
    try:
        values = _values(layer, name)
        return None if values is None else Latent.from_json(values)
    except ValueError:
        raise GanEditError(
            "bad_latent",
            f"The latent kept with the layer “{layer.get_name()}” is damaged.",
            "Project the photo again.",
        ) from None


def _values(layer: Gimp.Layer, name: str) -> dict[str, Any] | None:
    """What :func:`_attach` wrote; None when there is none, ValueError when it is damaged."""
    parasite = layer.get_parasite(name)
    if parasite is None:
        return None
    values = json.loads(bytes(byte & 0xFF for byte in parasite.get_data()).rstrip(b"\0"))
    if not isinstance(values, dict):
        raise ValueError
    return values
