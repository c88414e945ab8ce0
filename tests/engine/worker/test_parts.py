"""Only what a job needs of a photo travels, and the result is the same as if all of it did."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from default_size import SIDE
from gan_edit_engine.imaging.arrays import from_message, to_message
from gan_edit_engine.imaging.crop import Crop as PhotoCrop
from gan_edit_engine.imaging.crop import composite
from gan_edit_engine.imaging.cutting import Scene, cut
from gan_edit_engine.service import look
from gan_edit_engine.worker import interpolation as perform_interpolation
from gan_edit_engine.worker.perform import perform
from gan_edit_engine.worker.workspace import Workspace
from gan_edit_protocol.client import Client
from gan_edit_protocol.errors import GanEditError, JobFailedError, WireError
from gan_edit_protocol.events import Failed, Look, ResultReady
from gan_edit_protocol.geometry import MAX_PHOTO_SIDE, Align, Box, Crop, Place
from gan_edit_protocol.requests import EditRequest, InterpolateRequest, LookRequest, ProjectRequest
from gan_edit_protocol.settings import EditSettings, InterpolateSettings, ProjectSettings

HEIGHT, WIDTH = 420, 600


def nobody(event: Any) -> None:
    """Hears what is noted."""


QUICK = EditSettings(steps=2, edit_steps=2, init_samples=1, cache=False)


class InProcess(Client):
    """A client whose engine is this process."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.sent: list[Any] = []

    def look(self, request: LookRequest) -> Look:
        answer = look.answer(request)
        if isinstance(answer, Failed):
            raise JobFailedError(answer.code, answer.message, answer.hint)
        return answer

    def run(self, request: Any, on_event: Any = None, cancelled: Any = None) -> Any:
        self.sent.append(request)
        *_, result = perform(request, self.workspace)
        return result


@pytest.fixture(scope="module")
def client() -> InProcess:
    return InProcess(Workspace(torch.device("cpu")))


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """Noise at every scale, so that a pixel more or less anywhere would show."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def scene_of(photo: np.ndarray, mask: np.ndarray | None, **where: Any) -> Scene:
    scribble = np.zeros((*photo.shape[:2], 4), np.uint8)
    scribble[150:200, 230:300] = (80, 145, 220, 200)
    scribble[:, ::37] = (255, 0, 0, 255)
    return Scene(photo, mask, "default", where.get("align"), where.get("crop"), scribble)


def rectangle(top: int, bottom: int, left: int, right: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[top:bottom, left:right] = np.arange(left, right) % 200 + 56
    return mask


@pytest.mark.parametrize(
    ("mask", "where", "feather"),
    [
        (rectangle(120, 240, 200, 330), {}, 0.0),
        (rectangle(120, 240, 200, 330), {"align": Align(228.3, 160.1, 290.7, 171.9)}, 20.0),
        (rectangle(0, 420, 0, 600), {"align": Align(228.3, 160.1, 290.7, 171.9)}, 30.0),
        (rectangle(100, 300, 150, 420), {"crop": Crop(260.4, 180.2, 97.3, 31.0)}, 25.0),
        (None, {"crop": Crop(30.0, 20.0, 120.0, -12.0)}, 40.0),
        (rectangle(150, 260, 540, 600), {}, 15.0),
    ],
    ids=["square around the selection", "eyes", "all selected", "turned crop", "beyond the corner", "at the border"],
)
def test_a_part_gives_the_same_edit_as_the_whole_to_the_bit(client, photo, mask, where, feather) -> None:
    scene = scene_of(photo, mask, **where)
    settings = dataclasses.replace(QUICK, feather=feather)
    part = cut(scene, client, nobody, feather)
    assert part.photo.shape[0] * part.photo.shape[1] < HEIGHT * WIDTH
    alike = {"model": "default", "align": scene.align, "crop": scene.crop, "settings": settings}
    sent = EditRequest(part.photo, part.scribble, part.mask, place=part.place, **alike)
    whole = EditRequest(
        to_message(photo), to_message(scene.scribble), None if mask is None else to_message(mask), **alike
    )
    ours, theirs = (dataclasses.replace(client.run(request), seconds=0.0) for request in (sent, whole))
    assert ours == theirs


def test_a_part_gives_the_same_projection_as_the_whole_to_the_bit(client, photo) -> None:
    scene = Scene(photo, None, "default", Align(228.3, 160.1, 290.7, 171.9), None)
    part = cut(scene, client, nobody)
    settings = ProjectSettings(steps=2, init_samples=1, cache=False)
    sent = ProjectRequest(part.photo, align=scene.align, place=part.place, settings=settings)
    whole = ProjectRequest(to_message(photo), align=scene.align, settings=settings)
    ours, theirs = (dataclasses.replace(client.run(request), seconds=0.0) for request in (sent, whole))
    assert ours == theirs


def test_pixels_that_are_not_needed_need_not_even_exist(client) -> None:
    """A photo of 70,000 pixels: no array of the protocol is so wide."""
    width, height = 70_000, 64
    strip = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    mask = np.zeros((height, width), np.uint8)
    mask[10:50, 69_000:69_040] = 255
    part = cut(Scene(strip, mask, "default", None, None), client, nobody)
    assert part.photo.shape[1] < 100
    settings = ProjectSettings(steps=1, init_samples=1, cache=False)
    result: ResultReady = client.run(ProjectRequest(part.photo, part.mask, place=part.place, settings=settings))
    assert (result.x, result.y) == (69_000, 10)
    edited = composite(strip, from_message(result.image), from_message(result.mask), result.x, result.y)
    assert (edited[mask == 0] == strip[mask == 0]).all()
    assert (edited[mask > 0] != strip[mask > 0]).any()


@pytest.mark.parametrize("size", [33_000, 60_000])
def test_what_is_wider_than_opencv_counts_is_seen_and_covered_all_the_same(size: int) -> None:
    strip = np.linspace(0, 1, size, dtype=np.float32)[None].repeat(8, axis=0)
    crop = PhotoCrop.of_square(Crop(size / 2, 4, size), 16)
    np.testing.assert_allclose(crop.extract(strip)[8], (np.arange(16) + 0.5) / 16, atol=0.01)
    laid = crop.insert(np.linspace(0, 1, 16, dtype=np.float32)[None].repeat(16, axis=0), Box(0, 0, size, 8))
    assert laid.shape == (8, size)
    assert laid[4, size // 2] == pytest.approx(0.5, abs=0.01)
    assert laid[4, -1] == pytest.approx(1, abs=0.1)


# --- where the model looks ----------------------------------------------------------------------------------------


def test_a_part_that_lacks_what_the_model_looks_at_is_refused(client, photo) -> None:
    crop = Crop(300.0, 200.0, 100.0)
    part = Box(255, 100, 200, 200)  # begins at 250
    request = ProjectRequest(to_message(photo[part.slices]), crop=crop, place=Place(part.x, part.y, WIDTH, HEIGHT))
    with pytest.raises(WireError, match="does not hold"):
        client.run(request)


def asked(**changes: Any) -> Look | Failed:
    return look.answer(LookRequest(**{"width": 12_000, "height": 12_000, "crop": Crop(500, 50, 200), **changes}))


def test_a_small_crop_of_144_megapixels_needs_little_of_them() -> None:
    answer = asked()
    assert isinstance(answer, Look)
    assert answer.part.width * answer.part.height < 250 * 250


def test_the_part_holds_the_feathers_reach_and_ends_with_the_photo() -> None:
    narrow, wide, all_of_it = (asked(feather=feather) for feather in (0.0, 30.0, 100.0 * 120))
    assert narrow.part.x - wide.part.x >= 60
    assert all_of_it.part == Box(0, 0, 12_000, 12_000)


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"crop": Crop(500, 13_000, 200)}, "outside_crop", "outside of the square"),
        ({"selection": Box(5000, 5000, 10, 10)}, "outside_crop", "outside of the square"),
        ({"crop": None, "pixel_bytes": 8}, "too_large", r"12000×12000 pixels .* at most 134 megapixels"),
        ({"crop": None, "width": 70_000, "height": 50}, "too_large", "70000×50 pixels"),
        ({"crop": Crop(0, 0, 1)}, "bad_crop", "too small"),
        ({"crop": Crop(1e308, 0, 1e308)}, "bad_crop", "far outside"),
        ({"align": Align(1e300, 0, -1e300, 0)}, "bad_crop", "far outside"),
        ({"align": Align(1, 1, 100, 1), "model": "nonesuch"}, "unknown_model", "nonesuch"),
        ({"align": Align(1, 1, 100, 1), "model": "x" * 60_000}, "unknown_model", "no model"),
        ({"align": Align(1, 1, 100, 1), "model": "\0" + "\\" * 31_000}, "unknown_model", "no model"),
        ({"align": Align(1, 1, 100, 1), "model": __file__}, "no_alignment", "no alignment points"),
    ],
)
def test_a_job_that_cannot_be_is_told_before_any_pixel_is_sent(changes, code, words) -> None:
    answer = asked(**changes)
    assert isinstance(answer, Failed)
    assert answer.code == code
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(answer.message)
    assert answer.hint
    assert len(answer.message) < 1500


@pytest.mark.parametrize("place", [(-1, 0, 600, 420), (1, 0, 600, 420), (0, 0, MAX_PHOTO_SIDE + 1, 420)])
def test_a_part_that_does_not_lie_in_its_photo_is_refused(photo, place) -> None:
    with pytest.raises(WireError):
        ProjectRequest(to_message(photo), place=Place(*place))


def test_an_empty_mask_is_told_before_anything_is_sent(client, photo) -> None:
    with pytest.raises(GanEditError, match="Nothing of the layer is selected"):
        cut(Scene(photo, np.zeros((HEIGHT, WIDTH), np.uint8), "default", None, None), client, nobody)


# --- frames -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["linear", "spherical"])
def test_frames_that_fill_no_message_come_in_parts(client, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    zs = to_message(np.random.default_rng(0).standard_normal((2, 512)).astype(np.float32))
    settings = InterpolateSettings(mode=mode, frames=5)
    request = InterpolateRequest(zs, settings=settings)
    whole = client.run(request)
    assert (whole.first, whole.of, whole.frames.shape[0]) == (0, 5, 5)
    monkeypatch.setattr(perform_interpolation, "ANSWER_BYTES", 2 * SIDE * SIDE * 3 + 1)
    parts = list(client.frames(request))
    assert [(part.first, part.of, part.frames.shape[0]) for part in parts] == [(0, 5, 2), (2, 5, 2), (4, 5, 1)]
    assert b"".join(part.frames.data for part in parts) == whole.frames.data
    assert b"".join(part.latents.data for part in parts) == whole.latents.data
    with pytest.raises(GanEditError, match="no frame 5"):
        client.run(dataclasses.replace(request, first=5))


def marks(*boxes: tuple[int, int, int, int]) -> Any:
    """A map of a photo of 1000 × 1000 pixels with boxes (x, y, width, height) of it."""
    values = np.zeros((100, 100), np.uint8)
    for x, y, width, height in boxes:
        values[y // 10 : (y + height) // 10, x // 10 : (x + width) // 10] = 255
    return to_message(values)


@pytest.mark.parametrize(
    ("box", "where"),
    [
        ((50, 480, 60, 40), "left of"),
        ((900, 480, 60, 40), "right of"),
        ((480, 20, 40, 60), "above"),
        ((900, 900, 60, 60), "below and right of"),
    ],
)
def test_paint_where_the_model_does_not_look_is_named(box: tuple[int, int, int, int], where: str) -> None:
    request = LookRequest(1000, 1000, crop=Crop(500, 500, 400, 20), painted_map=marks((450, 450, 100, 100), box))
    answer = look.answer(request)
    assert isinstance(answer, Look)
    assert answer.notes == (f"What is painted {where} the square where the model looks changes nothing.",)


def test_a_selection_far_beyond_the_square_says_how_much_of_it_can_change() -> None:
    request = LookRequest(1000, 1000, crop=Crop(500, 500, 400), selected_map=marks((0, 0, 1000, 1000)))
    (note,) = look.answer(request).notes
    assert "16% of it can change" in note
    inside = LookRequest(1000, 1000, crop=Crop(500, 500, 400), selected_map=marks((290, 400, 200, 200)))
    assert look.answer(inside).notes == ()
