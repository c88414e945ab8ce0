"""What can be refused of a request by a look at itself, before an engine is started or a model is loaded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gan_edit_engine.imaging.arrays import from_message
from gan_edit_engine.imaging.square import nothing_selected
from gan_edit_protocol.arrays import Array
from gan_edit_protocol.entries import to_entries
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.geometry import Place
from gan_edit_protocol.requests import (
    EditRequest,
    FindRequest,
    ImagineRequest,
    InterpolateRequest,
    JobRequest,
    RandomRequest,
)

_LATENTS = {"latent", "noise", "latents", "truncations", "residual"}


def check_request(request: JobRequest) -> None:
    """GanEditError when nothing is selected or painted, or numbers are none: of pixels or of latents."""
    if isinstance(request, RandomRequest | FindRequest):
        return
    entries = to_entries(request)
    for name in _LATENTS & entries.keys():
        values = from_message(entries[name])
        if not np.isfinite(values.view("<f2") if name == "residual" else values).all():
            raise GanEditError("bad_latent", "The given latent holds values that are no numbers.", "Use another one.")
    if isinstance(request, InterpolateRequest | ImagineRequest):
        return
    _check_pixels(request.photo, request.place)
    mask = None if request.mask is None else from_message(request.mask)
    if mask is not None and request.place is None and not mask.any():
        raise nothing_selected()
    if isinstance(request, EditRequest) and (mask is None or mask.any()):
        check_painted(from_message(request.scribble), mask)


def check_painted(scribble: NDArray[np.generic], mask: NDArray[np.generic] | None) -> None:
    """GanEditError when nothing of ``scribble`` [H, W, 4] is painted where ``mask`` [H, W] selects."""
    painted = scribble[..., 3].astype(bool)
    if mask is not None:
        painted &= mask.astype(bool)
    if not painted.any():
        raise nothing_painted()


def nothing_painted() -> GanEditError:
    """What a person reads whose strokes lie where nothing may change, or who has made none."""
    return GanEditError(
        "nothing_painted",
        "Nothing is painted inside the selection.",
        "Paint on the scribble layer, inside the selection and the part that the model sees.",
    )


def _check_pixels(photo: Array, place: Place | None) -> None:
    if photo.dtype != "float32":
        return
    finite = np.isfinite(from_message(photo)).all(axis=2)
    if finite.all():
        return
    y, x = np.argwhere(~finite)[0] + ((0, 0) if place is None else (place.y, place.x))
    raise GanEditError(
        "bad_pixels",
        f"The photo holds {finite.size - finite.sum()} pixels that are no finite numbers, the first at ({x}, {y}).",
        "Paint over them, or convert the photo to 16 bits.",
    )
