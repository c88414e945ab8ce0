"""The truth about composites: points lie where what was drawn lies, and what is asked of the networks follows."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from gan_edit_engine.finding.find import square_of
from gan_edit_engine.finding.network import CLOSE_FIELD, CLOSE_SIDE, STRIDE
from gan_edit_engine.finding.pyramid import cut_square, pyramid
from gan_edit_engine.training import composites
from gan_edit_engine.training.composites import Composer, Composite, Placed, Recipe
from gan_edit_engine.training.finder_targets import about, close_target, detector_targets, square_around
from gan_edit_engine.training.scenery import Scenery, texture

CANONICAL = ((0.29, 0.405), (0.73, 0.405))
COLOURS = ((255, 0, 0), (0, 0, 255))


@pytest.fixture
def composer(monkeypatch: pytest.MonkeyPatch) -> Composer:
    """Lays a gray face with dots for its first eye (red), its second (blue) and its nose; the light never changes."""
    face = np.full((128, 128, 3), 128, np.uint8)
    for (u, v), colour in zip(CANONICAL, COLOURS, strict=True):
        # OpenCV's whole numbers are pixel centres; four bits after the point.
        at = tuple(round((c * 128 - 0.5) * 16) for c in (u, v))
        cv2.circle(face, at, 6 * 16, colour, -1, cv2.LINE_AA, shift=4)
    cv2.circle(face, (65, 87), 6, (0, 255, 0), -1, cv2.LINE_AA)
    monkeypatch.setattr(composites, "_lit", lambda rng, pixels, strength: pixels)
    monkeypatch.setattr(composites, "_taken", lambda rng, picture, light: picture)
    monkeypatch.setattr(composites, "_cover", lambda rng, picture, face: None)
    monkeypatch.setattr(Scenery, "draw", lambda self, rng, h, w: np.full((h, w, 3), 128, np.uint8))
    return Composer(face[None], CANONICAL, Scenery([], face[None], CANONICAL))


def middle(weight: np.ndarray) -> np.ndarray:
    """Centre of gravity of [H, W] in continuous pixels."""
    ys, xs = np.mgrid[: weight.shape[0], : weight.shape[1]] + 0.5
    return np.array([(xs * weight).sum(), (ys * weight).sum()]) / weight.sum()


def dots(picture: np.ndarray) -> list[np.ndarray]:
    """Where the red and the blue dot are."""
    red, _, blue = np.moveaxis(picture.astype(np.float64), 2, 0)
    return [middle((red - blue).clip(20) - 20), middle((blue - red).clip(20) - 20)]


def test_the_points_lie_where_the_eyes_were_drawn_mirrored_or_not(composer: Composer) -> None:
    mirrored = 0
    for i in range(30):
        recipe = Recipe(200, 260, (40.0, 150.0), counts=(0.0, 1.0), lures=0)
        composite = composer.compose(np.random.default_rng(i), recipe)
        (face,) = composite.faces
        if not ((face.points > 15) & (face.points < (245, 185))).all():
            continue
        red, blue = dots(composite.picture)
        straight = math.dist(red, face.points[0]) < math.dist(blue, face.points[0])
        mirrored += not straight
        seen = (red, blue) if straight else (blue, red)
        assert np.abs(np.array(seen) - face.points).max() < 0.35
        assert math.dist(*face.points) == pytest.approx(0.44 * face.size)
    assert 3 < mirrored < 20


def test_the_first_eye_is_the_left_one_of_an_upright_face(composer: Composer) -> None:
    """Mirrored or not: the nose lies to the right hand of whoever goes from the first eye to the second."""
    seen = 0
    for i in range(30):
        recipe = Recipe(200, 200, (50.0, 60.0), counts=(0.0, 1.0), lures=0)
        composite = composer.compose(np.random.default_rng(i), recipe)
        red, green, blue = np.moveaxis(composite.picture.astype(np.float64), 2, 0)
        nose = (green - np.maximum(red, blue)).clip(20) - 20
        if nose.sum() < 3000:  # cut off
            continue
        first, second = composite.faces[0].points
        (ax, ay), (bx, by) = second - first, middle(nose) - first
        assert ax * by - ay * bx > 0
        seen += 1
    assert seen > 10


def test_a_composite_is_a_function_of_its_seed(composer: Composer) -> None:
    recipe = Recipe(90, 120, (30.0, 60.0))
    one, same, other = (composer.compose(np.random.default_rng(seed), recipe) for seed in (5, 5, 6))
    assert np.array_equal(one.picture, same.picture)
    assert not np.array_equal(one.picture, other.picture)


def test_a_square_cut_out_upright_shows_the_eyes_at_their_canonical_places(composer: Composer) -> None:
    composite = composer.compose(np.random.default_rng(3), Recipe(300, 300, (80.0, 81.0), (0.0, 1.0), lures=0))
    (face,) = composite.faces
    own = square_of(face.points, CANONICAL)
    assert own is not None
    cut = cut_square(pyramid(composite.picture), own, CLOSE_SIDE, CLOSE_FIELD)
    places = np.array(CANONICAL)
    expected = (0.5 + (places - 0.5) / CLOSE_FIELD) * CLOSE_SIDE
    red, blue = dots(cut)
    found = np.array([red, blue])[np.argsort([red[0], blue[0]])]
    # A mirrored face has its eyes at the mirrored places, a hundredth of the square from these.
    assert np.abs(found - expected).max() < 1.5


@pytest.mark.parametrize("size", [30.0, 70.0])
def test_the_detector_is_asked_for_the_eyes_from_each_cell_near_the_centre(size: float) -> None:
    points = (np.array(CANONICAL) - 0.5) * size + (81.0, 60.0)
    composite = Composite(np.zeros((160, 160, 3), np.uint8), [Placed(points, size)])
    targets = detector_targets(composite, 20, CANONICAL)
    hottest = np.unravel_index(targets.heat.argmax(), targets.heat.shape)
    assert hottest == (7, 10)
    assert targets.heat[hottest] == 1
    for y, x in np.argwhere(targets.weight > 0):
        cell = STRIDE * (np.array([x, y]) + 0.5)
        assert np.allclose(targets.points[:, y, x].reshape(2, 2) + cell, points, atol=1e-3)
        assert np.linalg.norm(cell - (81, 60)) < max(STRIDE, 0.16 * size)


def test_nothing_is_asked_near_a_face_of_which_an_eye_is_cut_off() -> None:
    points = (np.array(CANONICAL) - 0.5) * 60 + (10.0, 80.0)
    composite = Composite(np.zeros((160, 160, 3), np.uint8), [Placed(points, 60.0)])
    targets = detector_targets(composite, 20, CANONICAL)
    assert targets.heat.max() == 0
    assert targets.asked[10, 1] == 0
    assert targets.asked[10, 15] == 1


def test_the_refiner_is_told_the_way_to_the_eyes_and_what_is_no_face() -> None:
    points = (np.array(CANONICAL) - 0.5) * 60 + (80.0, 80.0)
    composite = Composite(np.zeros((160, 160, 3), np.uint8), [Placed(points, 60.0)])
    rng = np.random.default_rng(0)
    for _ in range(20):
        square = about(rng, points, CANONICAL, exactly=True)
        assert square is not None
        target = close_target(square, composite, CANONICAL)
        assert target.score == 1
        assert target.shifts is not None
        places = np.array(CANONICAL) + target.shifts.reshape(2, 2)
        assert np.allclose([square.to_photo(u, v) for u, v in places], points, atol=1e-3)
    assert close_target(square_around(20, 20, 60, 0), composite, CANONICAL).score == 0
    assert close_target(square_around(80, 80, 60, 180), composite, CANONICAL).score == 0
    assert close_target(square_around(80, 80, 60, 60), composite, CANONICAL).score is None


def test_textures_are_of_the_size_asked_for() -> None:
    for seed in range(12):
        picture = texture(np.random.default_rng(seed), 41, 67)
        assert picture.shape == (41, 67, 3)
        assert picture.dtype == np.uint8
