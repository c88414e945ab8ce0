"""The loop, its ramps and the terms of the losses."""

from __future__ import annotations

import math
from collections.abc import Generator

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
from gan_edit_engine.inversion.optimize import (
    LBFGS,
    Adam,
    Evaluate,
    Plateau,
    Schedule,
    Step,
    counted,
    late_decay,
    over,
    ramped,
    result_of,
    steady,
    until,
)
from gan_edit_protocol.errors import GanEditError


def parabola(x: torch.Tensor, at: float) -> Evaluate:
    return lambda _taken: ((x - at).square().sum(), x)


def by_adam(x: torch.Tensor, evaluate: Evaluate, steps: int, schedule: Schedule = ramped) -> list[Step]:
    return list(Adam([x], evaluate, over(steps, 0.1, schedule)).run(steps))


def test_it_finds_the_minimum_of_a_parabola_and_reports_each_step():
    x = torch.zeros(1, 3, 2, 2, requires_grad=True)
    steps = by_adam(x, parabola(x, 0.7), 300)
    assert [s.taken for s in steps] == [1] * 300
    assert steps[0].loss == pytest.approx(12 * 0.49)
    assert torch.allclose(x, torch.tensor(0.7), atol=1e-3)


def test_neither_the_first_nor_the_last_step_is_lost():
    x = torch.zeros(1, requires_grad=True)
    (only,) = by_adam(x, parabola(x, 1), 1)
    assert only.loss == 1
    assert x.item() > 0


def test_the_rate_ramps_up_over_a_twentieth_and_down_over_the_last_quarter():
    assert ramped(0) == 0
    assert ramped(0.025) == pytest.approx(0.5)
    assert ramped(0.05) == ramped(0.75) == 1
    assert ramped(0.875) == pytest.approx(0.5)
    assert ramped(1) == 0


def test_a_search_goes_on_for_as_long_as_it_is_asked_to():
    x = torch.zeros(1, requires_grad=True)
    search = Adam([x], parabola(x, 0.7), lambda _taken: 0.05)
    for _ in range(200):
        search.step()
    assert search.taken == 200
    assert x.item() == pytest.approx(0.7, abs=1e-2)


def test_another_loss_is_followed_from_where_the_search_is_with_its_moments():
    x, y = (torch.zeros(1, requires_grad=True) for _ in range(2))
    search, fresh = (Adam([at], parabola(at, 1), lambda _taken: 0.05) for at in (x, y))
    for _ in range(10):
        search.step()
    here = x.item()
    with torch.no_grad():
        y += here
    for each, at in ((search, x), (fresh, y)):
        each.retarget(parabola(at, -1))
        each.step()
    assert y.item() < here < x.item(), "the moments of the old loss still carry it on, a fresh search turns at once"
    for _ in range(300):
        search.step()
    assert x.item() == pytest.approx(-1, abs=1e-2)


def test_lbfgs_follows_another_loss_from_where_it_is_even_after_its_end():
    x = torch.zeros(1, requires_grad=True)
    search = LBFGS([x], parabola(x, 1))
    list(search.run(50))
    assert search.finished
    search.retarget(parabola(x, -1))
    list(search.run(100))
    assert x.item() == pytest.approx(-1, abs=1e-3)


def test_a_loss_that_is_no_number_ends_in_a_plain_error():
    x = torch.zeros(1, requires_grad=True)

    def endless(_taken: int) -> tuple[torch.Tensor, torch.Tensor]:
        return (x * math.inf).sum(), x

    for search in (Adam([x], endless, lambda _taken: 0.1), LBFGS([x], endless)):
        with pytest.raises(GanEditError, match="ran away"):
            search.step()


def test_a_step_too_far_is_taken_back_with_half_the_rate():
    x = torch.zeros(1, requires_grad=True)

    def cliff(_taken: int) -> tuple[torch.Tensor, torch.Tensor]:
        return ((x - 0.9).square().sum() if x.item() <= 1 else x.sum() * math.nan), x

    losses = [step.loss for step in Adam([x], cliff, lambda _taken: 1.5).run(100)]
    assert all(math.isfinite(loss) for loss in losses)
    assert losses[-1] < 0.01


def test_lbfgs_takes_a_step_too_far_back_with_half_the_rate():
    x = torch.zeros(1, requires_grad=True)

    def cliff(_taken: int) -> tuple[torch.Tensor, torch.Tensor]:
        return ((x - 0.9).square().sum() if x.item() <= 0.95 else x.sum() * math.nan), x

    losses = [step.loss for step in LBFGS([x], cliff).run(50)]
    assert losses[-1] < 1e-6
    assert x.item() == pytest.approx(0.9, abs=1e-3)


def test_the_schedule_says_how_far_a_step_goes():
    def first_move(schedule: Schedule) -> float:
        x = torch.zeros(1, requires_grad=True)
        Adam([x], parabola(x, 9), over(100, 0.1, schedule)).step()
        return x.item()

    assert first_move(steady) == pytest.approx(0.1, rel=1e-3)
    assert first_move(ramped) == pytest.approx(0.01, rel=1e-3)
    assert first_move(late_decay) == pytest.approx(0.1, rel=1e-3)


def test_lbfgs_finds_the_minimum_of_a_narrow_valley():
    x = torch.tensor([-1.2, 1.0], requires_grad=True)
    steps = list(LBFGS([x], lambda _taken: ((1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2, x)).run(200))
    assert torch.allclose(x, torch.ones(2), atol=1e-3)
    assert sum(step.taken for step in steps) <= 200


def test_a_loss_is_told_how_many_steps_were_taken():
    x = torch.zeros(1, requires_grad=True)
    told: list[int] = []

    def evaluate(taken: int) -> tuple[torch.Tensor, torch.Tensor]:
        told.append(taken)
        return (x - 1).square().sum(), x

    by_adam(x, evaluate, 4)
    assert told == [0, 1, 2, 3]


def test_steps_end_where_a_condition_is_met():
    x = torch.zeros(1, requires_grad=True)
    steps = Adam([x], parabola(x, 1), lambda _taken: 0.1).run(100)
    assert len(list(until(steps, lambda step: step.loss < 0.7))) == 3


def test_steps_are_counted_with_what_they_lead_to():
    def steps() -> Generator[Step, None, str]:
        for taken in (0, 3, 1):
            yield Step(1.0, torch.zeros(1), taken)
        return "there"

    assert result_of(counted(steps())) == ("there", 4)


def test_a_plateau_is_seen_after_as_many_steps_as_one_has_patience():
    def seen(patience: int) -> list[bool]:
        plateau = Plateau(patience)
        return [plateau(Step(loss, torch.zeros(1))) for loss in (5, 4, 4, 4, 3.9999, 3)]

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
    # On CUDA the adaptive form's gradient is not the same in every run.
    names, left = set(), [smaller.grad_fn]
    while left:
        function = left.pop()
        names.add(type(function).__name__)
        left += [each for each, _ in function.next_functions if each is not None] if function is not None else []
    assert not [name for name in names if "Adaptive" in name]
