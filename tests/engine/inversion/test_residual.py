"""The residual of the features: what the latent cannot say of one photo."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from small_generators import small_dcgan, small_stylegan2, small_stylegan3

from gan_edit_engine.generators import Generator
from gan_edit_engine.inversion.invert import invert
from gan_edit_engine.inversion.latents import random_z, statistics
from gan_edit_engine.inversion.optimize import result_of
from gan_edit_engine.inversion.prepared import Projector
from gan_edit_engine.inversion.projection import write_projection
from gan_edit_engine.inversion.residual import without_residual
from gan_edit_engine.inversion.start import FromLatent
from gan_edit_engine.inversion.subject import Drawing, Inversion, Subject, synthesise
from gan_edit_engine.inversion.tuning import Delta
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.settings import ProjectSettings

CPU = torch.device("cpu")
EVERYWHERE = torch.ones(1, 1, 16, 16)


@pytest.fixture(scope="module")
def strange() -> Subject:
    """A picture that no latent gives: stripes."""
    stripes = torch.ones(1, 3, 16, 16)
    stripes[..., ::4] = stripes[..., 1::4] = -1
    return Subject(0.5 * stripes, EVERYWHERE)


@pytest.fixture
def search(tiny_generator, perceptual, strange):
    def run(given: Inversion | None = None, **settings) -> Inversion:
        chosen = ProjectSettings(**{"steps": 40, "perceptual_weight": 0.0, "residual": True, **settings})
        projector = Projector(tiny_generator, statistics(tiny_generator, CPU), chosen, perceptual)
        return result_of(invert(projector, strange, FromLatent(given) if given else None))

    return run


@pytest.mark.parametrize("space", ["z", "w", "w+"])
def test_a_photo_that_no_latent_gives_is_found_with_a_residual(search, space):
    assert search(space=space).psnr > search(space=space, residual=False).psnr + 3


def test_it_belongs_to_the_latent_and_is_kept_in_half_precision(search, tiny_generator):
    found = search()
    assert found.residual.shape[1:] == tiny_generator.residual_shape
    assert torch.equal(found.residual, found.residual.half().float())
    again = synthesise(tiny_generator, found.ws, Drawing(found.noise, found.residual))
    assert torch.equal(again, found.image)
    assert not torch.allclose(synthesise(tiny_generator, found.ws, Drawing(found.noise)), found.image, atol=0.05)
    assert search(residual=False).residual is None


def test_a_search_goes_on_from_a_given_residual_and_holds_it_where_it_is_not_searched(search):
    first = search()
    further = search(first, steps=10, learning_rate=0.01)
    assert further.psnr > first.psnr
    held = search(first, steps=10, learning_rate=0.01, residual=False)
    assert torch.equal(held.residual, first.residual)
    assert held.psnr > first.psnr - 0.5


def test_small_maps_are_chosen_for_it():
    assert small_stylegan2().residual_shape == (8, 8, 8)
    # 64 channels of 64 × 64 are more than a file should hold.
    assert small_stylegan2(resolution=128, channel_base=4096, channel_max=192).residual_shape == (128, 32, 32)
    assert small_stylegan2(resolution=256, channel_base=32768, channel_max=512).residual_shape == (512, 16, 16)


@pytest.mark.parametrize("generator", [small_stylegan3(), small_dcgan()], ids=["stylegan3", "dcgan"])
def test_families_without_one_say_so(generator: Generator, perceptual):
    assert generator.residual_shape is None
    subject = Subject(torch.zeros(1, 3, *[generator.resolution] * 2), torch.ones(1, 1, *[generator.resolution] * 2))
    settings = ProjectSettings(steps=1, residual=True, space="z")
    with pytest.raises(GanEditError, match="StyleGAN2 models"):
        result_of(invert(Projector(generator, statistics(generator, CPU), settings, perceptual), subject))
    with pytest.raises(ValueError, match="no feature residual"), generator.adding(torch.zeros(1, 8, 8, 8)):
        pass


def test_one_of_another_size_is_refused_and_none_is_left_behind(tiny_generator):
    ws = tiny_generator.mapping(random_z(tiny_generator, 1, 0, CPU))
    plain = tiny_generator.synthesis(ws)
    with pytest.raises(ValueError, match="must be"), tiny_generator.adding(torch.zeros(1, 3, 8, 8)):
        pass
    with tiny_generator.adding(torch.ones(1, *tiny_generator.residual_shape)):
        assert not torch.equal(tiny_generator.synthesis(ws), plain)
        with pytest.raises(ValueError, match="Unknown noise names"):
            synthesise(tiny_generator, ws, Drawing({"b3": plain}))
    assert torch.equal(tiny_generator.synthesis(ws), plain)


def test_it_fades_where_something_changes_and_stays_elsewhere(search, tiny_generator):
    found = search()
    left = torch.zeros(1, 1, 16, 16)
    left[..., :8] = 1
    plain = synthesise(tiny_generator, found.ws, Drawing(found.noise))
    assert torch.equal(without_residual(tiny_generator, found, EVERYWHERE).image, plain)
    assert torch.equal(without_residual(tiny_generator, found, 0 * EVERYWHERE).image, found.image)
    half = without_residual(tiny_generator, found, left).image
    assert torch.allclose(half[..., :4], plain[..., :4], atol=0.1)
    assert torch.allclose(half[..., -4:], found.image[..., -4:], atol=0.1)
    without = dataclasses.replace(found, residual=None)
    assert without_residual(tiny_generator, without, EVERYWHERE) is without


def test_a_kept_projection_with_a_residual_of_the_default_is_small(tmp_path):
    residual = torch.randn(1, 128, 32, 32)
    write_projection(
        tmp_path / "a.safetensors", Inversion(torch.zeros(1, 12, 512), residual, 0.0, residual=residual), Delta({})
    )
    assert (tmp_path / "a.safetensors").stat().st_size <= 300_000
