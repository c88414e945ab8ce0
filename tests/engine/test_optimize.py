"""The loop, its ramps and the terms of the losses."""

from __future__ import annotations

import math

import pytest
import torch

from gan_edit_engine.losses import latent_distance, pixel_loss, weighted_mean
from gan_edit_engine.optimize import adam, ramped
from gan_edit_protocol.errors import GanEditError


def test_it_finds_the_minimum_of_a_parabola_and_reports_each_step():
    x = torch.zeros(1, 3, 2, 2, requires_grad=True)
    steps = list(adam([x], lambda: ((x - 0.7).square().sum(), x), 300, 0.1))
    assert [s.index for s in steps] == list(range(1, 301))
    assert steps[0].of == 300
    assert steps[0].loss == pytest.approx(12 * 0.49)
    assert torch.allclose(x, torch.tensor(0.7), atol=1e-3)


def test_neither_the_first_nor_the_last_step_is_lost():
    x = torch.zeros(1, requires_grad=True)
    (only,) = adam([x], lambda: ((x - 1).square().sum(), x), 1, 0.1)
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
        list(adam([x], lambda: ((x * math.inf).sum(), x), 5, 0.1))


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
