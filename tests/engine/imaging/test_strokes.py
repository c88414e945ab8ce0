"""What each stroke speaks for: one by one, how far, and how all of them share a place."""

from __future__ import annotations

import numpy as np
import pytest

from gan_edit_engine.imaging.crop import Image
from gan_edit_engine.imaging.strokes import reached, separate

SIDE = 64
FUR, IRIS, PUPIL = (0.7, 0.55, 0.4), (0.5, 0.45, 0.2), (0.02, 0.02, 0.02)
BLUE, GREEN = (0.3, 0.5, 0.8), (0.3, 0.7, 0.3)
EVERYWHERE = np.ones((SIDE, SIDE), np.float32)


def plain(colour: tuple[float, float, float]) -> Image:
    return np.full((SIDE, SIDE, 3), colour, np.float32)


def area(y: slice, x: slice) -> Image:
    where = np.zeros((SIDE, SIDE), np.float32)
    where[y, x] = 1
    return where


def separated(photo: Image, paint: Image, painted: Image) -> Image:
    """Of an opaque brush on a photo that the model knows."""
    return separate(photo, photo, paint, painted, np.sign(painted)).meant


def test_strokes_of_two_colours_that_touch_are_two():
    paint, painted = plain(BLUE), area(slice(20, 24), slice(10, 40))
    paint[:, 20:] = GREEN
    first, second = separated(plain(FUR), paint, painted)
    assert np.array_equal(first, area(slice(20, 24), slice(20, 40)))  # the larger first
    assert np.array_equal(second, area(slice(20, 24), slice(10, 20)))


def test_strokes_of_one_colour_that_lie_apart_are_two():
    left, right = area(slice(20, 24), slice(5, 20)), area(slice(20, 24), slice(40, 50))
    assert np.array_equal(separated(plain(FUR), plain(BLUE), left + right), [left, right])


def test_strokes_that_meet_at_a_corner_only_hang_together():
    steps = area(slice(20, 24), slice(10, 20)) + area(slice(24, 28), slice(20, 30))
    assert len(separated(plain(FUR), plain(BLUE), steps)) == 1


def test_a_pupil_under_a_stroke_across_the_iris_is_not_meant():
    photo = plain(IRIS)
    photo[:, 28:36] = PUPIL
    (stroke,) = separated(photo, plain(BLUE), area(slice(30, 34), slice(10, 54)))
    assert stroke[31, 15] == 1
    assert 0 < stroke[31, 31] < 0.1
    assert stroke[10, 15] == 0


def test_a_stroke_counts_as_far_as_it_covers_a_pixel():
    painted = area(slice(20, 24), slice(10, 40))
    painted[19] = 0.3 * painted[20]
    (stroke,) = separated(plain(FUR), plain(BLUE), painted)
    assert np.allclose(stroke, painted)


def test_of_very_many_strokes_64_are_told_apart_and_none_is_lost():
    painted = np.zeros((SIDE, SIDE), np.float32)
    for y in range(3):
        for x in range(3):
            painted[y::6, x::6] = 1  # 121 dots
    strokes = separated(plain(FUR), plain(BLUE), painted)
    assert len(strokes) == 64
    assert np.array_equal(strokes.sum(0), painted)


def test_a_soft_brushs_stroke_is_one_stroke_in_its_own_colour():
    """Its edge is half transparent, and is neither a stroke of its own nor half of the photo's colour."""
    cover = area(slice(20, 28), slice(10, 40))
    cover[[19, 28]] = 0.5
    cover[[18, 29]] = 0.2
    found = separate(plain(FUR), plain(FUR), plain(BLUE), cover, np.where(cover > 0, 0.3 + 0.7 * cover, 0))
    (stroke,) = found.meant
    assert np.allclose(stroke, cover)
    assert np.allclose(found.paint[stroke > 0], BLUE)


def test_a_transparent_brush_asks_for_the_mixture():
    cover = 0.5 * area(slice(20, 28), slice(10, 40))
    found = separate(plain(FUR), plain(FUR), plain(BLUE), cover, cover)
    (stroke,) = found.meant
    assert np.allclose(stroke, 2 * cover)
    assert np.allclose(found.paint[stroke > 0], (np.float32(FUR) + np.float32(BLUE)) / 2)


def test_crumbs_where_two_colours_touch_belong_to_one_of_them():
    paint, painted = plain(BLUE), area(slice(20, 24), slice(10, 41))
    paint[:, 25:] = GREEN
    paint[20:24, 25] = (0.9, 0.1, 0.1)
    assert len(separated(plain(FUR), paint, painted)) == 2


def test_what_the_model_does_not_know_does_not_say_what_a_stroke_means():
    """A scar under the stroke counts in full; a pupil, which the model's own image shows, does not."""
    scarred = plain(FUR)
    scarred[20:24] = PUPIL
    painted = area(slice(18, 30), slice(10, 40))
    assert separate(scarred, plain(FUR), plain(BLUE), painted, painted).meant[0][22, 20] == 1
    assert separate(scarred, scarred, plain(BLUE), painted, painted).meant[0][22, 20] < 0.2


def test_a_stroke_of_one_pixel_is_a_stroke():
    (stroke,) = separated(plain(FUR), plain(BLUE), area(slice(20, 21), slice(30, 31)))
    assert np.array_equal(stroke, area(slice(20, 21), slice(30, 31)))
    (count,) = reached(EVERYWHERE[None], stroke[None], EVERYWHERE, 0.5)
    assert count[20, 30] == 1
    assert 0.3 < count[20, 32] < 1


def test_a_stroke_thinner_than_the_models_pixels_is_a_stroke():
    thin = 0.02 * area(slice(20, 21), slice(30, 40))
    (stroke,) = separated(plain(FUR), plain(BLUE), thin)
    assert np.array_equal(stroke, thin)
    (count,) = reached(EVERYWHERE[None], stroke[None], EVERYWHERE, 0.5)
    assert count[20, 35] == 1
    assert 0.1 < count[20, 42] < 1


def test_a_stroke_over_many_colours_means_something():
    """The median of red, green and blue is none of them: every place under the stroke is strange."""
    photo = plain(FUR)
    for number in range(3):
        photo[:, number::3] = np.eye(3)[number]
    strokes = separated(photo, plain(FUR), area(slice(20, 24), slice(10, 40)))
    (count,) = reached(EVERYWHERE[None], strokes, EVERYWHERE, 0.5)
    assert count[21, 20] == 1


def test_two_colours_on_one_spot_share_it():
    paint = plain(BLUE)
    paint[:, ::2] = GREEN
    painted = area(slice(20, 24), slice(20, 24))
    strokes = separated(plain(FUR), paint, painted)
    counts = reached(np.ones_like(strokes), strokes, EVERYWHERE, 0.5)
    assert np.allclose(strokes.sum(0), painted)
    assert counts.sum(0).max() <= 1 + 1e-6
    assert counts.sum(0)[21, 21] == pytest.approx(1)


NEAR, FAR = (30, 22), (30, 60)
STROKE = area(slice(28, 33), slice(4, 20))
KIN = np.maximum(STROKE, area(slice(25, 36), slice(4, 64)))


@pytest.mark.parametrize(
    ("reach", "near", "far"), [(0.0, (0.2, 0.6), (0, 1e-6)), (0.5, (0.9, 1), (1e-6, 0.1)), (1.0, (1, 1), (0.999, 1))]
)
def test_a_stroke_reaches_what_is_of_its_kind(reach, near, far):
    (count,) = reached(KIN[None], STROKE[None], EVERYWHERE, reach)
    assert near[0] <= count[NEAR] <= near[1]
    assert far[0] <= count[FAR] <= far[1]
    assert (count[STROKE > 0] == 1).all()


@pytest.mark.parametrize("reach", [0.0, 0.5, 1.0])
def test_what_is_of_no_kind_with_a_stroke_is_not_reached(reach):
    (count,) = reached(KIN[None], STROKE[None], EVERYWHERE, reach)
    assert (count[KIN == 0] == 0).all()


def test_a_stroke_counts_where_it_lies_even_on_what_is_strange():
    (count,) = reached(np.zeros((1, SIDE, SIDE), np.float32), STROKE[None], EVERYWHERE, 0.5)
    assert np.array_equal(count, STROKE)


@pytest.mark.parametrize("reach", [0.0, 0.5, 1.0])
def test_strokes_never_count_more_than_once_in_a_place(reach):
    strokes = np.stack([area(slice(y, y + 4), slice(10, 40)) for y in (10, 20, 30, 40)])
    counts = reached(np.ones_like(strokes), strokes, EVERYWHERE, reach)
    assert counts.min() >= 0
    assert counts.sum(0).max() <= 1 + 1e-6


def test_between_two_strokes_the_nearer_one_counts_more():
    strokes = np.stack([area(slice(28, 33), slice(5, 10)), area(slice(28, 33), slice(54, 59))])
    left, right = reached(np.ones_like(strokes), strokes, EVERYWHERE, 0.5)
    assert left[30, 20] > right[30, 20]
    assert right[30, 44] > left[30, 44]


def spread_over(
    count: int, reach: float = 0.5, related: float = 0.2, selected: Image = EVERYWHERE, claimed: slice = slice(40)
) -> float:
    """How far ``count`` strokes count in a place below them, which is as much ``related`` to all.

    Together they claim the upper rows, or those ``claimed``.
    """
    strokes = np.stack([area(slice(12, 16), slice(4 + 15 * n, 14 + 15 * n)) for n in range(count)])
    kin = np.full(strokes.shape, related, np.float32)
    kin[:, claimed] = 1
    return float(reached(kin, strokes, selected, reach).sum(0)[60, 32])


def test_who_strokes_over_most_of_the_selection_means_all_of_it():
    assert spread_over(1) == spread_over(2) == spread_over(3) == 0
    assert spread_over(4) > 0.5
    assert spread_over(4, related=0.0) == 0, "but not what is strange to all strokes"
    assert spread_over(4, reach=0.0) < 0.1, "and not where strokes shall stay where they are"


def test_the_further_strokes_reach_the_less_of_the_selection_has_to_be_claimed():
    assert spread_over(4, claimed=slice(12, 16), reach=0.5) == 0
    assert spread_over(4, claimed=slice(12, 16), reach=0.95) > 0.5


def test_strokes_beside_the_selection_claim_nothing_of_it():
    assert spread_over(4, selected=area(slice(50, 64), slice(0, 64))) == 0


def patch(reach: float) -> Image:
    """Of a stroke on what is of one kind all around."""
    stroke = area(slice(28, 34), slice(15, 50))
    return reached(EVERYWHERE[None], stroke[None], EVERYWHERE, reach)[0]


def test_a_stroke_on_fur_asks_for_a_patch_and_not_for_all_of_the_fur():
    count = patch(0.5)
    assert count[31, 32] == 1
    assert 0.5 < count[35, 32] < 1
    assert count[48, 32] < 0.05
    assert patch(0.9)[48, 32] > 0.7, "but who wants it to reach further gets that"


def test_a_broad_stroke_on_fur_asks_for_a_broader_patch_than_a_thin_one():
    thin, broad = (area(slice(32 - half, 32 + half), slice(15, 50))[None] for half in (1, 6))
    beyond = [reached(EVERYWHERE[None], s, EVERYWHERE, 0.5)[0] for s in (thin, broad)]
    assert beyond[1][32 + 6 + 4, 32] > beyond[0][32 + 1 + 4, 32] + 0.2


def test_a_selection_that_cuts_through_one_kind_shows_no_edge():
    stroke, selected = area(slice(30, 34), slice(8, 40)), area(slice(16, 48), slice(0, 44))
    (count,) = reached(EVERYWHERE[None], stroke[None], selected, 0.9)
    assert count[32, 42] < 0.5
    assert count[32, 20] == 1
    only_here = selected * EVERYWHERE
    (count,) = reached(only_here[None], stroke[None], selected, 0.9)
    assert count[32, 42] > 0.9, "where its kind ends with the selection it is asked for up to there"


def test_four_strokes_fade_before_an_edge_that_cuts_too():
    selected = area(slice(0, 64), slice(0, 50))
    strokes = np.stack([area(slice(12 + 12 * n, 16 + 12 * n), slice(4, 40)) for n in range(4)])
    counts = reached(np.ones_like(strokes), strokes, selected, 0.5).sum(0)
    assert counts[32, 48] < 0.6
    assert counts[32, 30] > 0.95
