"""What of the model's change is meant, and in which colours."""

from __future__ import annotations

import numpy as np
import pytest

from gan_edit_engine.meaning import Meaning, meaning
from gan_edit_engine.photo import Image

SIDE = 64
FUR, BLUE, GREEN = (0.7, 0.55, 0.4), (0.3, 0.5, 0.8), (0.3, 0.7, 0.3)


def plain(*colour: float) -> Image:
    return np.full((SIDE, SIDE, 3), colour, np.float32)


def area(y: slice, x: slice) -> Image:
    where = np.zeros((SIDE, SIDE), np.float32)
    where[y, x] = 1
    return where


STROKE, REGION = area(slice(28, 34), slice(10, 20)), area(slice(20, 44), slice(4, 40))
PHOTO = plain(*FUR)


def of(
    before: Image, after: Image, paint: Image | None = None, strokes: Image = STROKE[None], counts: Image = REGION[None]
) -> Meaning:
    return meaning(PHOTO, before, after, plain(*BLUE) if paint is None else paint, strokes, counts)


def test_the_paints_colour_arrives_where_its_stroke_counts_and_nowhere_else():
    """The model went a third of the way, and everywhere."""
    after = PHOTO + (plain(*BLUE) - PHOTO) / 3
    meant = of(PHOTO, after)
    assert np.abs(PHOTO + meant.change - plain(*BLUE))[REGION > 0].max() < 0.03
    np.testing.assert_allclose((meant.change)[REGION == 0], (after - PHOTO)[REGION == 0], atol=1e-6)
    assert (meant.matte[REGION == 0] == 0).all()
    assert meant.matte[REGION > 0].min() > 0.99


def test_each_stroke_brings_its_own_colour_as_far_as_it_counts():
    paint = plain(*BLUE)
    paint[:, 32:] = GREEN
    other = area(slice(28, 34), slice(45, 55))
    counts = np.stack([area(slice(None), slice(0, 30)), 0.5 * area(slice(None), slice(40, 64))])
    meant = of(PHOTO, PHOTO, paint, np.stack([STROKE, other]), counts)
    np.testing.assert_allclose((PHOTO + meant.change)[:, :30], paint[:, :30], atol=0.03)
    np.testing.assert_allclose(meant.change[:, 40:], 0.5 * (paint - PHOTO)[:, 40:], atol=0.03)
    assert meant.matte[:, 45:60].max() == pytest.approx(0.5)


def test_what_the_model_brought_under_the_stroke_already_is_not_brought_twice():
    meant = of(PHOTO, plain(*BLUE))
    np.testing.assert_allclose(meant.change, plain(*BLUE) - PHOTO, atol=1e-6)


def test_colour_is_judged_by_what_a_stroke_lies_on():
    """A pupil under a stroke, half of its pixels and hardly meant, does not make the iris brighter than the paint."""
    photo, strokes = PHOTO.copy(), STROKE.copy()
    photo[28:34, 15:20], strokes[28:34, 15:20] = 0.02, 0.001
    meant = meaning(photo, photo, photo, plain(*BLUE), strokes[None], REGION[None])
    np.testing.assert_allclose((photo + meant.change)[30, 12], BLUE, atol=0.03)


def test_changes_that_nobody_sees_change_nothing():
    same = of(PHOTO, PHOTO + 0.005, paint=PHOTO + 0.005)
    assert (same.matte == 0).all()
    seen = of(PHOTO, PHOTO + 0.06, paint=PHOTO + 0.06)
    assert seen.matte[30, 15] == pytest.approx(1)


def test_many_strokes_in_one_place_change_it_once():
    meant = of(PHOTO, PHOTO, strokes=np.stack([STROKE] * 3), counts=np.stack([REGION] * 3) / 3)
    assert np.abs(PHOTO + meant.change - plain(*BLUE))[REGION > 0].max() < 0.03
    assert meant.matte.max() == pytest.approx(1)


def stripes(every: int, low: float = 0.3, high: float = 0.6, shift: int = 0) -> Image:
    light = ((np.arange(SIDE) + shift) // every) % 2
    return np.repeat(np.where(light, high, low).astype(np.float32)[None, :, None], SIDE, axis=0) * np.ones(
        3, np.float32
    )


def newness(before: Image, after: Image) -> float:
    return float(of(before, after).new[8:-8, 8:-8].mean())


def test_a_structure_that_changes_colour_brightness_or_contrast_is_not_new():
    before = stripes(3)
    assert newness(before, before) == 0
    assert newness(before, before * np.float32((0.5, 0.8, 1.0))) < 0.01
    assert newness(before, before + 0.2) < 0.01
    assert newness(before, 0.5 * before + 0.2) < 0.01


def test_a_structure_that_moves_or_turns_is_new():
    before = stripes(3)
    assert newness(before, stripes(3, shift=3)) > 0.99
    assert newness(before, before.transpose(1, 0, 2)) > 0.9


def test_a_structure_that_comes_or_goes_is_new():
    flat, before = plain(0.45, 0.45, 0.45), stripes(3)
    assert newness(before, flat) > 0.7
    assert newness(flat, before) > 0.7


def test_where_nothing_is_to_be_seen_nothing_is_new():
    noise = np.random.default_rng(0).normal(0, 0.003, (2, SIDE, SIDE, 3)).astype(np.float32)
    assert newness(PHOTO + noise[0], PHOTO + noise[1]) < 0.05
