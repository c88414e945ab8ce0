"""What the worker answers to a client that asks where the faces are."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from numpy.typing import NDArray

from chelsea import chelsea_turned
from evaluate_alignment import eye_error
from gan_edit_engine.checkpoints import safetensors_file
from gan_edit_engine.generators import Generator
from gan_edit_engine.imaging.arrays import to_message
from gan_edit_engine.worker.perform import perform
from gan_edit_engine.worker.workspace import Workspace
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.events import FacesFound
from gan_edit_protocol.geometry import Align
from gan_edit_protocol.requests import FindRequest

CAT, TRUTH = chelsea_turned(0)
SMALL, LEFT, TOP = 0.2, 1700, 300
"""How large the cat is in a large photo, and where."""


def answer(photo: NDArray[np.generic], mask: NDArray[np.uint8] | None = None, model: str = "default") -> FacesFound:
    request = FindRequest(to_message(photo), None if mask is None else to_message(mask), model)
    (found,) = perform(request, Workspace(torch.device("cpu")))
    assert isinstance(found, FacesFound)
    return found


def eyes(found: FacesFound) -> Align:
    assert found.face is not None
    return found.face.align


@pytest.fixture
def large_photo() -> NDArray[np.uint8]:
    """A cat so small in it that all of the photo does not show her."""
    photo = np.full((1800, 2700, 3), 90, np.uint8)
    cat = cv2.resize(CAT, None, fx=SMALL, fy=SMALL, interpolation=cv2.INTER_AREA)
    photo[TOP : TOP + len(cat), LEFT : LEFT + cat.shape[1]] = cat
    return photo


def test_a_face_is_the_model_s_square_its_points_and_its_kind() -> None:
    found = answer(CAT)
    assert found.kind == "cat face"
    assert found.chosen == 0
    assert eye_error(eyes(found), TRUTH.points) < 0.08


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_every_kind_of_pixels_is_looked_at(dtype: str) -> None:
    photo = CAT.astype(np.uint16) * 257 if dtype == "uint16" else CAT.astype(np.float32) / 255
    if dtype == "float32":
        photo[0, 0] = np.nan
    assert eye_error(eyes(answer(photo)), TRUTH.points) < 0.08


def test_a_face_too_small_for_the_whole_photo_is_found_around_what_is_marked(large_photo: NDArray[np.uint8]) -> None:
    assert answer(large_photo).chosen == -1
    marked = np.zeros(large_photo.shape[:2], np.uint8)
    x, y = (TRUTH.points[0] * SMALL + (LEFT, TOP)).astype(int)
    marked[y - 4 : y + 5, x - 4 : x + 20] = 255
    found = answer(large_photo, marked)
    assert eye_error(eyes(found), TRUTH.points * SMALL + (LEFT, TOP)) < 0.15


def test_what_is_marked_beside_every_face_means_none_of_them() -> None:
    marked = np.zeros(CAT.shape[:2], np.uint8)
    marked[-9:, -9:] = 255
    found = answer(CAT, marked)
    assert found.faces
    assert found.face is None
    assert "lies where the paint or the selection is" in found.told(selected=True)


def test_nothing_is_looked_for_where_nothing_finds_what_the_model_knows(
    tmp_path: Path, tiny_generator: Generator
) -> None:
    path = tmp_path / "textures.safetensors"
    safetensors_file.write(path, tiny_generator, {"domain": "textures", "align_points": "[[0.3, 0.4], [0.7, 0.4]]"})
    found = answer(CAT, model=str(path))
    assert found == FacesFound()
    assert found.told(selected=True) == ""


def test_a_model_that_is_not_there_is_said() -> None:
    with pytest.raises(GanEditError, match="zebras"):
        answer(CAT, model="zebras")


def test_people_are_found_for_a_model_of_people(tmp_path: Path, tiny_generator: Generator) -> None:
    path = tmp_path / "portraits.safetensors"
    safetensors_file.write(path, tiny_generator, {"domain": "human face"})
    found = answer(skimage.data.astronaut(), model=str(path))
    assert found.kind == "human face"
    assert found.chosen == 0
    assert found.canonical is not None
    assert found.face is not None
    assert found.face.crop.size > 100
