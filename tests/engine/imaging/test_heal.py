"""A place that is painted over has its colours from around it and its texture from beside it."""

from __future__ import annotations

import numpy as np

from gan_edit_engine.imaging.crop import Crop, Image, Part
from gan_edit_engine.imaging.heal import Patch, add_texture, heal
from gan_edit_engine.imaging.meaning import meaning
from gan_edit_engine.imaging.strokes import Strokes
from gan_edit_engine.imaging.transfer import maps_of, transfer
from gan_edit_protocol.geometry import Box, Place
from gan_edit_protocol.geometry import Crop as Square

SIDE = 64
SPOT = (slice(28, 36), slice(24, 34))


def fur(seed: int = 0) -> Image:
    """Light from left to right, with hairs."""
    noise = np.random.default_rng(seed).normal(0, 0.05, (SIDE, SIDE, 1)).astype(np.float32)
    return np.linspace(0.4, 0.6, SIDE, dtype=np.float32)[None, :, None] + noise * np.ones(3, np.float32)


def painted() -> Image:
    over = np.zeros((SIDE, SIDE), np.float32)
    over[SPOT] = 1
    return over


def mended(photo: Image, before: Image, over: Image) -> tuple[Image, tuple[Patch, ...]]:
    """By what is around alone."""
    return heal(photo, before, over, photo, 0 * over)


def test_half_of_the_colour_is_the_paints():
    photo = np.full((SIDE, SIDE, 3), 0.4, np.float32)
    photo[SPOT] = 1
    healed, _ = heal(photo, photo, painted(), np.full_like(photo, 0.5), painted())
    assert np.abs(healed[31, 29] - 0.45).max() < 0.01


def test_a_spot_is_mended_from_beside_it():
    photo = fur()
    photo[SPOT] = (1, 0, 0)
    healed, (patch,) = mended(photo, 0 * photo, painted())
    here = healed[SPOT]
    assert np.abs(here.mean((0, 1)) - fur()[SPOT].mean((0, 1))).max() < 0.03
    assert 0.7 < here.std((0, 1)).mean() / fur()[SPOT].std((0, 1)).mean() < 1.3
    x, y = patch.shift
    source = np.zeros((SIDE, SIDE), bool)
    source[28 + y : 36 + y, 24 + x : 34 + x] = True
    assert source.sum() == 80, "within the picture"
    assert not source[SPOT].any(), "and not from the spot itself"


def test_no_patch_comes_from_another_place_that_goes():
    photo, over = fur(), painted()
    over[:, 40:] = 1
    photo[over > 0] = 1
    _, patches = mended(photo, photo, over)
    for patch in patches:
        ys, xs = np.nonzero(patch.where)
        assert (over[ys + patch.shift[1], xs + patch.shift[0]] == 0).all()


def test_a_place_that_has_no_like_becomes_what_the_model_makes_of_it_unless_that_shows_it_too():
    photo = np.random.default_rng(1).uniform(0, 1, (SIDE, SIDE, 3)).astype(np.float32)
    photo[20:44, 16:42] = 0.9
    for shade in (0.8, 0.1):
        model = np.full_like(photo, shade)
        healed, patches = mended(photo, model, painted())
        assert patches == ()
        assert np.abs(healed[SPOT] - max(shade, 0.8)).max() < 0.15
    assert np.array_equal(mended(photo, fur() + 0.4, painted())[0][SPOT], (fur() + 0.4)[SPOT])


def test_in_a_large_picture_about_as_many_places_are_looked_at_as_in_a_small_one(monkeypatch):
    def looks(times: int) -> int:
        photo, over = (
            np.random.default_rng(1).uniform(0, 1, (128 * times, 128 * times, 3)).astype(np.float32),
            painted(),
        )
        over = np.kron(np.pad(over, 32), np.ones((times, times), np.float32))
        counted: list[float] = []
        with monkeypatch.context() as patch:
            patch.setattr("gan_edit_engine.imaging.heal.math.sqrt", lambda error: counted.append(error) or 1.0)
            mended(photo, photo, over)
        return len(counted)

    assert 500 < looks(4) < 1.5 * looks(1)


def test_nothing_painted_over_nothing_mended():
    photo = fur()
    healed, patches = mended(photo, 0 * photo, 0 * painted())
    assert np.array_equal(healed, photo)
    assert patches == ()


def test_a_large_photo_is_mended_with_its_own_hairs():
    """Finer than the model's pixels, and at strength 0 not one bit is another."""
    noise = np.random.default_rng(0).normal(0, 0.1, (5 * SIDE, 5 * SIDE, 1)).astype(np.float32)
    photo = np.round((0.5 + noise) * np.ones(3, np.float32) * 65535).clip(0, 65535).astype(np.uint16)
    photo[150:170, 130:150] = (65535, 0, 0)
    crop = Crop.of_square(Square(160, 160, 320), SIDE)
    guide = crop.extract(photo) / np.float32(65535)
    plain, stroke = np.full_like(guide, 0.5), np.zeros((SIDE, SIDE), np.float32)
    stroke[29:35, 25:31] = 1
    meant = meaning(guide, plain, plain, Strokes(stroke[None], plain), stroke[None])
    maps, box = maps_of(guide, plain, plain, meant, np.float32((1, 1, 1))), Box(100, 120, 90, 80)
    edited = transfer(crop, box, Part.whole(photo), maps) / 65535
    here = edited[30:50, 30:50]
    assert np.abs(here.mean((0, 1)) - 0.5).max() < 0.03
    assert here.std((0, 1)).min() > 0.7 * 0.1
    assert np.array_equal(transfer(crop, box, Part.whole(photo), maps, strength=0), photo[box.slices])
    crop, box = Crop.of_square(Square(167, 165, 320), SIDE), Box(107, 125, 90, 80)
    part = transfer(crop, box, Part(photo, Place(7, 5, 400, 400)), maps)
    assert np.array_equal(part / 65535, edited), "nor does it matter that only a part of the photo came"


def test_texture_changes_nothing_beside_its_place():
    photo = np.random.default_rng(0).normal(0, 0.5, (SIDE, SIDE, 3)).astype(np.float32)
    crop, where = Crop.of_square(Square(32, 32, 64), SIDE), painted()
    result = photo.copy()
    add_texture(Part.whole(result), Part.whole(photo), crop, Patch(where, (10, 4), 0 * photo), strength=1.0)
    changed = (result != photo).any(-1)
    assert changed[SPOT].all()
    assert not changed[:24].any()
    assert not changed[:, 40:].any()
