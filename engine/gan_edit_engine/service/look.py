"""Which part of a photo a job will need: told before its pixels are sent, by the service, without the model itself."""

from __future__ import annotations

from dataclasses import dataclass

from gan_edit_engine.imaging.square import AlignPoints, Square, outside_crop
from gan_edit_engine.library.models_folder import align_points, find_model
from gan_edit_protocol.arrays import MAX_ARRAY_BYTES, MAX_SIDE, Array
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.events import Failed, Look
from gan_edit_protocol.geometry import Box
from gan_edit_protocol.requests import LookRequest

_SPILT = 0.03  # share of the paint: less of it beyond the square is the edge of a stroke
_FAR = 0.3  # share of the selection
_SIDEWAYS = 0.4  # tangent of the angle to an axis from which on a direction has two words


def answer(request: LookRequest) -> Look | Failed:
    """The part, or why there can be no such job."""
    try:
        square = _square(request)
        return Look(_part(request, square), _notes(request, square))
    except GanEditError as error:
        return Failed.of(error)


def _square(request: LookRequest) -> Square:
    canonical = _canonical(request.model) if request.align is not None else None
    # The model's resolution changes nothing about where the square lies.
    return Square.chosen(request.align, request.crop, _selected(request), canonical, resolution=1)


def _selected(request: LookRequest) -> Box:
    return request.selection or Box(0, 0, request.width, request.height)


def _part(request: LookRequest, square: Square) -> Box:
    selected = _selected(request)
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


def _notes(request: LookRequest, square: Square) -> tuple[str, ...]:
    """What a person has to know of paint and selection where the model does not look."""
    notes = []
    painted, selected = (_outside(values, request, square) for values in (request.painted_map, request.selected_map))
    if painted is not None and painted.share > _SPILT:
        notes.append(f"What is painted {painted.where} the square where the model looks changes nothing.")
    if selected is not None and selected.share > _FAR:
        share = f"{1 - selected.share:.0%} of it can change"
        notes.append(f"The selection reaches far beyond the square where the model looks: {share}.")
    return tuple(notes)


@dataclass(frozen=True)
class _Outside:
    """The ``share`` of what a map marks that lies outside of the square, and ``where``, as "above and left of"."""

    share: float
    where: str


def _outside(values: Array | None, request: LookRequest, square: Square) -> _Outside | None:
    """None where nothing is marked."""
    if values is None:
        return None
    rows, columns = values.shape
    across, down = request.width / columns, request.height / rows
    centre = square.to_photo(0.5, 0.5)
    inside, far_x, far_y, count = 0, 0.0, 0.0, 0
    for row in range(rows):
        line = values.data[row * columns : (row + 1) * columns]
        if not line.strip(b"\0"):
            continue
        for column, value in enumerate(line):
            if value:
                x, y = (column + 0.5) * across, (row + 0.5) * down
                u, v = square.from_photo(x, y)
                if 0 <= u <= 1 and 0 <= v <= 1:
                    inside += 1
                else:
                    count, far_x, far_y = count + 1, far_x + x - centre[0], far_y + y - centre[1]
    return _Outside(count / (count + inside), _direction(far_x, far_y)) if count + inside else None


def _direction(x: float, y: float) -> str:
    """Of a place so far right of and below another."""
    words = []
    if abs(y) > _SIDEWAYS * abs(x):
        words.append("above" if y < 0 else "below")
    if abs(x) > _SIDEWAYS * abs(y):
        words.append("left of" if x < 0 else "right of")
    return " and ".join(words) or "outside of"


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
