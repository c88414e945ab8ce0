"""Where in a photo the things are that a model knows, as a client asks before it sends the part that matters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gan_edit_engine.finding.choice import chosen_face
from gan_edit_engine.finding.registry import ModelFinder, finder_of_model
from gan_edit_engine.imaging.arrays import from_message
from gan_edit_engine.imaging.crop import AnyImage, Mask, bounding_box
from gan_edit_engine.library.catalogue import FFHQ_POINTS
from gan_edit_protocol.events import FacesFound
from gan_edit_protocol.geometry import Align, Box, Face
from gan_edit_protocol.requests import FindRequest

_AROUND = 1.5  # sides of what is marked that are looked at on each side of it: an eye's face is whole in that
_AROUND_LEAST = 64  # pixels
_CLOSER = 0.5  # share of the photo: more of it is hardly seen any better than all of it


def find_faces(request: FindRequest) -> FacesFound:
    """All of them, and which is meant. GanEditError when there is no such model, or its file is damaged."""
    known = finder_of_model(request.model)
    if known is None:
        return FacesFound()
    photo = from_message(request.photo)
    marked = None if request.mask is None else from_message(request.mask).astype(np.uint8, copy=False)
    faces = known.find(photo)
    meant = chosen_face(faces, marked)
    if meant is None and marked is not None:
        # A face may be too small to be seen in the whole photo.
        closer = _find_around(known, photo, marked)
        meant = chosen_face(closer, marked)
        faces = [*([] if meant is None else [meant]), *faces]
    chosen = -1 if meant is None else faces.index(meant)
    # Who is seen as FFHQ is, by the mouth too, has the eyes near these places.
    (x1, y1), (x2, y2) = known.canonical or FFHQ_POINTS
    return FacesFound(known.kind, tuple(faces), chosen, Align(x1, y1, x2, y2))


def _find_around(known: ModelFinder, photo: AnyImage, marked: Mask) -> list[Face]:
    """The faces around what is marked, where that is a small part of the photo."""
    box = bounding_box(marked)
    if box is None:
        return []
    height, width = marked.shape
    margin = max(round(_AROUND * max(box.width, box.height)), _AROUND_LEAST)
    x0, y0 = max(0, box.x - margin), max(0, box.y - margin)
    x1, y1 = min(width, box.x + box.width + margin), min(height, box.y + box.height + margin)
    if (x1 - x0) * (y1 - y0) > _CLOSER * width * height:
        return []
    return [_moved(face, x0, y0) for face in known.find(photo[Box(x0, y0, x1 - x0, y1 - y0).slices])]


def _moved(face: Face, dx: int, dy: int) -> Face:
    """As it lies in a photo whose part with its corner at (``dx``, ``dy``) was searched."""
    at, crop = face.align, face.crop
    align = Align(at.x1 + dx, at.y1 + dy, at.x2 + dx, at.y2 + dy)
    return Face(align, replace(crop, cx=crop.cx + dx, cy=crop.cy + dy), face.score)
