"""Which places are of one kind with what a stroke lies on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from small_generators import small_dcgan, small_stylegan3
from torch import Tensor

from gan_edit_engine import generators
from gan_edit_engine.generators import Generator
from gan_edit_engine.inversion.kin import FeatureStatistics, feature_statistics, kinship
from gan_edit_engine.inversion.latents import random_z
from gan_edit_engine.inversion.optimize import result_of
from gan_edit_engine.library.models import open_model

CPU = torch.device("cpu")
SIDE = 32


class Drawn(Generator):
    """Feature maps made by hand: given, whatever the latent."""

    num_ws, w_dim, resolution = 1, 4, SIDE

    def __init__(self, *maps: Tensor) -> None:
        super().__init__()
        self.maps = maps

    @property
    def w_avg(self) -> Tensor:
        return torch.zeros(4)

    def features(self, ws: Tensor, noise: generators.Noise = "const") -> Iterator[Tensor]:
        return (m.expand(len(ws), -1, -1, -1) for m in self.maps)


WS = torch.zeros(1, 1, 4)
PLAIN = FeatureStatistics(
    dict.fromkeys((8, 16, 32, 64, 128), torch.zeros(1, 2, 1, 1)),
    dict.fromkeys((8, 16, 32, 64, 128), torch.ones(1, 2, 1, 1)),
)


def halves(side: int, left: tuple[float, float] = (1, 0), right: tuple[float, float] = (0, 1)) -> Tensor:
    """Features [1, 2, side, side]: of one kind on the left, of another on the right."""
    maps = torch.tensor(left)[None, :, None, None].expand(1, 2, side, side).clone().float()
    maps[..., side // 2 :] = torch.tensor(right)[:, None, None]
    return maps


def stroke(y: slice, x: slice) -> Tensor:
    where = torch.zeros(1, 1, SIDE, SIDE)
    where[..., y, x] = 1
    return where


LEFT, RIGHT = stroke(slice(4, 6), slice(2, 12)), stroke(slice(20, 28), slice(20, 28))


def test_places_with_the_features_under_a_stroke_are_of_its_kind_for_each_stroke():
    kin = kinship(Drawn(halves(SIDE)), PLAIN, WS, "const", torch.cat([LEFT, RIGHT]))
    assert kin.shape == (2, 1, SIDE, SIDE)
    ours = stroke(slice(None), slice(0, SIDE // 2))
    assert torch.allclose(kin, torch.cat([ours, 1 - ours]), atol=1e-6)


def test_opposite_features_are_no_kin_and_never_less_than_none():
    kin = kinship(Drawn(halves(SIDE, right=(-1, 0))), PLAIN, WS, "const", LEFT)
    assert kin.min() == 0


@pytest.mark.parametrize(
    ("left", "right", "mean", "std"),
    [
        ((101, 0), (100, 1), (100, 0), (1, 1)),  # large in all images
        ((50, 0.2), (50, -0.2), (0, 0), (100, 0.1)),  # loud in all images
    ],
)
def test_features_count_by_what_is_unusual_in_them(left, right, mean, std):
    """Channels are centred and scaled."""
    usual = (torch.tensor(values)[None, :, None, None].float() for values in (mean, std))
    spread = FeatureStatistics(*({SIDE: values} for values in usual))
    kin = kinship(Drawn(halves(SIDE, left, right)), spread, WS, "const", LEFT)
    assert kin[..., SIDE // 2 :].max() < 1e-6
    assert kin[..., : SIDE // 2].min() == pytest.approx(1)


def test_the_two_largest_sides_up_to_64_are_asked_and_the_last_map_of_each():
    wrong = halves(8, (0, 1), (0, 1))
    maps = [wrong, halves(16, (0, 1), (1, 0)), halves(16), halves(64), halves(128, (0, 1), (0, 1))]
    kin = kinship(Drawn(*maps), PLAIN, WS, "const", LEFT)
    assert kin[0, 0, 16, 4] == pytest.approx(1)
    assert kin[0, 0, 16, 28] == pytest.approx(0, abs=1e-6)
    assert list(result_of(feature_statistics(Drawn(*maps), WS)).mean) == [16, 64]


def test_finer_features_than_are_asked_for_are_not_even_computed():
    class Costly(Drawn):
        def features(self, ws: Tensor, noise: generators.Noise = "const") -> Iterator[Tensor]:
            yield halves(64)
            yield halves(128)
            pytest.fail("a finer layer was computed")

    kinship(Costly(), PLAIN, WS, "const", LEFT)


def test_the_spread_is_each_channels_over_places_and_images():
    spread = result_of(feature_statistics(Drawn(halves(16, (3, 5), (1, 5))), WS.expand(9, -1, -1)))
    assert spread.mean[16].flatten().tolist() == [2, 5]
    assert spread.std[16].flatten().tolist() == pytest.approx([1, 1e-6], rel=1e-3)


def test_a_stroke_of_one_pixel_finds_its_kind():
    kin = kinship(Drawn(halves(16), halves(SIDE)), PLAIN, WS, "const", stroke(slice(5, 6), slice(3, 4)))
    assert kin[0, 0, 5, 3] == pytest.approx(1)
    assert kin[0, 0, 25, 12] == pytest.approx(1)


@pytest.mark.parametrize("family", ["stylegan2", "stylegan3", "dcgan"])
def test_every_family_has_features_that_tell_places_apart(tiny_generator, family):
    generator = {"stylegan2": lambda: tiny_generator, "stylegan3": small_stylegan3, "dcgan": small_dcgan}[family]()
    ws = generator.mapping(random_z(generator, 6, 0, CPU))
    spread = result_of(feature_statistics(generator, ws))
    assert 1 <= len(spread.mean) <= 2
    side = generator.resolution
    strokes = torch.zeros(2, 1, side, side)
    strokes[0, :, : side // 4, : side // 4] = 1
    strokes[1, :, -side // 4 :, -side // 2 :] = 1
    kin = kinship(generator, spread, ws[:1], "const", strokes)
    assert kin.shape == strokes.shape
    assert 0 <= kin.min() <= kin.max() <= 1
    for ours, where in zip(kin, strokes, strict=True):
        under, elsewhere = ours[where > 0].mean(), ours[where == 0].mean()
        assert under > 0.5
        assert elsewhere < 0.9 * under


def test_a_stroke_in_one_eye_finds_the_other_and_not_the_fur():
    """On the default model's own typical face, whose eyes lie on its alignment points."""
    model = open_model("default", CPU)
    generator, side = model.generator, model.generator.resolution
    spread = result_of(feature_statistics(generator, generator.mapping(random_z(generator, 4, 0, CPU))))
    ws = generator.w_avg.expand(1, generator.num_ws, -1)
    (left_x, left_y), (right_x, right_y) = model.info.align_points
    painted = np.zeros((side, side), np.float32)
    y, x = round(left_y * side), round(left_x * side)
    painted[y - 1 : y + 2, x - 4 : x + 5] = 1
    kin = kinship(generator, spread, ws, "const", torch.from_numpy(painted)[None, None])[0, 0]

    def around(u: float, v: float) -> float:
        y, x = round(v * side), round(u * side)
        return kin[y - 3 : y + 4, x - 3 : x + 4].mean().item()

    middle, eyes = (left_x + right_x) / 2, (left_y + right_y) / 2
    other_eye = around(right_x, right_y)
    fur = [around(middle, eyes - 0.15), around(left_x - 0.1, eyes + 0.25), around(right_x + 0.1, eyes + 0.25)]
    assert other_eye > 0.7
    assert max(fur) < 0.3 * other_eye
