"""The latent of an edit, kept with its layer: it travels in the XCF, and other edits can start from it."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass
from typing import Any

from gi.repository import Gimp

from gan_edit_protocol.arrays import Array
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.events import FramesReady, ResultReady
from gan_edit_protocol.spec import Settings

LATENT = "gan-edit-latent"
START = "gan-edit-latent-start"
PERSISTENT = 1
"""GIMP_PARASITE_PERSISTENT: the parasite is saved in the XCF."""


@dataclass(frozen=True)
class KeptLatent:
    """A latent (num_ws × w_dim float32) and the model that it belongs to, as a request names it.

    ``noise`` and ``residual``: what belongs to the latent; ``z`` and ``truncation_psi``: what the latent was made of.
    Each as in ``ResultReady``, None where it is not known.
    """

    latent: Array
    model: str
    noise: Array | None = None
    z: Array | None = None
    truncation_psi: float = 1.0
    residual: Array | None = None


@dataclass(frozen=True)
class Origin:
    """How a layer came about.

    ``kind``: what made it ("scribble", "projection", "random", "imagined" or "interpolation").
    ``photo_tattoo``, ``photo_name``: of the layer that it was made from; None when there was none, or in layers of
    earlier versions.
    """

    kind: str
    photo_tattoo: int | None = None
    photo_name: str | None = None


def attach(layer: Gimp.Layer, result: ResultReady, origin: Origin, settings: Settings, asked_model: str) -> None:
    """Keep the result's latents, and how they came about, with ``layer``. ``asked_model``: as the request named it."""
    model = asked_model if os.path.isabs(asked_model) else result.model  # a file is found by its path only
    about = {**vars(origin), "model": model, "seed": result.seed, "settings": vars(settings)}
    kept = KeptLatent(result.latent, model, result.noise, result.z, result.truncation_psi, result.residual)
    _attach(layer, LATENT, kept, about)
    if result.latent_start is not None:
        start = KeptLatent(result.latent_start, model, result.noise, residual=result.residual)
        _attach(layer, START, start, about)


def attach_frames(frames: list[Gimp.Layer], result: FramesReady, settings: Settings, model: str) -> None:
    """Keep each frame's latent with its layer, so that a frame can be a start or a stop of another way."""
    shape = result.latents.shape[1:]
    size = len(result.latents.data) // len(frames)
    about = {**vars(Origin("interpolation")), "model": model, "seed": 0, "settings": vars(settings)}
    for number, layer in enumerate(frames):
        latent = Array("float32", shape, result.latents.data[number * size : (number + 1) * size])
        _attach(layer, LATENT, KeptLatent(latent, model), about)


def _attach(layer: Gimp.Layer, name: str, kept: KeptLatent, about: dict[str, Any]) -> None:
    """A latent as JSON: model, seed and settings, and the values as base64 of little-endian float32 in C order,
    those of a residual as they travel.

    ASCII, because GIMP's Python takes a parasite's bytes as signed numbers in one release and may not in another.
    """
    values = {**about, "dtype": kept.latent.dtype, **_packed("", kept.latent), "truncation_psi": kept.truncation_psi}
    for prefix, array in (("noise", kept.noise), ("z", kept.z), ("residual", kept.residual)):
        if array is not None:
            values.update(_packed(f"{prefix}_", array))
    layer.attach_parasite(Gimp.Parasite.new(name, PERSISTENT, json.dumps(values).encode("ascii")))


def _packed(prefix: str, array: Array) -> dict[str, Any]:
    return {f"{prefix}shape": list(array.shape), f"{prefix}data": base64.b64encode(array.data).decode("ascii")}


def _unpacked(prefix: str, values: dict[str, Any], dtype: str = "float32") -> Array | None:
    if f"{prefix}data" not in values:
        return None
    return Array(dtype, tuple(values[f"{prefix}shape"]), base64.b64decode(values[f"{prefix}data"]))


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


def read(layer: Gimp.Layer) -> KeptLatent | None:
    """The latent kept with a layer, None when there is none; :class:`GanEditError` when it is damaged."""
    return _read(layer, LATENT)


def read_projection(layer: Gimp.Layer) -> KeptLatent | None:
    """The latent that an edit started from, else the layer's own; None and errors as for :func:`read`."""
    return _read(layer, START) or _read(layer, LATENT)


def _read(layer: Gimp.Layer, name: str) -> KeptLatent | None:
    try:
        values = _values(layer, name)
        if values is None:
            return None
        latent = _unpacked("", values)
        if latent is None or values["dtype"] != "float32" or len(latent.shape) != 2:
            raise ValueError
        noise, z = _unpacked("noise_", values), _unpacked("z_", values)
        residual = _unpacked("residual_", values, "uint16")
        truncation_psi = float(values.get("truncation_psi", 1.0))
        return KeptLatent(latent, str(values["model"]), noise, z, truncation_psi, residual)
    except (ValueError, KeyError, TypeError, GanEditError):
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
