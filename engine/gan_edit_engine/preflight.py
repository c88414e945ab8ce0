"""What can be refused of a request by a look at itself, before an engine is started or a model is loaded."""

from __future__ import annotations

import numpy as np

from gan_edit_engine.arrays import from_message
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.messages import Array, EditRequest, InterpolateRequest, JobRequest, RandomRequest

_LATENTS = ("latent", "noise", "latents", "truncations")


def check_request(request: JobRequest) -> None:
    """GanEditError when nothing is selected or painted, or numbers are none: of pixels or of latents."""
    if isinstance(request, RandomRequest):
        return
    for name in _LATENTS:
        array = getattr(request, name, None)
        if array is not None and not np.isfinite(from_message(array)).all():
            raise GanEditError("bad_latent", "The given latent holds values that are no numbers.", "Use another one.")
    if isinstance(request, InterpolateRequest):
        return
    _check_pixels(request.photo)
    if request.mask is not None and not from_message(request.mask).any():
        raise nothing_selected()
    if isinstance(request, EditRequest):
        painted = from_message(request.scribble)[..., 3].astype(bool)
        if request.mask is not None:
            painted &= from_message(request.mask).astype(bool)
        if not painted.any():
            raise nothing_painted()


def nothing_selected() -> GanEditError:
    """What a person reads who has selected nothing."""
    return GanEditError(
        "empty_mask", "Nothing of the layer is selected.", "Select the part to edit, or select nothing at all."
    )


def nothing_painted() -> GanEditError:
    """What a person reads whose strokes lie where nothing may change, or who has made none."""
    return GanEditError(
        "nothing_painted",
        "Nothing is painted inside the selection.",
        "Paint on the scribble layer, inside the selection and the part that the model sees.",
    )


def _check_pixels(photo: Array) -> None:
    if photo.dtype != "float32":
        return
    finite = np.isfinite(from_message(photo)).all(axis=2)
    if finite.all():
        return
    y, x = np.argwhere(~finite)[0]
    raise GanEditError(
        "bad_pixels",
        f"The photo holds {finite.size - finite.sum()} pixels that are no finite numbers, the first at ({x}, {y}).",
        "Paint over them, or convert the photo to 16 bits.",
    )
