"""Scribbles without a photo on the default model: the paint is followed, and what comes out are cats."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from default_size import LAYERS, SIDE
from gan_edit_engine.generators import Generator
from gan_edit_engine.imaging.arrays import from_message, to_message
from gan_edit_engine.inversion.anatomy import Anatomy, places, unit
from gan_edit_engine.inversion.latents import map_to_w, random_z
from gan_edit_engine.worker.perform import perform
from gan_edit_engine.worker.workspace import Workspace
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.events import FramesReady, Progress
from gan_edit_protocol.requests import ImagineRequest
from gan_edit_protocol.settings import ImagineSettings

CANVAS = 256
LEFT_EYE, RIGHT_EYE = (75, 104), (187, 104)
CPU = torch.device("cpu")
QUICK = ImagineSettings(candidates=2, samples=32, steps=20)


@pytest.fixture(scope="module")
def workspace() -> Workspace:
    return Workspace(CPU)


def canvas() -> np.ndarray:
    return np.zeros((CANVAS, CANVAS, 4), np.uint8)


def stroke(scribble: np.ndarray, colour: tuple[int, int, int], *points: tuple[int, int], width: int = 26) -> None:
    line = np.array(points, np.int32).reshape(1, -1, 1, 2)
    cv2.polylines(scribble, line, isClosed=False, color=(*colour, 255), thickness=width)


def eyes(scribble: np.ndarray, colour: tuple[int, int, int]) -> None:
    for x, y in (LEFT_EYE, RIGHT_EYE):
        stroke(scribble, colour, (x - 12, y), (x + 12, y), width=22)


def tuxedo() -> np.ndarray:
    scribble = canvas()
    stroke(scribble, (25, 24, 26), (40, 40), (100, 70), (40, 150))
    stroke(scribble, (25, 24, 26), (216, 40), (160, 70), (216, 150))
    stroke(scribble, (245, 245, 245), (95, 175), (170, 180), (95, 215), (170, 220))
    eyes(scribble, (110, 180, 70))
    return scribble


def purple() -> np.ndarray:
    scribble = canvas()
    stroke(scribble, (140, 60, 190), (40, 50), (210, 75), (40, 110), (210, 140), (40, 175), (210, 200), width=30)
    eyes(scribble, (255, 80, 170))
    return scribble


def run(scribble: np.ndarray, workspace: Workspace, settings: ImagineSettings = QUICK) -> tuple[list, FramesReady]:
    request = ImagineRequest(to_message(scribble), settings=settings, previews=True)
    *progress, result = perform(request, workspace)
    return progress, result


def oddness(generator: Generator, latents: np.ndarray) -> np.ndarray:
    """Beyond 0, of the model's own images at truncation .7 in the mean .2."""
    w = map_to_w(generator, random_z(generator, 32, 99, CPU))
    usual = torch.lerp(generator.w_avg, w, 0.7)[:, None].expand(-1, generator.num_ws, -1)
    with torch.no_grad():
        seen, ours = (
            places(generator.small_image_and_features(ws, 16)[1], 16)
            for ws in (usual, torch.from_numpy(latents.copy()))
        )
        return Anatomy(16, unit(seen.sum(0, keepdim=True)), torch.ones(1, 1, 16, 16), 0.0).oddness(ours).numpy()


@pytest.mark.slow
@pytest.mark.parametrize("scribble", [tuxedo, purple])
def test_the_paint_is_followed_and_the_faces_stay_whole_also_in_colours_that_no_cat_has(scribble, workspace):
    _, result = run(scribble(), workspace)
    assert from_message(result.errors).max() < 0.14
    assert oddness(workspace.model("default")[0].generator, from_message(result.latents)).max() < 0.3


@pytest.mark.slow
def test_two_blue_strokes_are_eyes_and_not_a_blue_cat(workspace):
    scribble = canvas()
    eyes(scribble, (70, 140, 225))
    _, result = run(scribble, workspace)
    for frame in from_message(result.frames):
        image = cv2.resize(frame, (CANVAS, CANVAS), interpolation=cv2.INTER_LINEAR).astype(int)
        blueness = image[..., 2] - image[..., 0]
        irises = [blueness[y - 8 : y + 8, x - 10 : x + 10].mean() for x, y in (LEFT_EYE, RIGHT_EYE)]
        cheeks = [blueness[170:210, x : x + 30].mean() for x in (40, 186)]
        assert min(irises) > max(cheeks) + 40


def test_looks_and_steps_are_counted_through_with_previews(workspace):
    settings = ImagineSettings(candidates=2, samples=16, steps=12)
    scribble = canvas()
    eyes(scribble, (220, 170, 50))
    progress, result = run(scribble, workspace, settings)
    drawn = [each for each in progress if isinstance(each, Progress) and each.stage != "Exploring the model"]
    assert [each.step for each in drawn] == list(range(1, 19)), "2 looks, 8 steps for all, 4 for each of 2"
    assert {each.of for each in drawn} == {18}
    assert [each.step for each in drawn if each.preview] == [10]
    assert result.frames.shape == (2, SIDE, SIDE, 3)
    assert result.latents.shape == (2, LAYERS, 512)
    again = run(scribble, workspace, settings)[1]
    assert (again.frames, again.latents) == (result.frames, result.latents)


def test_an_opaque_canvas_is_followed_everywhere(workspace):
    settings = ImagineSettings(candidates=1, samples=16, steps=10)
    dark, light = (
        from_message(run(np.full((64, 64, 4), (*[value] * 3, 255), np.uint8), workspace, settings)[1].frames).mean()
        for value in (60, 190)
    )
    assert light > dark + 50


def test_paint_beside_the_square_in_the_middle_does_not_count(workspace):
    scribble = np.zeros((100, 300, 4), np.uint8)
    scribble[:, :90] = 255
    with pytest.raises(GanEditError, match="Nothing is painted on the scribble in the square in its middle") as caught:
        run(scribble, workspace)
    assert caught.value.hint
