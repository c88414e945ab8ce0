"""What of the model's change is meant, and in which colours."""

from __future__ import annotations

import numpy as np
import pytest

from gan_edit_engine.imaging.crop import Image
from gan_edit_engine.imaging.meaning import Meaning, meaning
from gan_edit_engine.imaging.strokes import Strokes

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
    return meaning(PHOTO, before, after, Strokes(strokes, plain(*BLUE) if paint is None else paint), counts)


def test_the_paints_colour_arrives_where_its_stroke_counts_and_nowhere_else():
    """The model went a third of the way, and everywhere."""
    after = PHOTO + (plain(*BLUE) - PHOTO) / 3
    meant = of(PHOTO, after)
    assert np.abs(PHOTO + meant.change - plain(*BLUE))[REGION > 0].max() < 0.03
    np.testing.assert_allclose((meant.change)[REGION == 0], (after - PHOTO)[REGION == 0], atol=1e-6)
    assert (meant.matte[REGION == 0] == 0).all()
    assert meant.matte[REGION > 0].min() > 0.99


def test_no_colour_comes_that_neither_photo_nor_paint_has():
    """The model draws a white patch on red fur blue."""
    white = plain(0.9, 0.88, 0.86)
    spot = area(slice(36, 40), slice(30, 36))
    after = np.where((REGION - spot)[..., None] > 0, white, PHOTO)
    after[36:40, 30:36] = (0.7, 0.9, 1.0)
    reached = (PHOTO + of(PHOTO, after, paint=white).change)[spot > 0]
    assert reached[:, 2].max() < 0.88
    assert reached[:, 0].min() > 0.69


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
    meant = meaning(photo, photo, photo, Strokes(strokes[None], plain(*BLUE)), REGION[None])
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
    """Of a photo that the model knows."""
    meant = meaning(before, before, after, Strokes(STROKE[None], plain(*BLUE)), REGION[None])
    return float(meant.new[8:-8, 8:-8].mean())


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


def test_a_structure_that_comes_is_new_and_one_that_got_lost_in_a_blur_is_not():
    flat, before = plain(0.45, 0.45, 0.45), stripes(3)
    assert newness(flat, before) > 0.7
    assert newness(before, flat) < 0.1


def gone(photo: Image, before: Image, paint: Image, stroke: Image, count: Image) -> Image:
    return meaning(photo, before, before, Strokes(stroke[None], paint), count[None]).over


def test_a_scar_that_the_model_does_not_know_is_painted_over():
    photo = PHOTO.copy()
    photo[30:32, 10:50] = 0.05
    stroke = area(slice(27, 35), slice(8, 52))
    meant = meaning(photo, PHOTO, PHOTO, Strokes(stroke[None], PHOTO), stroke[None])
    assert meant.over[31, 20:40].min() > 0.9
    assert meant.over[20].max() == 0
    assert np.abs(meant.base - PHOTO)[31, 20:40].max() < 0.05
    assert gone(photo, photo, PHOTO, stroke, stroke).max() == 0, "a dark line that the model knows is another matter"
    assert gone(photo, PHOTO, plain(*BLUE), stroke, stroke).max() == 0, "and blue paint does not ask for fur"


EYE = area(slice(22, 42), slice(20, 44))
OPEN = np.where(EYE[..., None] > 0, np.float32(GREEN), PHOTO)
OPEN[22:24, 20:44] = 0.05  # the line of the lid
ON_MOST_OF_IT = area(slice(25, 40), slice(22, 42))


def test_a_thing_under_paint_of_the_colour_around_it_goes_whole():
    meant = meaning(OPEN, OPEN, OPEN, Strokes(ON_MOST_OF_IT[None], PHOTO), EYE[None])
    assert meant.over[EYE > 0].min() > 0.9, "with what is beside the stroke"
    assert np.abs(meant.base + meant.change - PHOTO)[EYE > 0].max() < 0.1
    assert meant.matte[EYE > 0].min() > 0.9


def test_a_thing_that_gets_another_colour_stays():
    assert gone(OPEN, OPEN, plain(*BLUE), ON_MOST_OF_IT, EYE).max() == 0


def test_a_pupil_beside_paint_of_the_iriss_own_colour_stays():
    photo = OPEN.copy()
    photo[28:36, 29:35] = 0.02
    assert gone(photo, photo, plain(*GREEN), area(slice(28, 36), slice(24, 40)), EYE).max() == 0


def test_what_the_model_makes_of_a_thing_that_goes_is_not_asked():
    tinted = OPEN.copy()
    tinted[EYE > 0] = (0.9, 0.1, 0.9)
    meant = meaning(OPEN, OPEN, tinted, Strokes(ON_MOST_OF_IT[None], PHOTO), EYE[None])
    assert np.abs(meant.base + meant.change - PHOTO)[EYE > 0].max() < 0.1


def test_dark_paint_takes_light_away_in_proportion():
    """What has less red than the place under the stroke does not end up without any."""
    photo = PHOTO.copy()
    photo[:, 40:] *= np.float32((0.3, 1.0, 1.0))
    stroke, everywhere = np.zeros((1, SIDE, SIDE), np.float32), np.ones((1, SIDE, SIDE), np.float32)
    stroke[0, 20:40, 5:30] = 1
    dark = np.broadcast_to(PHOTO[30, 10] * 0.2, photo.shape).astype(np.float32)
    result = photo + meaning(photo, photo, photo, Strokes(stroke, dark), everywhere).change
    assert result[30, 10] == pytest.approx(dark[30, 10], abs=0.05)
    assert result[30, 50].min() > 0.02


def test_where_nothing_is_to_be_seen_nothing_is_new():
    noise = np.random.default_rng(0).normal(0, 0.003, (2, SIDE, SIDE, 3)).astype(np.float32)
    assert newness(PHOTO + noise[0], PHOTO + noise[1]) < 0.05
