"""What is in the files of tests/data that hold messages and latents; they were written before there was a `Latent`."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

from gan_edit_protocol.arrays import ITEM_SIZES, Array
from gan_edit_protocol.events import (
    Accepted,
    Cancelled,
    EngineStatus,
    FacesFound,
    Failed,
    FramesReady,
    Look,
    Notice,
    Progress,
    ResultReady,
    WorkerStatus,
)
from gan_edit_protocol.geometry import Align, Box, Crop, Face, Place
from gan_edit_protocol.latent import Latent
from gan_edit_protocol.requests import (
    CancelRequest,
    EditRequest,
    FindRequest,
    ImagineRequest,
    InterpolateRequest,
    LookRequest,
    ProjectRequest,
    RandomRequest,
    ShutdownRequest,
    StatusRequest,
)
from gan_edit_protocol.settings import EditSettings, InterpolateSettings, ProjectSettings, RandomSettings

DATA = Path(__file__).parents[1] / "data"


def counted(dtype: str, *shape: int, first: int = 0) -> Array:
    """The numbers from ``first`` on, modulo 251."""
    size = 1
    for side in shape:
        size *= side
    code = {"uint8": "B", "uint16": "H", "float32": "f"}[dtype]
    values = [number % 251 for number in range(first, first + size)]
    data = struct.pack(f"<{size}{code}", *values)
    assert len(data) == size * ITEM_SIZES[dtype]
    return Array(dtype, shape, data)


STORED = Latent(
    counted("float32", 2, 3),
    noise=counted("float32", 1, 4, first=20),
    residual=counted("uint16", 2, 2, 2, first=30),
    z=counted("float32", 5, first=40),
    truncation_psi=0.7,
)
START = counted("float32", 2, 3, first=7)
_BELONGING = Latent(STORED.ws, STORED.noise, STORED.residual)
_PHOTO, _SCRIBBLE, _MASK = counted("uint16", 2, 3, 3), counted("uint8", 2, 3, 4), counted("uint8", 2, 3)
_EDITED, _DRAWN = counted("uint8", 2, 3, 4), counted("uint8", 2, 2, 3)
_ALIGN, _PLACE = Align(1.0, 2.0, 3.0, 4.0), Place(1, 2, 9, 8)
_SEEN = 256  # perceptual_side, as it was by default when these were written
EDITED = EditSettings(seed=5, strength=0.5, perceptual_side=_SEEN)
_EDITING, _PROJECTING = EditSettings(perceptual_side=_SEEN), ProjectSettings(perceptual_side=_SEEN)

MESSAGES: dict[str, Any] = {
    "edit": EditRequest(
        *(_PHOTO, _SCRIBBLE, _MASK, "cats128", _ALIGN, Crop(5.0, 6.0, 7.0, 8.0), _BELONGING, EDITED, _PLACE)
    ),
    "edit anew": EditRequest(_PHOTO, _SCRIBBLE, settings=_EDITING),
    "edit from ws alone": EditRequest(_PHOTO, _SCRIBBLE, latent=Latent(STORED.ws), settings=_EDITING),
    "projection": ProjectRequest(
        *(_PHOTO, _MASK, "cats128", None, Crop(5.0, 6.0, 7.0), _BELONGING, replace(_PROJECTING, space="z"), _PLACE)
    ),
    "projection anew": ProjectRequest(_PHOTO, settings=_PROJECTING),
    "projection from a residual": ProjectRequest(
        _PHOTO, latent=Latent(STORED.ws, residual=STORED.residual), settings=_PROJECTING
    ),
    "random": RandomRequest("cats128", RandomSettings(seed=3)),
    "imagine": ImagineRequest(_SCRIBBLE),
    "interpolation in w+": InterpolateRequest(
        counted("float32", 2, 2, 3), settings=InterpolateSettings(frames=3), first=1
    ),
    "interpolation in z": InterpolateRequest(
        counted("float32", 2, 5), counted("float32", 2), "cats128", InterpolateSettings(mode="spherical")
    ),
    "find": FindRequest(_PHOTO, _MASK, "cats128"),
    "look": LookRequest(9, 8, "cats128", _ALIGN, None, Box(1, 2, 3, 4), 2.5, 8),
    "status": StatusRequest(77),
    "cancel": CancelRequest("0123456789abcdef0123456789abcdef"),
    "shutdown": ShutdownRequest(),
    "accepted": Accepted(3),
    "progress": Progress("Projecting the photo", 4, 9, 0.25, _DRAWN),
    "result of an edit": ResultReady(
        *(_EDITED, _BELONGING, _MASK, START, 4, 5, "cats128", "cpu", "vgg16-lpips", 5, 1.5, 70, 21.5)
    ),
    "result of a projection": ResultReady(
        *(_EDITED, Latent(STORED.ws, STORED.noise, z=STORED.z), _MASK, None, 4, 5, "cats128", "cpu"),
        steps=40,
        psnr=21.5,
    ),
    "random result": ResultReady(
        _DRAWN, Latent(STORED.ws, z=STORED.z, truncation_psi=STORED.truncation_psi), model="cats128"
    ),
    "bare result": ResultReady(_DRAWN, Latent(STORED.ws)),
    "frames": FramesReady(
        counted("uint8", 2, 2, 2, 3), counted("float32", 2, 2, 3), counted("float32", 2), "cats128", "cpu", 5, 1.5, 1, 4
    ),
    "faces": FacesFound("cat face", (Face(_ALIGN, Crop(5.0, 6.0, 7.0, 8.0), 0.75),), 0, _ALIGN),
    "notice": Notice("Some of it lies outside.", "Move it."),
    "failed": Failed("bad_latent", "It is none.", "Use another."),
    "cancelled": Cancelled(),
    "found part": Look(Box(1, 2, 3, 4)),
    "engine": EngineStatus("0.1.0", 77, (WorkerStatus("idle", "cpu"),), 1, ("cats128", "dogs"), 2),
}
"""By their names in frames.json."""
