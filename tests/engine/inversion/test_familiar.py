"""Photos of what the model does not know are told before the long work."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from chelsea import chelsea_turned
from gan_edit_engine.checkpoints.encoder_file import USUAL_UNLIKENESS
from gan_edit_engine.imaging.arrays import to_message
from gan_edit_engine.inversion.familiar import usual_unlikeness
from gan_edit_engine.library.encoders import _usual
from gan_edit_engine.networks.encoder import Encoder, EncoderConfig
from gan_edit_engine.worker.perform import perform
from gan_edit_engine.worker.workspace import Workspace
from gan_edit_protocol.events import Notice
from gan_edit_protocol.geometry import Align, Crop
from gan_edit_protocol.requests import ProjectRequest
from gan_edit_protocol.settings import ProjectSettings
from shipped_pictures import people, shipped

QUICK = ProjectSettings(steps=1, init_samples=1, cache=False)
CAT, TRUTH = chelsea_turned(0)


@pytest.fixture(scope="module")
def workspace() -> Workspace:
    return Workspace(torch.device("cpu"))


def notices(workspace: Workspace, photo: NDArray[np.uint8], **where: Align | Crop) -> list[str]:
    """What a person is told before the first step."""
    told = []
    for event in perform(ProjectRequest(to_message(photo), settings=QUICK, **where), workspace):
        if isinstance(event, Notice):
            told.append(str(event))
    return told


def test_a_cat_is_what_the_model_knows_and_people_and_things_are_not(workspace: Workspace) -> None:
    (x1, y1), (x2, y2) = TRUTH.points.tolist()
    assert notices(workspace, CAT, align=Align(x1, y1, x2, y2)) == []
    for photo in (people(), *shipped(["rocket.jpg", "coffee.png"])):
        (told,) = notices(workspace, photo)
        assert "(cat face)" in told


def test_a_face_upside_down_is_told_too(workspace: Workspace) -> None:
    turned = cv2.rotate(CAT, cv2.ROTATE_180)
    (x1, y1), (x2, y2) = (np.array(CAT.shape[1::-1]) - TRUTH.points).tolist()
    assert notices(workspace, turned, align=Align(x1, y1, x2, y2)) == []
    assert len(notices(workspace, turned, align=Align(x2, y2, x1, y1))) == 1


def test_the_encoder_is_asked_once_for_what_is_told_and_where_the_search_starts(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[torch.Tensor] = []
    answer = Encoder.forward
    monkeypatch.setattr(Encoder, "forward", lambda self, photo: asked.append(photo) or answer(self, photo))
    notices(workspace, CAT)
    assert len(asked) == 1


def test_where_little_of_the_square_is_photo_nothing_is_said(workspace: Workspace) -> None:
    (rocket,) = shipped(["rocket.jpg"])
    height, width = rocket.shape[:2]
    assert notices(workspace, rocket, crop=Crop(0, height / 2, 1.5 * height)) == []


def test_the_usual_is_what_few_of_the_photos_exceed(tiny_generator) -> None:
    torch.manual_seed(0)
    config = EncoderConfig(tiny_generator.num_ws, tiny_generator.w_dim, 1.0)
    encoder, photos = Encoder(config).eval(), torch.rand(50, 3, 16, 16) * 2 - 1
    usual = usual_unlikeness(tiny_generator, encoder, photos)
    assert 0 < usual < 2
    assert encoder.unlikeness(photos, photos).abs().max() < 1e-5


@pytest.mark.parametrize("text", ["", "nan", "-1", "7", "much"])
def test_nonsense_in_a_header_is_no_usual(text: str) -> None:
    assert _usual({USUAL_UNLIKENESS: text}) is None
    assert _usual({}) is None
    assert _usual({USUAL_UNLIKENESS: "0.5"}) == 0.5
