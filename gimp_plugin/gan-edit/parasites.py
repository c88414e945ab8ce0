"""The latent of an edit, kept with its layer: it travels in the XCF, and other edits can start from it."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

from gi.repository import Gimp

from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.messages import Array, ResultReady
from gan_edit_protocol.settings import Settings

LATENT = "gan-edit-latent"
START = "gan-edit-latent-start"
PERSISTENT = 1
"""GIMP_PARASITE_PERSISTENT: the parasite is saved in the XCF."""


@dataclass(frozen=True)
class KeptLatent:
    """A latent (num_ws × w_dim float32) and the name of the model that it belongs to."""

    latent: Array
    model: str


def attach(layer: Gimp.Layer, result: ResultReady, kind: str, settings: Settings) -> None:
    """Keep the result's latents, and how they came about, with ``layer``."""
    for name, latent in ((LATENT, result.latent), (START, result.latent_start)):
        if latent is not None:
            text = as_text(latent, result, kind, settings)
            layer.attach_parasite(Gimp.Parasite.new(name, PERSISTENT, text.encode("ascii")))


def as_text(latent: Array, result: ResultReady, kind: str, settings: Settings) -> str:
    """A latent as JSON: model, seed and settings, and the values as base64 of little-endian float32 in C order.

    ASCII, because GIMP's Python takes a parasite's bytes as signed numbers in one release and may not in another.
    """
    values = {
        "kind": kind,
        "model": result.model,
        "seed": result.seed,
        "settings": vars(settings),
        "dtype": latent.dtype,
        "shape": list(latent.shape),
        "data": base64.b64encode(latent.data).decode("ascii"),
    }
    if result.noise is not None:
        values["noise_shape"] = list(result.noise.shape)
        values["noise"] = base64.b64encode(result.noise.data).decode("ascii")
    return json.dumps(values)


def read(layer: Gimp.Layer) -> KeptLatent | None:
    """The latent kept with a layer, None when there is none; :class:`GanEditError` when it is damaged."""
    parasite = layer.get_parasite(LATENT)
    if parasite is None:
        return None
    try:
        values = json.loads(bytes(byte & 0xFF for byte in parasite.get_data()).rstrip(b"\0"))
        latent = Array(values["dtype"], tuple(values["shape"]), base64.b64decode(values["data"]))
        return KeptLatent(latent, str(values["model"]))
    except (ValueError, KeyError, TypeError, GanEditError):
        raise GanEditError(
            "bad_latent",
            f"The latent kept with the layer “{layer.get_name()}” is damaged.",
            "Project the photo again.",
        ) from None
