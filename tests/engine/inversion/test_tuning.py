"""Pivotal tuning: the generator gives the photo at the pivot, and stays itself elsewhere."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from safetensors.torch import save

from gan_edit_engine import generators
from gan_edit_engine.generators.stylegan2 import StyleGAN2Config
from gan_edit_engine.inversion import tuning
from gan_edit_engine.inversion.latents import Statistics, map_to_w, random_z, statistics
from gan_edit_engine.inversion.losses import pixel_loss
from gan_edit_engine.inversion.optimize import result_of
from gan_edit_engine.inversion.prepared import Projector
from gan_edit_engine.inversion.projection import project, write_projection
from gan_edit_engine.inversion.start import FromLatent
from gan_edit_engine.inversion.subject import Inversion, Subject, psnr
from gan_edit_engine.inversion.tuning import Delta, tune
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
    projector = Projector(generator, statistics(generator, CPU), settings, perceptual)
    return result_of(tune(projector, photo, pivot))


def test_the_tuned_generator_gives_the_photo_and_the_shared_one_stays_as_it_was(
    tiny_generator, perceptual, pivot, photo
):
    before = save(dict(tiny_generator.state_dict()))
    delta = tuned(tiny_generator, perceptual, pivot, photo)
    bent = delta.applied(tiny_generator)
    before_it, after_it = (pixel_loss(i, photo.image, photo.weight) for i in (pivot.image, bent.synthesis(pivot.ws)))
    assert after_it < 0.5 * before_it
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
    assert moved[1] < moved[0]


def test_where_nothing_counts_the_generator_is_not_tuned_to_it(tiny_generator, perceptual, pivot, photo):
    weight = torch.zeros(1, 1, 16, 16)
    weight[..., :8] = 1
    images = {}
    for name, counts in (("left", weight), ("all", torch.ones_like(weight))):
        bent = tuned(tiny_generator, perceptual, pivot, Subject(photo.image, counts)).applied(tiny_generator)
        images[name] = bent.synthesis(pivot.ws)
    assert pixel_loss(images["left"], photo.image, weight) < 0.5 * pixel_loss(pivot.image, photo.image, weight)
    right = {name: pixel_loss(image, photo.image, 1 - weight) for name, image in images.items()}
    assert right["left"] > 2 * right["all"]


def test_tuned_on_what_is_selected_the_rest_of_the_image_stays(tiny_generator, perceptual, pivot, photo, tmp_path):
    selection = torch.zeros(1, 1, 16, 16)
    selection[..., :8] = 1
    errors = {}
    for selected_only in (False, True):
        settings = ProjectSettings(
            tuning_steps=80, tuning_rate=0.01, perceptual_weight=0.1, tuning_selected_only=selected_only
        )
        subject = dataclasses.replace(photo, selection=selection)
        projector = Projector(tiny_generator, statistics(tiny_generator, CPU), settings, perceptual, folder=tmp_path)
        found = result_of(project(projector, subject, FromLatent(pivot, kept=True)))
        inside = pixel_loss(found.inversion.image, photo.image, selection).item()
        outside = pixel_loss(found.inversion.image, pivot.image, 1 - selection).item()
        errors[selected_only] = inside, outside
    before = pixel_loss(pivot.image, photo.image, selection).item()
    assert errors[True][0] < 0.5 * before
    assert errors[True][1] < 0.3 * errors[False][1]


def test_the_tuning_ends_where_the_image_is_close_enough(tiny_generator, perceptual, pivot, photo, tmp_path):
    close = psnr(pivot.image, photo) + 1
    settings = ProjectSettings(tuning_steps=200, tuning_rate=0.01, perceptual_weight=0.1, stop_psnr=close)
    projector = Projector(tiny_generator, statistics(tiny_generator, CPU), settings, perceptual, folder=tmp_path)
    found = result_of(project(projector, photo, FromLatent(pivot, kept=True)))
    assert 0 < found.steps < settings.tuning_steps
    assert found.inversion.psnr > (psnr(pivot.image, photo) + close) / 2


def test_the_models_neighbours_are_of_the_photos_class(perceptual, monkeypatch):
    torch.manual_seed(0)
    config = StyleGAN2Config(z_dim=8, w_dim=8, c_dim=3, resolution=8, channel_base=64, channel_max=8, mapping_layers=1)
    generator = generators.build(config).requires_grad_(False)
    asked = []
    monkeypatch.setattr(
        tuning, "map_to_w", lambda generator, z, number: asked.append(number) or map_to_w(generator, z, number)
    )
    ws = map_to_w(generator, random_z(generator, 1, 0, CPU), 2)[:, None].expand(-1, generator.num_ws, -1)
    pivot = Inversion(ws, generator.synthesis(ws), 0.0)
    target = Subject(pivot.image, torch.ones(1, 1, 8, 8))
    tuned(generator, perceptual, pivot, target, tuning_steps=2, perceptual_weight=0.0, class_label=2)
    assert set(asked) == {2}


def test_a_tuned_projection_of_256_pixels_with_its_noise_takes_less_than_ten_megabytes(perceptual, tmp_path):
    generator = generators.build(StyleGAN2Config(mapping_layers=1)).requires_grad_(False).eval()
    ws, image = torch.zeros(1, generator.num_ws, 512), torch.zeros(1, 3, 256, 256)
    pivot = Inversion(ws, image, 0.0, noise=generator.noise_consts())
    settings = ProjectSettings(tuning_steps=0)
    spread = Statistics(torch.zeros(512), 1.0, torch.zeros(512), torch.eye(512), torch.eye(512), 1.0)
    projector = Projector(generator, spread, settings, perceptual)
    delta = result_of(tune(projector, Subject(image, torch.ones(1, 1, 256, 256)), pivot))
    assert len(delta.factors) == 20  # 13 convolutions and 7 ToRGB
    write_projection(tmp_path / "kept.safetensors", pivot, delta)
    assert 1e6 < (tmp_path / "kept.safetensors").stat().st_size < 10e6


def test_a_cache_that_cannot_be_written_costs_no_result(tmp_path):
    (tmp_path / "file").write_text("")
    image = torch.zeros(1, 3, 8, 8)
    write_projection(tmp_path / "file" / "kept.safetensors", Inversion(torch.zeros(1, 4, 8), image, 0.0), Delta({}))
    assert (tmp_path / "file").read_text() == ""
