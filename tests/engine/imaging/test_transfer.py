"""The edit laid on the photo: its colours and structure at the photo's resolution, along the photo's own edges."""

from __future__ import annotations

import numpy as np
import pytest

from gan_edit_engine.imaging import transfer as transfer_module
from gan_edit_engine.imaging.crop import LUMA, Crop, Image, Part
from gan_edit_engine.imaging.meaning import Meaning, meaning
from gan_edit_engine.imaging.strokes import Strokes
from gan_edit_engine.imaging.transfer import maps_of, transfer
from gan_edit_protocol.geometry import Crop as Square

SIDE, MODEL = 320, 64
CROP = Crop.of_square(Square(SIDE / 2, SIDE / 2, SIDE), MODEL)
BOX = CROP.footprint(SIDE, SIDE)
FUR, IRIS, BLUE = (0.7, 0.55, 0.4), (0.5, 0.45, 0.2), (0.3, 0.5, 0.8)
MIDDLE = slice(130, 190)


def disc(radius: float, colour: tuple[float, float, float] = IRIS) -> Image:
    """A coloured disc on fur."""
    inside = round_area(radius, SIDE)
    return np.where(inside[..., None], np.float32(colour), np.float32(FUR))


def round_area(radius: float, side: int) -> np.ndarray:
    ys, xs = np.mgrid[:side, :side] + 0.5 - side / 2
    return np.hypot(xs, ys) < radius * side


def small(photo: Image) -> Image:
    return CROP.extract(photo)


EVERYWHERE = np.ones((MODEL, MODEL), np.float32)
DISC = CROP.extract(round_area(0.2, SIDE).astype(np.float32))


def lay(
    photo: Image,
    change: Image | tuple[float, float, float],
    matte: Image = EVERYWHERE,
    new: float = 0,
    brightest: tuple[float, float, float] = (1, 1, 1),
    after: Image | None = None,
) -> Image:
    """``photo`` with what is meant laid on it; the model saw it as it is, and its image has no highlights."""
    guide = small(photo)
    change = np.broadcast_to(np.float32(change), guide.shape)
    meant = Meaning(guide, 0 * EVERYWHERE, change, matte, np.full_like(EVERYWHERE, new))
    seen = np.full_like(guide, 0.5) if after is None else after
    return transfer(CROP, BOX, Part.whole(photo), maps_of(guide, guide, seen, meant, np.float32(brightest)))


def recoloured(photo: Image, matte: Image = DISC, **more) -> Image:
    """The disc of IRIS in BLUE."""
    return lay(photo, np.float32(BLUE) - np.float32(IRIS), matte, brightest=BLUE, **more)


def test_no_change_stays_no_change():
    photo = disc(0.2)
    assert np.abs(lay(photo, (0, 0, 0)) - photo).max() < 0.2  # light and dark relative to the surroundings: see below
    assert np.array_equal(lay(photo, (0.1, 0.2, 0.3), matte=0 * EVERYWHERE), photo)


def test_a_plain_things_colour_is_exchanged_whole():
    photo = np.broadcast_to(np.float32(IRIS), (SIDE, SIDE, 3)).copy()
    np.testing.assert_allclose(recoloured(photo, EVERYWHERE), np.broadcast_to(np.float32(BLUE), photo.shape), atol=1e-4)


def test_where_nothing_is_meant_not_one_bit_changes():
    photo = disc(0.2) + np.random.default_rng(0).normal(0, 0.05, (SIDE, SIDE, 3)).astype(np.float32)
    photo[:20] += 2
    photo[-20:] -= 2
    away = ~round_area(0.32, SIDE)
    edited = recoloured(photo)
    assert np.array_equal(edited[away], photo[away])
    assert np.abs(edited - photo)[~away].max() > 0.3


def test_the_change_ends_at_the_photos_edge_and_leaves_no_halo():
    photo, blue = disc(0.2), disc(0.2, BLUE)
    edited = recoloured(photo)
    plain = photo + CROP.insert(DISC, BOX)[..., None] * (np.float32(BLUE) - np.float32(IRIS))
    error, plain_error = (np.abs(picture - blue).max(axis=-1) for picture in (edited, plain))
    assert error.mean() < 0.35 * plain_error.mean()
    fur = ~round_area(0.2, SIDE)
    assert np.abs(edited - photo)[fur].mean() < 0.3 * np.abs(plain - photo)[fur].mean()


def test_a_pupil_stays_dark():
    photo = disc(0.2)
    photo[MIDDLE, 155:165] = 0.02
    edited = recoloured(photo)
    assert edited[135:185, 157:163].max() < 0.1
    np.testing.assert_allclose(edited[160, 120], BLUE, atol=0.05)


def test_a_hair_that_the_model_does_not_see_stays_dark():
    photo = disc(0.2)
    photo[MIDDLE, 140] = 0.05
    edited = recoloured(photo)
    assert edited[160, 140].max() < 0.15
    np.testing.assert_allclose(edited[160, 120], BLUE, atol=0.05)


def test_a_catchlight_stays_bright_and_takes_little_of_the_colour():
    photo = disc(0.2)
    photo[140:146, 140:146] = 1
    edited = recoloured(photo)
    assert edited[143, 143] @ LUMA > 0.85
    assert np.ptp(edited[143, 143]) < 0.6 * np.ptp(np.float32(BLUE))


def striped(low: float, high: float, every: int = 20) -> Image:
    light = (np.arange(SIDE) // every) % 2
    rows = np.where(light, high, low).astype(np.float32)
    return np.repeat(rows[:, None, None], SIDE, axis=1) * np.float32((1, 0.9, 0.8))


def test_white_on_striped_fur_is_no_foil():
    """Nothing gets brighter than photo and paint are."""
    photo, white = striped(0.15, 0.6), (0.85, 0.85, 0.85)
    edited = lay(photo, np.float32(white) - small(photo).mean((0, 1)), brightest=white)
    assert (edited <= np.maximum(photo, np.float32(white)) + 1e-6).all()
    assert edited.mean() > 0.6


def test_the_models_own_highlights_may_be_brighter_than_the_paint():
    photo, after = disc(0.2), np.full((MODEL, MODEL, 3), 0.3, np.float32)
    after[30:33, 30:33] = 0.95
    change = np.full((MODEL, MODEL, 3), -0.1, np.float32)
    change[30:33, 30:33] = 0.5
    dull, shining = (lay(photo, change, new=1, brightest=(0.3, 0.3, 0.3), after=image) for image in (0 * after, after))
    spot = (slice(153, 162), slice(153, 162))
    assert (dull[spot] <= np.maximum(photo[spot], 0.3) + 1e-6).all()
    assert shining[spot].mean() > photo[spot].mean() + 0.15


def test_black_fur_that_turns_light_has_no_more_contrast_than_light_fur():
    """Twice as dark is nothing to be seen in black; in white it would be."""
    noise = np.random.default_rng(0).uniform(0, 0.08, (SIDE, SIDE, 1)).astype(np.float32)
    edited = lay(np.repeat(noise, 3, axis=2), (0.7, 0.7, 0.7), brightest=(1, 1, 1))
    assert edited.mean() == pytest.approx(0.74, abs=0.08)
    assert edited.min() > 0.2
    assert edited.max() < 1.3 * 0.74


def test_what_is_far_brighter_than_its_thing_gets_no_brighter_by_as_many_times():
    photo = np.full((SIDE, SIDE, 3), 0.2, np.float32)
    photo[150:153, 150:153] = 0.6
    edited = lay(photo, (0.3, 0.3, 0.3))
    assert edited[100, 100, 0] == pytest.approx(0.5, abs=0.01)
    assert edited[151, 151, 0] < 0.5 * 1.25 + 0.6 - 0.2


def contrast(picture: Image) -> float:
    return float(picture[20:-20].mean((1, 2)).std())


def test_a_structure_that_stays_keeps_its_light_and_dark_and_one_that_goes_is_gone():
    photo = striped(0.3, 0.5, every=15)
    guide = small(photo)
    flat = np.full_like(guide, 0.4)
    kept, replaced = (lay(photo, flat - guide if new else (0.1, 0, -0.1), new=new) for new in (0, 1))
    assert contrast(kept) > 0.8 * contrast(photo)
    assert contrast(replaced) < 0.2 * contrast(photo)


def test_a_new_structure_takes_the_old_ones_place():
    """The model's stripes run down, the photo's ran across. What the model did not see of the old ones goes as well."""
    photo = striped(0.3, 0.5, every=15)
    wanted = photo.transpose(1, 0, 2)
    guide = small(photo)
    blurred = guide + 0.5 * (guide.mean((0, 1)) - guide)  # the model's image of the photo: half of its contrast
    after = small(wanted)
    meant = meaning(guide, blurred, after, Strokes(0 * EVERYWHERE[None], 0 * guide), EVERYWHERE[None])
    edited = transfer(CROP, BOX, Part.whole(photo), maps_of(guide, blurred, after, meant, np.float32((1, 1, 1))))
    inside = (slice(40, -40), slice(40, -40))
    old, new = (edited[inside].mean((axis, 2)).std() for axis in (1, 0))
    assert old < 0.5 * contrast(photo)
    assert new > 0.5 * contrast(photo)


def test_hairs_finer_than_the_model_sees_stay_on_a_new_structure():
    """Not all of them: they belonged to the old one."""
    noise = np.random.default_rng(0).normal(0, 0.1, (SIDE, SIDE, 1)).astype(np.float32)
    photo = np.repeat(0.5 + noise, 3, axis=2)
    edited = lay(photo, (-0.1, 0, 0.1), new=1)
    assert 0.4 * photo.std() < edited.std(axis=(0, 1)).mean() < 0.8 * photo.std()


@pytest.mark.parametrize("rows", [1, 7, 64])
def test_one_strip_or_many_give_the_same_pixels(monkeypatch, rows):
    photo = disc(0.2) + np.random.default_rng(0).normal(0, 0.02, (SIDE, SIDE, 3)).astype(np.float32)
    whole = recoloured(photo)
    monkeypatch.setattr(transfer_module, "_STRIP", rows * SIDE)
    np.testing.assert_allclose(recoloured(photo), whole, atol=2e-5)


def test_values_beyond_the_display_range_stay_beyond_it():
    photo = disc(0.2)
    photo[140:143, 140:143] = 3
    photo[170:173, 170:173] = -0.5
    edited = recoloured(photo)
    assert np.isfinite(edited).all()
    assert edited[141, 141].min() > 1.5
    assert edited[141, 141].max() <= 3
    assert edited[171, 171].max() < 0.05
    assert edited.min() >= -0.5


def test_colours_are_not_rounded_to_255_steps():
    ramp = np.linspace(0.4, 0.6, SIDE, dtype=np.float32)[None, :, None]
    edited = lay(np.broadcast_to(ramp, (SIDE, SIDE, 3)).copy(), (0.05, 0, 0))
    steps = np.diff(np.sort(edited[160, 40:280, 0]))
    assert len(np.unique(edited[160, :, 0])) > 200
    assert steps.max() < 1 / 512


def test_the_change_stays_within_the_crop_that_is_turned():
    """The same edit through a turned crop lies where the photo's disc is."""
    photo = disc(0.2)
    crop = Crop.of_square(Square(SIDE / 2, SIDE / 2, 200, 30), MODEL)
    guide = crop.extract(photo)
    matte = crop.extract(round_area(0.2, SIDE).astype(np.float32))
    change = np.broadcast_to(np.float32(BLUE) - np.float32(IRIS), guide.shape)
    meant = Meaning(guide, 0 * EVERYWHERE, change, matte, 0 * EVERYWHERE)
    box = crop.footprint(SIDE, SIDE)
    edited = transfer(crop, box, Part.whole(photo), maps_of(guide, guide, guide, meant, np.float32(BLUE)))
    covered = crop.coverage(box, 8)[..., None] == 1
    assert np.abs(np.where(covered, edited - disc(0.2, BLUE)[box.slices], 0)).mean() < 0.02
