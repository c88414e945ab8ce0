"""Which of several faces is meant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gan_edit_engine.imaging.crop import Crop, Mask, bounding_box
from gan_edit_protocol.geometry import Box, Face


def chosen_face(faces: Sequence[Face], marked: Mask | None) -> Face | None:
    """Of ``faces``, best first, the one whose square holds most of what is ``marked`` [H, W]; None if none holds any.

    The best one where nothing is said (``marked`` is None).
    """
    if marked is None or not faces:
        return faces[0] if faces else None
    held = [_held(face, marked) for face in faces]
    best = int(np.argmax(held))
    return faces[best] if held[best] > 0 else None


def _held(face: Face, marked: Mask) -> float:
    """How much is marked inside the face's square."""
    square = Crop.of_square(face.crop, 1)
    inside, about = square.footprint(*marked.shape), bounding_box(marked)
    if inside is None or about is None:
        return 0.0
    x0, y0 = max(inside.x, about.x), max(inside.y, about.y)
    x1 = min(inside.x + inside.width, about.x + about.width)
    y1 = min(inside.y + inside.height, about.y + about.height)
    if x1 <= x0 or y1 <= y0:
        return 0.0
    box = Box(x0, y0, x1 - x0, y1 - y0)
    return float((square.coverage(box, soft=1.0) * marked[box.slices]).sum())
