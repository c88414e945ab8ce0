"""The loop, its ramps and the terms of the losses."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from gan_edit_engine.inversion.losses import (
    area_averaged,
    gram,
    latent_distance,
    noise_regularity,
    pixel_loss,
    style_distances,
    weighted_mean,
)
from gan_edit_engine.inversion.optimize import Plateau, Step, adam, lbfgs, minimise, ramped, until
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.settings import ProjectSettings


def test_it_finds_the_minimum_of_a_parabola_and_reports_each_step():
    x = torch.zeros(1, 3, 2, 2, requires_grad=True)
    steps = list(adam([x], lambda _: ((x - 0.7).square().sum(), x), 300, 0.1))
    assert [s.index for s in steps] == list(range(1, 301))
    assert steps[0].of == 300
    assert steps[0].loss == pytest.approx(12 * 0.49)
    assert torch.allclose(x, torch.tensor(0.7), atol=1e-3)


def test_neither_the_first_nor_the_last_step_is_lost():
    x = torch.zeros(1, requires_grad=True)
    (only,) = adam([x], lambda _: ((x - 1).square().sum(), x), 1, 0.1)
    assert only.loss == 1
    assert x.item() > 0


def test_the_rate_ramps_up_over_a_twentieth_and_down_over_the_last_quarter():
    assert ramped(0) == 0
    assert ramped(0.025) == pytest.approx(0.5)
    assert ramped(0.05) == ramped(0.75) == 1
    assert ramped(0.875) == pytest.approx(0.5)
    assert ramped(1) == 0


def test_a_loss_that_is_no_number_ends_in_a_plain_error():
    x = torch.zeros(1, requires_grad=True)
    with pytest.raises(GanEditError, match="ran away"):
        list(adam([x], lambda _: ((x * math.inf).sum(), x), 5, 0.1))
    with pytest.raises(GanEditError, match="ran away"):
        list(lbfgs([x], lambda _: ((x * math.inf).sum(), x), 5))


def test_a_step_too_far_is_taken_back_with_half_the_rate():
    x = torch.zeros(1, requires_grad=True)

    def cliff(_share: float) -> tuple[torch.Tensor, torch.Tensor]:
        return ((x - 0.9).square().sum() if x.item() <= 1 else x.sum() * math.nan), x

    losses = [step.loss for step in adam([x], cliff, 100, 1.5, schedule=lambda t: 1.0)]
    assert all(math.isfinite(loss) for loss in losses)
    assert losses[-1] < 0.01


def test_lbfgs_takes_a_step_too_far_back_with_half_the_rate():
    x = torch.zeros(1, requires_grad=True)

    def cliff(_share: float) -> tuple[torch.Tensor, torch.Tensor]:
        return ((x - 0.9).square().sum() if x.item() <= 0.95 else x.sum() * math.nan), x

    losses = [step.loss for step in lbfgs([x], cliff, 50)]
    assert losses[-1] < 1e-6
    assert x.item() == pytest.approx(0.9, abs=1e-3)


def test_the_settings_choose_the_optimiser_and_its_schedule():
    def first_move(**settings) -> float:
        x = torch.zeros(1, requires_grad=True)
        next(minimise([x], lambda _: ((x - 9).square().sum(), x), 100, ProjectSettings(learning_rate=0.1, **settings)))
        return x.item()

    assert first_move(schedule="constant") == pytest.approx(0.1, rel=1e-3)
    assert first_move() == pytest.approx(0.01, rel=1e-3)
    assert first_move(optimizer="lbfgs") == pytest.approx(9, rel=1e-3)


def test_lbfgs_finds_the_minimum_of_a_narrow_valley():
    x = torch.tensor([-1.2, 1.0], requires_grad=True)
    steps = list(lbfgs([x], lambda _: ((1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2, x), 200))
    assert torch.allclose(x, torch.ones(2), atol=1e-3)
    assert steps[-1].index <= steps[-1].of == 200


def test_a_loss_is_told_how_far_the_search_is_and_a_line_search_always_the_end():
    x = torch.zeros(1, requires_grad=True)
    shares: list[float] = []

    def evaluate(share: float) -> tuple[torch.Tensor, torch.Tensor]:
        shares.append(share)
        return (x - 1).square().sum(), x

    list(adam([x], evaluate, 4, 0.1))
    assert shares == [0, 0.25, 0.5, 0.75]
    shares.clear()
    list(lbfgs([x], evaluate, 4))
    assert set(shares) == {1}


def test_steps_end_where_a_condition_is_met():
    x = torch.zeros(1, requires_grad=True)
    steps = adam([x], lambda _: ((x - 1).square().sum(), x), 100, 0.1)
    assert [s.index for s in until(steps, lambda s: s.index == 3)] == [1, 2, 3]


def test_a_plateau_is_seen_after_as_many_steps_as_one_has_patience():
    def seen(patience: int) -> list[bool]:
        plateau = Plateau(patience)
        return [plateau(Step(i, 9, loss, torch.zeros(1))) for i, loss in enumerate([5, 4, 4, 4, 3.9999, 3], start=1)]

    assert seen(3) == [False, False, False, False, True, False]
    assert not any(seen(0))


def test_white_noise_is_regular_and_a_picture_in_the_noise_is_not():
    torch.manual_seed(0)
    white = torch.randn(32, 32)
    picture = torch.linspace(-1.7, 1.7, 32)[None].repeat(32, 1)
    assert noise_regularity([white]) < 0.1
    assert noise_regularity([picture]) > 10 * noise_regularity([white])


def test_a_gram_matrix_does_not_know_where_things_are():
    torch.manual_seed(0)
    features, everywhere = torch.rand(1, 5, 8, 8), torch.ones(1, 1, 8, 8)
    moved = features.roll((3, 2), (2, 3))
    assert style_distances([gram(moved, everywhere)], [gram(features, everywhere)])[0].item() == pytest.approx(
        0, abs=1e-6
    )
    assert style_distances([gram(features**2, everywhere)], [gram(features, everywhere)])[0].item() > 0.01


def test_a_gram_matrix_does_not_know_what_lies_outside_of_the_weight():
    torch.manual_seed(0)
    features, weight = torch.rand(1, 5, 8, 8), torch.zeros(1, 1, 8, 8)
    weight[..., :4] = 1
    other = features.clone()
    other[..., 4:] = 9
    assert torch.equal(gram(features, weight), gram(other, weight))
    assert torch.allclose(gram(features, weight), gram(features[..., :4], weight[..., :4]))


def test_a_masked_mean_does_not_depend_on_the_masks_area():
    values = torch.full((1, 3, 8, 8), 2.0)
    for area in (1, 5, 8):
        weight = torch.zeros(1, 1, 8, 8)
        weight[..., :area, :] = 1
        assert weighted_mean(values, weight).item() == pytest.approx(2)
    assert weighted_mean(values, torch.zeros(1, 1, 8, 8)).item() == 0


def test_pixels_without_weight_do_not_count():
    image, target = torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4)
    target[..., 2:] = 9
    weight = torch.zeros(1, 1, 4, 4)
    weight[..., :2] = 1
    assert pixel_loss(image, target, weight).item() == pytest.approx(1)


def test_latents_are_measured_in_units_of_their_spread():
    assert latent_distance(torch.full((1, 4, 8), 3.0), torch.ones(8), 2.0).item() == pytest.approx(1)


@pytest.mark.parametrize("sides", [(8, 8), (4, 2), (5, 3), (16, 16), (32, 32)])
def test_an_image_at_another_size_holds_the_mean_of_what_each_pixel_covers(sides):
    image = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)).requires_grad_()
    smaller = area_averaged(image, *sides)
    torch.testing.assert_close(smaller, F.adaptive_avg_pool2d(image, sides))
    if sides in ((8, 8), (4, 2)):  # on CUDA the adaptive form's gradient is not the same in every run
        assert "Adaptive" not in type(smaller.grad_fn).__name__
