"""Where the model looks and how pixels get there and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gan_edit_engine.imaging.crop import (
    Box,
    Crop,
    bounding_box,
    choose_crop,
    composite,
    from_unit,
    to_unit,
)
from gan_edit_protocol.arrays import Array
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.geometry import Align
from gan_edit_protocol.geometry import Crop as Square
from gan_edit_protocol.requests import EditRequest, ProjectRequest

EYES = ((0.29, 0.405), (0.73, 0.405))
coordinates = st.floats(-2000, 2000)


def ramp(height: int, width: int) -> np.ndarray:
    """A photo whose two channels are the x and y of each pixel's centre."""
    ys, xs = np.mgrid[:height, :width].astype(np.float32) + 0.5
    return np.stack([xs, ys], axis=-1)


def request(height: int = 40, width: int = 60, **changes: object) -> ProjectRequest:
    return ProjectRequest(Array("uint8", (height, width, 3), bytes(height * width * 3)), **changes)  # type: ignore[arg-type]


@given(coordinates, coordinates, st.floats(8, 4000), st.floats(-180, 180), coordinates, coordinates)
def test_a_point_that_goes_to_the_photo_and_back_is_where_it_was(cx, cy, size, angle, x, y):
    crop = Crop.of_square(Square(cx, cy, size, angle), 64)
    assert crop.from_photo(*crop.to_photo(x, y)) == pytest.approx((x, y), abs=1e-6)


@given(coordinates, coordinates, coordinates, coordinates)
def test_alignment_lays_the_photos_points_on_the_models(x1, y1, x2, y2):
    if np.hypot(x2 - x1, y2 - y1) < 8:
        return
    crop = Crop.of_points(Align(x1, y1, x2, y2), EYES, 64)
    assert crop.from_photo(x1, y1) == pytest.approx((0.29 * 64, 0.405 * 64), abs=1e-6)
    assert crop.from_photo(x2, y2) == pytest.approx((0.73 * 64, 0.405 * 64), abs=1e-6)


@pytest.mark.parametrize("size", [16, 64, 200])
@pytest.mark.parametrize("angle", [0, 30, -115])
def test_each_crop_pixel_is_the_mean_of_the_photo_it_covers(size, angle):
    crop = Crop.of_square(Square(150.3, 160.7, size, angle), 32)
    seen = crop.extract(ramp(320, 300))
    expected = np.array([[crop.to_photo(x + 0.5, y + 0.5) for x in range(32)] for y in range(32)])
    np.testing.assert_allclose(seen, expected, atol=0.05)  # OpenCV rounds positions to 1/32 pixel


def test_fine_detail_is_averaged_and_not_picked():
    checkers = (np.indices((256, 256)).sum(0) % 2).astype(np.float32)
    seen = Crop.of_square(Square(128, 128, 200, 10), 16).extract(checkers)
    np.testing.assert_allclose(seen, 0.5, atol=0.02)


@pytest.mark.parametrize("size", [20, 64, 120])
@pytest.mark.parametrize("angle", [0, 45])
def test_what_is_extracted_comes_back_to_its_place(size, angle):
    crop = Crop.of_square(Square(100, 90, size, angle), 64)
    box = crop.footprint(200, 200)
    assert box is not None
    back = crop.insert(crop.extract(ramp(200, 200)), box)
    inside = crop.coverage(box, soft=1.0) == 1
    inside &= crop.coverage(box, soft=6.0) > 0.9  # cubic interpolation needs neighbours
    np.testing.assert_allclose(back[inside], ramp(200, 200)[box.slices][inside], atol=0.2)


@pytest.mark.parametrize("size", [10, 16, 60], ids=["smaller than the model", "as large", "larger"])
@pytest.mark.parametrize("channels", [1, 4, 5, 22])
def test_any_number_of_channels_is_laid_over_the_photo_each_as_it_would_be_alone(size, channels):
    crop = Crop.of_square(Square(30, 30, size, 20), 16)
    box = crop.footprint(60, 60)
    image = np.random.default_rng(0).random((16, 16, channels), np.float32)
    laid = crop.insert(image, box)
    assert laid.shape == (box.height, box.width, channels)
    for number in range(channels):
        np.testing.assert_allclose(laid[..., number], crop.insert(image[..., number], box), atol=1e-6)


def test_the_crop_covers_its_square_and_nothing_else():
    crop = Crop.of_square(Square(50, 50, 40, 0), 64)
    coverage = crop.coverage(Box(0, 0, 100, 100), soft=1.0)
    assert coverage[30:70, 30:70].min() > 0.9999
    coverage[30:70, 30:70] = 0
    assert coverage.max() == 0


def test_a_footprint_is_cut_at_the_photos_border_and_none_when_it_misses():
    assert Crop.of_square(Square(0, 0, 20), 64).footprint(100, 100) == Box(0, 0, 10, 10)
    assert Crop.of_square(Square(-50, 0, 20), 64).footprint(100, 100) is None


def test_alignment_wins_over_a_crop_and_a_crop_over_the_selection():
    mask = np.zeros((40, 60), np.uint8)
    mask[10:20, 30:34] = 255
    everything = {"align": Align(20, 10, 30, 10), "crop": Square(11, 12, 13)}
    assert choose_crop(request(**everything), mask, EYES, 64) == Crop.of_points(Align(20, 10, 30, 10), EYES, 64)
    assert choose_crop(request(crop=Square(11, 12, 13)), mask, EYES, 64) == Crop.of_square(Square(11, 12, 13), 64)
    assert choose_crop(request(), mask, EYES, 64) == Crop.of_square(Square(32, 15, 10), 64)
    whole = np.full((40, 60), 255, np.uint8)
    assert choose_crop(request(), whole, EYES, 64) == Crop.of_square(Square(30, 20, 60), 64)


@pytest.mark.parametrize(
    ("changes", "selected", "canonical", "words"),
    [
        ({"align": Align(1, 1, 30, 1)}, True, None, "no alignment points"),
        ({"align": Align(5, 5, 5, 5)}, True, EYES, "too close"),
        ({"crop": Square(5, 5, 1)}, True, EYES, "too small"),
        ({"crop": Square(5, 5, float("nan"))}, True, EYES, "too small"),
        ({}, False, EYES, "Nothing of the layer is selected"),
    ],
)
def test_a_crop_that_cannot_be_is_refused_in_plain_words(changes, selected, canonical, words):
    mask = np.full((40, 60), 255 if selected else 0, np.uint8)
    with pytest.raises(GanEditError, match=words):
        choose_crop(request(**changes), mask, canonical, 64)


photos = st.sampled_from(["uint8", "uint16", "float32"]).flatmap(
    lambda kind: arrays.arrays(
        kind, (9, 8, 4), elements=None if kind != "float32" else st.floats(-2, 4, width=32), fill=st.nothing()
    )
)


@given(photos, arrays.arrays("uint8", (5, 4)), st.integers(0, 2**32 - 1))
def test_not_one_bit_outside_the_mask_changes_at_any_depth(photo, mask, seed):
    image = from_unit(np.random.default_rng(seed).random((5, 4, 4), np.float32), photo.dtype)
    result = composite(photo, image, mask, 2, 3)
    untouched = np.ones((9, 8), bool)
    untouched[3:8, 2:6] = mask == 0
    assert result.dtype == photo.dtype
    assert result[untouched].tobytes() == photo[untouched].tobytes()
    full = mask == 255
    assert np.allclose(result[3:8, 2:6][full].astype(float), image[full].astype(float))


@pytest.mark.parametrize("kind", ["uint8", "uint16"])
def test_every_value_survives_the_way_to_the_display_range_and_back(kind):
    values = np.arange(np.iinfo(kind).max + 1).astype(kind)
    assert (from_unit(to_unit(values), values.dtype) == values).all()


def test_float_photos_keep_what_lies_beyond_the_display_range():
    values = np.array([-0.5, 0.25, 7.0], np.float32)
    assert (from_unit(to_unit(values), values.dtype) == values).all()


def test_the_box_around_nothing_is_none():
    assert bounding_box(np.zeros((3, 3), np.uint8)) is None


def test_a_scribble_of_another_size_than_the_photo_is_refused():
    photo = Array("uint8", (4, 4, 3), bytes(48))
    with pytest.raises(GanEditError, match="of the photo's size"):
        EditRequest(photo, Array("uint8", (4, 5, 4), bytes(80)))
