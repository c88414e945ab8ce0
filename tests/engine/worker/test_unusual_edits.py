"""Edits that nobody should ask for, and photos and models of all kinds: a sound result, or a plain sentence."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import skimage
import torch
from small_generators import small_dcgan, small_stylegan2, small_stylegan3

from gan_edit_engine.checkpoints import safetensors_file
from gan_edit_engine.imaging.arrays import from_message, to_message
from gan_edit_engine.imaging.crop import Crop as PhotoCrop
from gan_edit_engine.imaging.crop import composite
from gan_edit_engine.worker import follow as follow_module
from gan_edit_engine.worker.perform import perform
from gan_edit_engine.worker.workspace import Workspace
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.events import ResultReady
from gan_edit_protocol.geometry import Align, Crop
from gan_edit_protocol.latent import Latent
from gan_edit_protocol.requests import EditRequest
from gan_edit_protocol.settings import EditSettings

EYES = Align(172, 118, 320, 137)
QUICK = {"edit_steps": 3, "axes": "own", "precision": "float32"}
HEIGHT, WIDTH = 300, 451
FUR = (slice(60, 80), slice(225, 265))  # between the ears
HOLE = (slice(66, 72), slice(240, 246))  # in it, never selected
BACKGROUND = (slice(180, 210), slice(368, 392))  # right of the face, in the model's square


@pytest.fixture(scope="module")
def workspace() -> Workspace:
    return Workspace(torch.device("cpu"))


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return skimage.data.chelsea()


@pytest.fixture(scope="module")
def latent(workspace) -> np.ndarray:
    """Of the model's mean face: an edit from a given latent begins at once."""
    generator = workspace.model("default")[0].generator
    return generator.w_avg.expand(generator.num_ws, -1).numpy().copy()


@pytest.fixture
def counted(monkeypatch, workspace) -> Callable[[], np.ndarray]:
    """How far the strokes of the last edit counted in the photo [H, W], and in a few pixels around."""
    seen: list[np.ndarray] = []
    original = follow_module.meaning

    def spied(photo, before, after, strokes, counts):
        seen[:] = [cv2.dilate(counts.sum(0), np.ones((5, 5)))]
        return original(photo, before, after, strokes, counts)

    def in_photo() -> np.ndarray:
        square = PhotoCrop.of_points(EYES, workspace.model("default")[0].info.align_points, len(seen[0]))
        box = square.footprint(HEIGHT, WIDTH)
        laid = np.zeros((HEIGHT, WIDTH), np.float32)
        laid[box.slices] = square.insert(seen[0], box)
        return laid

    monkeypatch.setattr(follow_module, "meaning", spied)
    return in_photo


def strokes(
    *painted: tuple[tuple[slice, slice], tuple[int, int, int]], shape: tuple[int, int] = (HEIGHT, WIDTH)
) -> np.ndarray:
    scribble = np.zeros((*shape, 4), np.uint8)
    for where, colour in painted:
        scribble[where] = (*colour, 255)
    return scribble


def selection(*where: slice) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[where] = 255
    mask[HOLE] = 0
    return mask


ALL = selection(slice(5, 295), slice(5, 440))


@pytest.fixture
def run(workspace, latent) -> Callable[..., ResultReady]:
    def run(photo: np.ndarray, scribble: np.ndarray, mask: np.ndarray | None = None, **more) -> ResultReady:
        settings = EditSettings(**{**QUICK, **more.pop("settings", {})})
        place = {"align": EYES, "latent": Latent(to_message(latent)), **more}
        given = None if mask is None else to_message(mask)
        *_, result = perform(
            EditRequest(to_message(photo), to_message(scribble), given, settings=settings, **place), workspace
        )
        assert result.image.dtype == photo.dtype.name
        return result

    return run


@pytest.fixture
def edited(run) -> Callable[..., np.ndarray]:
    """The photo with the edit in it, of the photo's own type."""

    def edited(photo: np.ndarray, scribble: np.ndarray, mask: np.ndarray | None = None, **more) -> np.ndarray:
        result = run(photo, scribble, mask, **more)
        return composite(photo, from_message(result.image), from_message(result.mask), result.x, result.y)

    return edited


def change(photo: np.ndarray, edited: np.ndarray) -> np.ndarray:
    """[H, W] of 255."""
    white = {"uint8": 255, "uint16": 65535, "float32": 1}[photo.dtype.name]
    difference = np.abs(edited[..., :3].astype(np.float64) - photo[..., :3]).mean(-1) * 255 / white
    assert np.isfinite(difference).all()
    return difference


RED, BLUE, PURPLE, WHITE = (220, 30, 30), (40, 60, 220), (160, 0, 200), (255, 255, 255)
DOTS = strokes(
    *[
        ((slice(60 + y, 62 + y), slice(230 + x, 232 + x)), RED if (x + y) % 4 else BLUE)
        for x in range(0, 40, 2)
        for y in range(0, 20, 2)
    ]
)
ODD = {
    "purple on fur": (strokes((FUR, PURPLE)), ALL),
    "one colour over all that is selected": (
        strokes((np.s_[100:200, 150:300], BLUE)),
        selection(slice(100, 200), slice(150, 300)),
    ),
    "two colours on one spot": (DOTS, ALL),
    "strokes that cross": (strokes((np.s_[60:66, 200:300], RED), (np.s_[40:90, 245:251], BLUE)), ALL),
    "paint on the background alone": (strokes((BACKGROUND, PURPLE)), ALL),
    "five pixels": (strokes((np.s_[120:121, 170:175], RED)), selection(slice(120, 121), slice(170, 175))),
    "a hair": (strokes((np.s_[60:120, 240:241], WHITE)), ALL),
    "white on stripes": (strokes((np.s_[60:75, 200:280], WHITE)), ALL),
}


@pytest.mark.parametrize("what", ODD)
def test_an_odd_edit_changes_what_its_strokes_count_for_and_nothing_else(photo, edited, counted, what):
    scribble, mask = ODD[what]
    result = edited(photo, scribble, mask)
    difference = change(photo, result)
    assert (result[mask == 0] == photo[mask == 0]).all()
    assert difference[counted() < 0.01].max(initial=0) < 0.015 * 255
    if what != "five pixels":  # the selection's edge is soft, and these are all edge
        assert difference[(scribble[..., 3] > 0) & (mask > 0)].mean() > 10


def test_one_odd_stroke_is_no_tint_over_everything(photo, edited):
    difference = change(photo, edited(photo, *ODD["purple on fur"]))
    painted = ODD["purple on fur"][0][..., 3] > 0
    away = ~cv2.dilate(painted.astype(np.uint8), np.ones((221, 221))).astype(bool)
    assert away.sum() > 0.4 * away.size
    assert difference[away].mean() < 0.03 * difference[painted].mean()


@pytest.mark.parametrize("kind", ["noise", "black", "white", "flat"])
def test_a_photo_of_nothing_is_edited_soundly(edited, kind):
    random = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    picture = {"noise": random, "black": 0 * random, "white": 0 * random + 255, "flat": 0 * random + 100}[kind]
    difference = change(picture, edited(picture, strokes((FUR, BLUE)), ALL))
    painted = strokes((FUR, BLUE))[..., 3] > 0
    assert difference[ALL == 0].max() == 0
    assert difference[painted].mean() > 5
    assert difference[~painted].mean() < difference[painted].mean()


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_without_strength_nothing_changes_and_with_it_nothing_outside(photo, run, edited, kind):
    as_kind = {"uint8": photo, "uint16": photo * np.uint16(257), "float32": (photo / 255).astype(np.float32)}[kind]
    if kind == "float32":
        as_kind = as_kind * 3 - 1  # beyond the display range on both sides
    scribble, mask = strokes((FUR, PURPLE)), selection(slice(40, 120), slice(180, 300))
    nothing = run(as_kind, scribble, mask, settings={"strength": 0.0})
    height, width, _ = nothing.image.shape
    assert np.array_equal(
        from_message(nothing.image), as_kind[nothing.y : nothing.y + height, nothing.x : nothing.x + width]
    )
    result = edited(as_kind, scribble, mask)
    assert np.array_equal(result[mask == 0], as_kind[mask == 0])
    assert change(as_kind, result)[FUR].mean() > 10


@pytest.mark.parametrize("kind", ["uint16", "float32"])
def test_what_is_finer_than_a_255th_stays_in_an_edit(edited, kind):
    ramp = np.linspace(0.4, 0.45, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH, 1).repeat(3, 2)
    deep = (ramp * 65535).astype(np.uint16) if kind == "uint16" else ramp.astype(np.float32)
    result = edited(deep, strokes((FUR, BLUE)), ALL)
    assert change(deep, result)[FUR].mean() > 5
    assert len(np.unique(result[70, 230:260, 0])) > 20


def test_half_of_the_strength_is_half_of_the_change(photo, edited):
    scribble, mask = strokes((FUR, PURPLE)), ALL
    half, whole = (edited(photo, scribble, mask, settings={"strength": s}).astype(int) for s in (0.5, 1.0))
    assert np.abs((half - photo) * 2 - (whole - photo)).max() <= 2


def test_a_photo_smaller_than_the_models_image_can_be_edited(photo, edited):
    small = cv2.resize(photo, (90, 60), interpolation=cv2.INTER_AREA)
    result = edited(small, strokes((np.s_[12:16, 45:53], PURPLE), shape=(60, 90)), align=None, crop=Crop(45, 30, 60))
    assert change(small, result)[12:16, 45:53].mean() > 10


def test_a_hairline_where_the_model_looks_at_very_much_is_a_stroke(photo, edited):
    """It covers a twenty-second of each of the model's pixels."""
    hair = (slice(150, 151), slice(200, 300))
    result = edited(photo, strokes((hair, PURPLE)), align=None, crop=Crop(225, 150, 128 * 22))
    assert change(photo, result)[hair].mean() > 5


def test_a_stroke_beside_the_selection_is_said_to_be_nothing(photo, edited):
    with pytest.raises(GanEditError, match="Nothing is painted inside the selection"):
        edited(photo, strokes((FUR, BLUE)), selection(slice(200, 250), slice(200, 250)))


FAMILIES = {
    "stylegan2": (small_stylegan2, "w+"),
    "gray": (lambda: small_stylegan2(image_channels=1), "w+"),
    "conditional": (lambda: small_stylegan2(c_dim=3), "w"),
    "resnet": (lambda: small_stylegan2(architecture="resnet"), "w+"),
    "stylegan3": (small_stylegan3, "w+"),
    "dcgan": (small_dcgan, "z"),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_can_edit(workspace, photo, tmp_path, family):
    make, space = FAMILIES[family]
    file = tmp_path / f"{family}.safetensors"
    safetensors_file.write(file, make(), {"name": family})
    scribble = strokes((np.s_[10:30, 10:60], PURPLE), shape=(90, 90))
    picture = photo[80:170, 180:270].copy()
    settings = EditSettings(
        steps=2,
        edit_steps=4,
        init_samples=1,
        space=space,
        precision="float32",
        class_label=2 * (family == "conditional"),
        cache=False,
    )
    request = EditRequest(to_message(picture), to_message(scribble), model=str(file), settings=settings)
    *_, result = perform(request, workspace)
    shown = from_message(result.mask).astype(np.uint8)
    difference = change(picture, composite(picture, from_message(result.image), shown, result.x, result.y))
    assert difference[12:28, 12:58].mean() > 10
    assert difference[45:].max() == 0, "without a selection only what lies around the paint changes"
