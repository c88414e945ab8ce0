"""Which of several faces is meant."""

from __future__ import annotations

import numpy as np

from gan_edit_engine.finding.choice import chosen_face
from gan_edit_protocol.geometry import Align, Crop, Face


def face_at(cx: float, cy: float, size: float, score: float, angle: float = 0.0) -> Face:
    return Face(Align(cx, cy, cx + 1, cy), Crop(cx, cy, size, angle), score)


def test_the_face_that_is_meant_is_the_one_with_most_of_the_selection() -> None:
    faces = [face_at(50, 50, 40, 0.9), face_at(150, 50, 60, 0.8)]
    marked = np.zeros((100, 200), np.uint8)
    assert chosen_face(faces, None) is faces[0]
    assert chosen_face([], None) is None
    marked[60:65, 60:66] = 255
    assert chosen_face(faces, marked) is faces[0]
    marked[30:70, 125:140] = 255
    assert chosen_face(faces, marked) is faces[1]


def test_a_selection_outside_of_every_face_means_none() -> None:
    marked = np.zeros((100, 200), np.uint8)
    assert chosen_face([face_at(50, 50, 40, 0.9)], marked) is None
    marked[:5, 190:] = 255
    assert chosen_face([face_at(50, 50, 40, 0.9), face_at(500, 500, 40, 0.9)], marked) is None
    # Within the box around a square that stands on its corner, but outside of the square itself.
    marked[:] = 0
    marked[24:27, 24:27] = 255
    assert chosen_face([face_at(50, 50, 40, 0.9, angle=45)], marked) is None
