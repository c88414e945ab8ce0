"""Images from a scribble alone, on a small generator: the paint is followed, and the images stay the model's."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from small_generators import small_dcgan, small_stylegan2, small_stylegan3
from torch import Tensor

from gan_edit_engine.generators import Generator
from gan_edit_engine.inversion.anatomy import Anatomy, StayWhole, places, unit
from gan_edit_engine.inversion.imagine import Asked, Imagined, imagine, looks_of
from gan_edit_engine.inversion.latents import map_to_w, random_z, statistics
from gan_edit_engine.inversion.optimize import Step, result_of
from gan_edit_engine.inversion.prepared import Prepared
from gan_edit_engine.inversion.terms import FollowPaint, Look, StayLikely
from gan_edit_protocol.settings import EditSettings, ImagineSettings

CPU = torch.device("cpu")
STEPS = 20
QUICK = ImagineSettings(samples=20, candidates=3)
PLAIN = EditSettings(precision="float32")


@pytest.fixture(scope="module")
def spread(tiny_generator):
    return statistics(tiny_generator, CPU)


@pytest.fixture(scope="module")
def asked() -> Asked:
    """A red block on the left and a blue one on the right; nothing between them."""
    paint, painted = torch.zeros(1, 3, 16, 16), torch.zeros(1, 1, 16, 16)
    paint[..., :6] = torch.tensor([0.6, -0.6, -0.6])[:, None, None]
    paint[..., 10:] = torch.tensor([-0.6, -0.6, 0.6])[:, None, None]
    painted[..., :6] = painted[..., 10:] = 1
    return Asked(paint, painted)


@pytest.fixture
def imagined(tiny_generator, spread, asked):
    def run(steps: int = STEPS, **changes: object) -> list[Imagined]:
        settings = dataclasses.replace(QUICK, **changes)
        return result_of(imagine(Prepared(tiny_generator, spread, PLAIN), asked, settings, steps))

    return run


@pytest.fixture(scope="module")
def unfit(tiny_generator, asked):
    """How far images are from the paint, in the mean."""
    term = FollowPaint(1, asked.paint, asked.painted)
    return lambda found: sum(term.by_means(one.image).item() for one in found) / len(found)


def test_the_search_follows_the_paint_from_where_it_starts(imagined, unfit):
    assert unfit(imagined(prior_weight=0.01)) < 0.5 * unfit(imagined(steps=0))


def test_it_starts_from_the_random_images_that_lose_least(imagined, unfit, asked, tiny_generator, spread):
    best, many = imagined(steps=0, prior_weight=0.0, candidates=1), imagined(steps=0, prior_weight=0.0, candidates=8)
    fits = [unfit([one]) for one in many]
    assert fits == sorted(fits)
    assert torch.equal(best[0].ws, many[0].ws)
    term, w = (
        FollowPaint(1, asked.paint, asked.painted),
        torch.lerp(spread.mean, map_to_w(tiny_generator, random_z(tiny_generator, 20, 0, CPU)), 0.7),
    )
    images = tiny_generator.synthesis(w[:, None].expand(-1, tiny_generator.num_ws, -1))
    every = [term.by_means(image).item() for image in images.split(1)]
    assert fits == pytest.approx(sorted(every)[:8])


def test_each_candidate_goes_its_own_way_and_all_layers_of_it_alike(imagined, tiny_generator):
    found = torch.cat([one.ws for one in imagined()])
    assert found.shape == (3, tiny_generator.num_ws, tiny_generator.w_dim)
    assert (found.std(1) < 1e-6).all()
    assert torch.pdist(found[:, 0]).min() > 0.1


def test_what_a_candidate_becomes_does_not_depend_on_how_many_there_are(imagined):
    assert torch.allclose(imagined(candidates=1)[0].ws, imagined(candidates=3)[0].ws, atol=1e-3)


def test_the_same_seed_gives_the_same_images_and_another_one_others(imagined):
    first, again, other = (imagined(seed=seed)[0].ws for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert (first - other).abs().max() > 0.1


def test_there_are_no_more_candidates_than_samples(imagined):
    assert len(imagined(samples=2, candidates=8)) == 2


def test_the_prior_keeps_the_latents_likely(imagined, spread):
    free, kept = imagined(prior_weight=0.0), imagined(prior_weight=0.1)
    assert spread.gaussian_distance(kept[0].ws) < 0.5 * spread.gaussian_distance(free[0].ws)


def test_whose_latent_is_less_likely_is_doubted_more(imagined, spread):
    found = imagined(prior_weight=0.1, candidates=8)
    distances = torch.stack([spread.gaussian_distance(one.ws) for one in found])
    doubts = torch.tensor([one.doubt for one in found])
    assert (doubts >= 0.1 * distances - 1e-5).all(), "what is odd is doubted besides"
    assert doubts.argmax() == distances.argmax()


def test_every_look_and_every_step_is_told_with_a_picture(tiny_generator, spread, asked):
    steps: list[Step] = []
    result_of(imagine(Prepared(tiny_generator, spread, PLAIN), asked, QUICK, 4), steps.append)
    looks = looks_of(QUICK)
    assert looks == 3
    assert [step.taken for step in steps] == [1] * 7
    assert all(step.image.shape[1:] == (3, 16, 16) for step in steps)
    losses = [step.loss for step in steps[:looks]]
    assert losses == sorted(losses, reverse=True), "the picture shown is the best so far"


@pytest.mark.parametrize("make", [small_stylegan3, small_dcgan])
def test_other_families_imagine_too(make):
    generator: Generator = make()
    size = generator.resolution
    asked = Asked(torch.full([1, 3, size, size], 0.3), torch.ones(1, 1, size, size))
    found = result_of(imagine(Prepared(generator, statistics(generator, CPU), PLAIN), asked, QUICK, 2))
    assert len(found) == 3
    assert all(one.ws.shape == (1, generator.num_ws, generator.w_dim) for one in found)
    assert all(torch.isfinite(one.image).all() for one in found)


# --- the terms ----------------------------------------------------------------------------------------------------


def look(generator: Generator, ws: Tensor) -> Look:
    image, features = generator.small_image_and_features(ws, 16)
    return Look(image, ws, features=features)


def test_several_latents_cost_what_each_of_them_costs(tiny_generator, spread, asked):
    ws = tiny_generator.mapping(random_z(tiny_generator, 3, 0, CPU))
    typical = unit(places(look(tiny_generator, ws).features, 8).sum(0, keepdim=True))
    terms = [
        FollowPaint(1, asked.paint, asked.painted),
        StayLikely(1, spread),
        StayWhole(1, Anatomy(8, typical, asked.painted, 0.01)),
    ]
    for term in terms:
        each = [term(look(tiny_generator, one)).item() for one in ws.split(1)]
        assert term(look(tiny_generator, ws)).item() == pytest.approx(sum(each), rel=1e-3)


def left_half() -> Tensor:
    where = torch.zeros(1, 1, 16, 16)
    where[..., :8] = 1
    return where


def test_features_that_changed_places_are_odd_and_stronger_ones_are_not():
    torch.manual_seed(0)
    typical = unit(torch.randn(1, 12, 8, 8))
    anatomy = Anatomy(8, typical, torch.ones(1, 1, 16, 16), 0.1)
    assert anatomy.oddness(places([3 * typical], 8)).item() == 0
    assert anatomy.oddness(places([typical.flip(3)], 8)).item() > 0.5


def test_only_what_counts_can_be_odd():
    torch.manual_seed(0)
    typical = unit(torch.randn(1, 12, 8, 8))
    changed = typical.clone()
    changed[..., 4:] *= -1
    left, right = (Anatomy(8, typical, where, 0.1) for where in (left_half(), left_half().flip(3)))
    assert left.oddness(changed).item() == 0
    assert right.oddness(changed).item() == pytest.approx(1.9, abs=1e-3)


def test_the_finest_features_that_are_coarse_enough_say_what_a_place_is(tiny_generator):
    seen = look(tiny_generator, tiny_generator.mapping(random_z(tiny_generator, 2, 0, CPU))).features
    assert [maps.shape[-1] for maps in seen] == [4, 8, 16]
    assert torch.equal(places(seen, 15), unit(seen[1]))
    assert places(seen, 16).norm(dim=1).sub(1).abs().max() < 1e-3


@pytest.mark.parametrize("make", [small_stylegan2, small_stylegan3, small_dcgan])
def test_a_small_image_comes_with_the_features_that_it_is_drawn_from(make):
    generator: Generator = make()
    ws = generator.mapping(random_z(generator, 2, 0, CPU))
    image, features = generator.small_image_and_features(ws, 8)
    assert torch.equal(image, generator.small_image(ws, 8))
    asked_for = [maps for maps in generator.features(ws) if maps.shape[-1] <= 8]
    assert len(asked_for) == len(features)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(features, asked_for, strict=True))


def test_a_search_that_must_stay_whole_stays_so(imagined, tiny_generator):
    def oddness(found: list[Imagined]) -> float:
        w = random_z(tiny_generator, 64, 5, CPU)
        usual = places(look(tiny_generator, tiny_generator.mapping(w, truncation_psi=0.7)).features, 16)
        anatomy = Anatomy(16, unit(usual.sum(0, keepdim=True)), torch.ones(1, 1, 16, 16), 0.0)
        seen = [places(look(tiny_generator, one.ws).features, 16) for one in found]
        return anatomy.oddness(torch.cat(seen)).mean().item()

    assert oddness(imagined(prior_weight=0.2)) < 0.6 * oddness(imagined(prior_weight=0.0))
