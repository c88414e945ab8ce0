"""Pivotal tuning: the generator gives the photo at the pivot, and stays itself elsewhere."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save

from gan_edit_engine.invert import Inversion, Objective, Subject, psnr
from gan_edit_engine.latents import random_z, statistics
from gan_edit_engine.losses import pixel_loss
from gan_edit_engine.tuning import Delta, tune
from gan_edit_protocol.settings import ProjectSettings

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pivot(tiny_generator):
    ws = tiny_generator.mapping(random_z(tiny_generator, 1, seed=5, device=CPU))
    return Inversion(ws, tiny_generator.synthesis(ws), 0.0)


@pytest.fixture(scope="module")
def photo(tiny_generator):
    """Something that the generator cannot make: an image of its own with a bright cross."""
    image = tiny_generator.synthesis(tiny_generator.mapping(random_z(tiny_generator, 1, seed=5, device=CPU))).clone()
    image[..., 7:9, :] = image[..., :, 7:9] = 0.9
    return Subject(image, torch.ones(1, 1, 16, 16))


def tuned(generator, perceptual, pivot, photo, **changes) -> Delta:
    settings = ProjectSettings(**{"tuning_steps": 80, "tuning_rate": 0.01, "perceptual_weight": 0.1, **changes})
    objective = Objective(generator, statistics(generator, CPU), perceptual, photo, settings)
    steps = tune(generator, objective, pivot, settings)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def test_the_tuned_generator_gives_the_photo_and_the_shared_one_stays_as_it_was(
    tiny_generator, perceptual, pivot, photo
):
    before = save(dict(tiny_generator.state_dict()))
    delta = tuned(tiny_generator, perceptual, pivot, photo)
    bent = delta.applied(tiny_generator)
    assert psnr(bent.synthesis(pivot.ws), photo) > psnr(pivot.image, photo) + 3
    assert save(dict(tiny_generator.state_dict())) == before


def test_an_unused_delta_changes_nothing(tiny_generator, perceptual, pivot, photo):
    delta = tuned(tiny_generator, perceptual, pivot, photo, tuning_steps=0)
    assert torch.equal(delta.applied(tiny_generator).synthesis(pivot.ws), tiny_generator.synthesis(pivot.ws))


def test_locality_keeps_other_images_as_they_were(tiny_generator, perceptual, pivot, photo):
    others = tiny_generator.mapping(random_z(tiny_generator, 8, seed=9, device=CPU))
    before = tiny_generator.synthesis(others)
    everywhere = torch.ones(8, 1, 16, 16)
    moved = [
        pixel_loss(delta.applied(tiny_generator).synthesis(others), before, everywhere).item()
        for delta in (tuned(tiny_generator, perceptual, pivot, photo, tuning_locality=w) for w in (0.0, 3.0))
    ]
    assert moved[1] < 0.7 * moved[0]


def test_where_nothing_counts_the_generator_is_not_tuned_to_it(tiny_generator, perceptual, pivot, photo):
    weight = torch.zeros(1, 1, 16, 16)
    weight[..., :8] = 1
    left = Subject(photo.image, weight)
    bent = tuned(tiny_generator, perceptual, pivot, left).applied(tiny_generator)
    image = bent.synthesis(pivot.ws)
    assert pixel_loss(image, photo.image, weight) < 0.5 * pixel_loss(pivot.image, photo.image, weight)
    assert pixel_loss(image, photo.image, 1 - weight) > 0.5 * pixel_loss(pivot.image, photo.image, 1 - weight)
