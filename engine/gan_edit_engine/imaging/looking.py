"""Where the model looks when nobody says: at the face that is found, else at the square around the selection."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from gan_edit_engine.imaging.arrays import to_message
from gan_edit_engine.imaging.crop import WHITE, AnyImage, Mask, reduced
from gan_edit_engine.imaging.image_files import Picture
from gan_edit_engine.imaging.square import Square
from gan_edit_protocol.client import Client
from gan_edit_protocol.events import FacesFound, Notice
from gan_edit_protocol.geometry import Align, Crop, Face
from gan_edit_protocol.requests import FindRequest

Show = Callable[[Any], None]
Cancelled = Callable[[], bool]

_COLOURS = ((0.1, 1.0, 0.2), (1.0, 0.2, 0.1))
"""Of the best one, and of the others."""
_LINE = 1 / 300  # of the photo's longer side
_MOST_PIXELS = 24_000_000
"""What is looked through for faces; of a larger photo a reduced copy."""


@dataclass(frozen=True)
class Looking:
    """What a request says of it, and the ``face`` that was chosen if any."""

    align: Align | None = None
    crop: Crop | None = None
    face: Face | None = None


@dataclass(frozen=True)
class Sight:
    """A photo [H, W, 3 or 4], what is selected or painted of it [H, W], and the model that shall look at it.

    ``selected``: whether there is a selection.
    """

    photo: AnyImage
    marked: Mask | None
    model: str
    selected: bool = False


def find_place(sight: Sight, client: Client, show: Show, cancelled: Cancelled) -> Looking:
    """Look for the face that is meant: of those under what is marked the one most of which is, else the best.

    Where there is none, or nothing finds what the model knows, the request says nothing. ``show`` hears of it.
    """
    found = find_faces(sight, client, show, cancelled)
    if found.face is None:
        if told := found.told(sight.selected):
            show(Notice(told))
        return Looking()
    crop = found.face.crop
    show(Notice(found.told(sight.selected), f"The model looks at --crop {crop_text(crop)}."))
    return Looking(None, crop, found.face)


def find_faces(sight: Sight, client: Client, show: Show, cancelled: Cancelled) -> FacesFound:
    """What the engine finds, in pixels of the photo."""
    request, scale = find_request(sight)
    return client.run(request, show, cancelled).enlarged(1 / scale)


def find_request(sight: Sight) -> tuple[FindRequest, float]:
    """What is asked of the engine for that, and the scale of the copy in whose pixels it answers."""
    height, width = sight.photo.shape[:2]
    scale = min(1.0, math.sqrt(_MOST_PIXELS / (height * width)))
    photo = to_message(reduced(sight.photo, scale))
    marked = None if sight.marked is None else to_message(reduced(sight.marked, scale))
    return FindRequest(photo, marked, sight.model), scale


def crop_text(crop: Crop) -> str:
    """As ``--crop`` takes it."""
    return f"{crop.cx:.0f},{crop.cy:.0f},{crop.size:.0f},{crop.angle:.1f}"


def drawn(picture: Picture, faces: Sequence[Face]) -> Picture:
    """The photo with each face's square and points; opaque where something is drawn."""
    pixels = np.ascontiguousarray(picture.pixels).copy()
    height, width = pixels.shape[:2]
    thick = max(1, round(max(height, width) * _LINE))
    # The best one last, so that it lies above the others.
    for number, face in reversed(list(enumerate(faces))):
        _draw_face(pixels, face, _COLOURS[min(number, 1)], thick)
    return replace(picture, pixels=pixels)


def _draw_face(pixels: AnyImage, face: Face, colour: tuple[float, float, float], thick: int) -> None:
    square = Square.of_square(face.crop, 1)
    corners = [square.to_photo(x, y) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))]
    shape = np.zeros(pixels.shape[:2], np.uint8)
    cv2.polylines(shape, [np.round(corners).astype(np.int32)], True, 255, thick)
    at = face.align
    for x, y in ((at.x1, at.y1), (at.x2, at.y2)):
        cv2.circle(shape, (round(x), round(y)), 2 * thick, 255, -1)
    white = WHITE[pixels.dtype.name]
    pixels[shape > 0] = np.array([*colour, 1.0][: pixels.shape[2]]) * white
