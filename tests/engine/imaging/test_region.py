"""What may change of a photo: where that is, how soft its edge, and that a part of the photo tells as much as all."""

from __future__ import annotations

import numpy as np
import pytest

from gan_edit_engine.imaging.crop import Crop, Part
from gan_edit_engine.imaging.region import Region, around_paint, feather_inwards
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.geometry import Box, Place
from gan_edit_protocol.geometry import Crop as Square

MODEL = 16
CROP = Crop.of_square(Square(50, 50, 64), MODEL)


def selected(rows: slice, columns: slice) -> Part:
    selection = np.zeros((120, 100), np.uint8)
    selection[rows, columns] = 255
    return Part.whole(selection)


def test_a_region_is_the_selection_in_the_photo_in_the_crop_and_in_the_mask():
    region = Region.of(selected(slice(40, 60), slice(30, 200)), CROP)
    assert region.box == Box(30, 40, 52, 20), "the selection ends where the crop does"
    assert region.seen.shape == (MODEL, MODEL)
    assert region.seen[7, 7] == 1
    assert region.seen[0].max() == 0
    assert region.mask.shape == (20, 52)
    assert (region.mask[:, :-3] == 255).all()


def test_the_mask_fades_over_the_feather_on_the_selections_inside():
    region = Region.of(selected(slice(40, 60), slice(30, 75)), CROP, feather=12.5)
    for edge in (region.mask[10].astype(int), region.mask[:, 22].astype(int)):
        for side in (edge[:9], edge[:-9:-1]):
            assert side[0] < 30
            assert (np.diff(side) >= 0).all()
            assert side[-1] > 250


@pytest.mark.parametrize(("feather", "band"), [(0.0, 3), (4.0, 9), (10.0, 19)])
def test_where_the_selection_goes_on_the_change_fades_to_nothing_before_the_crops_border(feather: float, band: int):
    region = Region.of(selected(slice(20, 100), slice(25, 100)), CROP, feather)
    edge = region.mask[30, ::-1].astype(int)
    assert edge[0] < 255 / band
    assert (np.diff(edge[: band + 1]) >= 0).all()
    assert edge[band] > 240


@pytest.mark.parametrize("angle", [0, 30])
def test_at_no_place_of_the_crops_border_is_the_change_cut(angle: float):
    crop = Crop.of_square(Square(50, 60, 40, angle), MODEL)
    region = Region.of(selected(slice(0, 120), slice(0, 100)), crop, feather=5)
    padded = np.pad(region.mask.astype(int), 1)
    assert max(np.abs(np.diff(padded, axis=axis)).max() for axis in (0, 1)) < 255 / 3
    assert padded.max() == 255


def test_a_selection_that_ends_where_the_crop_does_and_the_photos_border_are_no_cuts():
    square = Crop.of_square(Square(50, 50, 40), MODEL)
    assert (Region.of(selected(slice(30, 70), slice(30, 70)), square).mask == 255).all()
    photo = Part.whole(np.full((40, 40), 255, np.uint8))
    assert (Region.of(photo, Crop.of_square(Square(20, 20, 40), MODEL), feather=5).mask == 255).all()


def test_without_a_selection_what_lies_around_the_paint_is_selected_and_fades_outwards():
    alpha = np.zeros((200, 200), np.uint8)
    alpha[95:105, 60:140] = 9
    around = around_paint(alpha, Crop.of_square(Square(100, 100, 160), MODEL))
    assert (around[alpha > 0] == 255).all()
    below = around[104:, 100].astype(int)
    assert (np.diff(below) <= 0).all()
    assert below[9] == 255
    assert 0 < below[15] < 255
    assert below[21:].max() == 0
    assert not around_paint(np.zeros((9, 9), np.uint8), CROP).any()


def test_a_part_of_the_photo_tells_as_much_as_all_of_it():
    whole = selected(slice(40, 60), slice(30, 200))
    box = CROP.surroundings(120, 100, feather=10)
    part = Part(whole.within(box), Place(box.x, box.y, 100, 120))
    ours, theirs = (Region.of(selection, CROP, feather=10) for selection in (part, whole))
    assert ours.box == theirs.box
    assert np.array_equal(ours.mask, theirs.mask)
    assert np.array_equal(ours.seen, theirs.seen)


def test_what_is_selected_beside_the_crop_is_refused():
    with pytest.raises(GanEditError, match="outside of the square"):
        Region.of(selected(slice(100, 120), slice(0, 100)), CROP)


def test_a_feather_fades_inwards_and_never_grows():
    mask = np.zeros((50, 50), np.uint8)
    mask[10:40, 10:40] = 200
    soft = feather_inwards(mask, 5)
    assert (soft <= mask).all()
    assert soft[25, 25] == 200
    assert 0 < soft[11, 25] < 100
    assert (soft[mask == 0] == 0).all()


def test_the_photos_border_is_not_an_edge_of_the_selection():
    mask = np.full((30, 30), 255, np.uint8)
    assert (feather_inwards(mask, 5) == 255).all()
    mask[:, 20:] = 0
    assert feather_inwards(mask, 5)[0, 0] == 255
