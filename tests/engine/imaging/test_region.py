"""What may change of a photo: where that is, how soft its edge, and that a part of the photo tells as much as all."""

from __future__ import annotations

import numpy as np
import pytest

from gan_edit_engine.imaging.crop import Crop, Part
from gan_edit_engine.imaging.region import Region, feather_inwards
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
    assert (region.mask[:, 1:-1] == 255).all()


def test_the_mask_fades_over_the_feather_on_the_selections_inside_and_at_the_crops_border():
    region = Region.of(selected(slice(40, 60), slice(30, 200)), CROP, feather=12.5)
    middle, across = region.mask[10], region.mask[:, 25]
    assert across[0] < 30
    assert across[-1] < 30
    assert across[8:12].min() > 250
    for edge in (middle[:9].astype(int), middle[:-9:-1].astype(int)):
        assert edge[0] < 50
        assert (np.diff(edge) >= 0).all()
        assert edge[-1] > 250


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
