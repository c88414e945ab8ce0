"""The model's small change, carried to the photo's resolution along the photo's own edges."""

from __future__ import annotations

import numpy as np
import pytest

from gan_edit_engine.photo import Crop
from gan_edit_engine.transfer import transfer
from gan_edit_protocol.messages import Crop as Square

SIDE = 320
CROP = Crop.of_square(Square(SIDE / 2, SIDE / 2, SIDE), 64)
BOX = CROP.footprint(SIDE, SIDE)


def disc(radius: float, side: int = SIDE, colour: tuple[float, float, float] = (0.5, 0.45, 0.2)) -> np.ndarray:
    """A coloured disc on fur."""
    ys, xs = np.mgrid[:side, :side] + 0.5 - side / 2
    inside = np.hypot(xs, ys) < radius * side
    return np.where(inside[..., None], np.float32(colour), np.float32((0.7, 0.55, 0.4)))


def carry(photo: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return transfer(CROP, BOX, photo, CROP.extract(photo), before, after)


def test_no_change_stays_no_change():
    photo = disc(0.2)
    before = CROP.extract(photo)
    assert np.abs(carry(photo, before, before)).max() == 0


def test_a_change_of_everything_arrives_whole():
    photo = disc(0.2)
    before = CROP.extract(photo)
    change = carry(photo, before, before + 0.1)
    np.testing.assert_allclose(change, 0.1, atol=0.02)  # dark pixels at the disc's rim take a little less
    assert np.median(change) == pytest.approx(0.1, abs=1e-4)


def test_the_change_ends_at_the_photos_edge_and_leaves_no_halo():
    photo, blue = disc(0.2), disc(0.2, colour=(0.3, 0.5, 0.8))
    before = CROP.extract(photo)
    change = carry(photo, before, CROP.extract(blue))
    plain = CROP.insert(CROP.extract(blue) - before, BOX)
    error, plain_error = (np.abs(photo + c - blue).max(axis=-1) for c in (change, plain))
    assert error.mean() < 0.35 * plain_error.mean()
    fur = np.all(photo == photo[0, 0], axis=-1)
    assert np.abs(change[fur]).max() < 0.5 * np.abs(plain[fur]).max()


def test_dark_detail_that_the_model_does_not_see_stays_dark():
    photo = disc(0.2)
    before = CROP.extract(photo)
    after = before + np.float32((0, 0.1, 0.5))
    photo[150:170, 158:162] = 0.01
    change = carry(photo, before, after)
    assert np.abs(change[155:165, 159:161]).max() < 0.05
    assert change[160, 130, 2] == pytest.approx(0.5, abs=0.02)


def test_no_highlight_changes_more_than_the_model_says():
    photo = disc(0.2)
    photo[150:153, 150:153] = 1.0
    before = CROP.extract(disc(0.2))
    after = CROP.extract(disc(0.2, colour=(0.3, 0.5, 0.8)))
    limit = np.abs(after - before).max()
    assert np.abs(carry(photo, before, after)).max() <= limit * 1.1
