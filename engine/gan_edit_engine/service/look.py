"""Which part of a photo a job will need: told before its pixels are sent, by the service, without the model itself."""

from __future__ import annotations

from gan_edit_engine.imaging.square import AlignPoints, Square, outside_crop
from gan_edit_engine.library.models_folder import align_points, find_model
from gan_edit_protocol.arrays import MAX_ARRAY_BYTES, MAX_SIDE
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.events import Failed, Look
from gan_edit_protocol.geometry import Box
from gan_edit_protocol.requests import LookRequest


def answer(request: LookRequest) -> Look | Failed:
    """The part, or why there can be no such job."""
    try:
        return Look(_part(request))
    except GanEditError as error:
        return Failed(error.code, error.message, error.hint)


def _part(request: LookRequest) -> Box:
    selected = request.selection or Box(0, 0, request.width, request.height)
    canonical = _canonical(request.model) if request.align is not None else None
    # The model's resolution changes nothing about where the square lies.
    square = Square.chosen(request.align, request.crop, selected, canonical, resolution=1)
    footprint = square.footprint(request.height, request.width)
    if footprint is None or not _touch(footprint, selected):
        raise outside_crop()
    part = square.surroundings(request.height, request.width, request.feather)
    most = MAX_ARRAY_BYTES // request.pixel_bytes
    if max(part.width, part.height) > MAX_SIDE or part.width * part.height > most:
        raise GanEditError(
            "too_large",
            f"{part.width}×{part.height} pixels of the photo would be needed; at most {most // 1_000_000} megapixels, "
            f"and {MAX_SIDE} pixels a side, can be edited at once.",
            "Select a smaller part, give a smaller crop, or make the photo smaller.",
        )
    return part


def _canonical(model: str) -> AlignPoints | None:
    try:
        return align_points(find_model(model))
    except (OSError, ValueError, AttributeError, RecursionError):
        raise GanEditError(
            "bad_checkpoint", f"Cannot read the model {model[:300]!r}.", "Import it again, or use another one."
        ) from None


def _touch(one: Box, other: Box) -> bool:
    across = one.x < other.x + other.width and other.x < one.x + one.width
    return across and one.y < other.y + other.height and other.y < one.y + one.height
