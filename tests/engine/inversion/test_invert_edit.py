"""Inversion and editing on a small generator: each term does what it is there for."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from searches import follow

from gan_edit_engine import generators
from gan_edit_engine.generators.dcgan import DCGANConfig
from gan_edit_engine.generators.stylegan2 import StyleGAN2Config
from gan_edit_engine.inversion.edit import Edited, Wish, follow_scribble
from gan_edit_engine.inversion.invert import invert
from gan_edit_engine.inversion.latents import check_space, label, map_to_w, random_z, statistics
from gan_edit_engine.inversion.losses import latent_distance, noise_regularity, pixel_loss
from gan_edit_engine.inversion.optimize import Step, result_of
from gan_edit_engine.inversion.prepared import Prepared, Projector
from gan_edit_engine.inversion.start import FromLatent
from gan_edit_engine.inversion.subject import Inversion, Subject
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.settings import EditSettings, ProjectSettings

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def spread(tiny_generator):
    return statistics(tiny_generator, CPU)


@pytest.fixture(scope="module")
def subject(tiny_generator):
    """An image of the generator itself, so that a perfect inversion exists."""
    ws = tiny_generator.mapping(random_z(tiny_generator, 1, seed=5, device=CPU))
    return Subject(tiny_generator.synthesis(ws), torch.ones(1, 1, 16, 16))


@pytest.fixture
def run_inversion(tiny_generator, spread, perceptual, subject):
    def run(on: Subject = subject, given: Inversion | None = None, **settings) -> Inversion:
        chosen = ProjectSettings(**{"steps": 60, "perceptual_weight": 0.0, **settings})
        projector = Projector(tiny_generator, spread, chosen, perceptual)
        return follow(invert(projector, on, FromLatent(given) if given else None))[1]

    return run


@pytest.mark.parametrize("space", ["z", "w", "w+"])
def test_an_image_of_the_generator_is_found_again_in_every_space(run_inversion, tiny_generator, subject, space):
    found = run_inversion(space=space, prior_weight=0.0, steps=150)
    assert found.ws.shape == (1, tiny_generator.num_ws, 32)
    assert torch.allclose(found.image, tiny_generator.synthesis(found.ws))
    start = run_inversion(space=space, prior_weight=0.0, steps=1, learning_rate=1e-4)
    everywhere = subject.weight
    assert pixel_loss(found.image, subject.image, everywhere) < 0.1 * pixel_loss(start.image, subject.image, everywhere)


def test_in_w_all_layers_share_one_latent_and_in_w_plus_they_part(run_inversion):
    assert (run_inversion(space="w").ws.std(dim=1) == 0).all()
    assert (run_inversion(space="w+").ws.std(dim=1) > 0).any()


def test_w_plus_fits_what_w_cannot(run_inversion, subject):
    shifted = Subject(subject.image.roll(4, -1), subject.weight)
    options = {"prior_weight": 0.0, "steps": 150}
    assert run_inversion(shifted, space="w+", **options).psnr > run_inversion(shifted, space="w", **options).psnr


def test_the_prior_keeps_the_latent_typical(run_inversion, spread):
    free, held = (run_inversion(prior_weight=weight) for weight in (0.0, 1.0))
    distances = [latent_distance(found.ws, spread.mean, spread.std) for found in (free, held)]
    assert distances[1] < 0.5 * distances[0]


def test_the_perceptual_term_makes_the_image_perceptually_closer(run_inversion, perceptual, subject):
    shifted = Subject(subject.image.roll(4, -1), subject.weight)
    without, alone = (
        run_inversion(shifted, steps=200, prior_weight=0.0, pixel_weight=pixel, perceptual_weight=look)
        for pixel, look in ((1.0, 0.0), (0.0, 1.0))
    )
    target = perceptual.target(shifted.image, shifted.weight)
    assert perceptual.loss(alone.image, target) < perceptual.loss(without.image, target)


@pytest.fixture
def sides_seen(perceptual, monkeypatch):
    """The sides at which the perceptual network compares images from now on; it judges any."""
    seen: list[int] = []
    loss = perceptual.loss
    monkeypatch.setattr(perceptual, "_least_side", 4)
    monkeypatch.setattr(perceptual, "loss", lambda image, target: (seen.append(target.side), loss(image, target))[1])
    return seen


@pytest.mark.parametrize("space", ["z", "w", "w+"])
def test_a_search_looks_at_half_the_size_first(run_inversion, sides_seen, space):
    run_inversion(space=space, steps=10, perceptual_weight=0.7, coarse_fraction=0.6)
    assert sides_seen == sorted(sides_seen)
    assert set(sides_seen) == {8, 16}
    assert sides_seen.count(8) == pytest.approx(0.6 * len(sides_seen), abs=1)


def test_a_search_that_waits_for_a_plateau_or_searches_along_lines_looks_at_one_size(run_inversion, sides_seen):
    run_inversion(steps=10, perceptual_weight=0.7, patience=9)
    run_inversion(space="w", steps=10, perceptual_weight=0.7, optimizer="lbfgs")
    assert set(sides_seen) == {16}


def test_what_has_no_weight_is_not_fitted(run_inversion, subject):
    image, weight = subject.image.clone(), subject.weight.clone()
    image[..., 8:] = 1
    weight[..., 8:] = 0
    found = run_inversion(Subject(image, weight), prior_weight=0.0)
    counting_all = run_inversion(Subject(image, subject.weight), prior_weight=0.0)
    assert pixel_loss(found.image, image, weight) < pixel_loss(counting_all.image, image, weight)
    assert pixel_loss(found.image, image, 1 - weight) > pixel_loss(counting_all.image, image, 1 - weight)
    image[..., 8:] = -1
    assert torch.equal(run_inversion(Subject(image, weight), prior_weight=0.0).ws, found.ws), "what lies there is seen"


def test_the_same_seed_gives_the_same_latent_and_another_seed_another(run_inversion):
    first, again, other = (run_inversion(seed=seed, steps=5, init_samples=1).ws for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_space_that_the_model_does_not_have_is_refused_in_plain_words(tiny_generator, monkeypatch):
    monkeypatch.setattr(type(tiny_generator), "spaces", ("z",))
    with pytest.raises(GanEditError, match="no latent space w"):
        check_space(tiny_generator, "w")


def test_more_samples_bring_the_start_closer_to_the_mean(run_inversion, spread):
    one, many = (run_inversion(space="w", steps=1, learning_rate=1e-4, init_samples=n).ws for n in (1, 1000))
    # The mean of n samples lies n times nearer, as squared distances go, give or take what chance does.
    assert spread.distance(many) < 0.1 * spread.distance(one)


def test_the_best_of_the_samples_is_a_better_start_than_the_mean_of_two(run_inversion):
    options = {"space": "w", "steps": 1, "learning_rate": 1e-4}
    one_by_one = [run_inversion(init_samples=1, seed=seed, **options).psnr for seed in range(5)]
    best = run_inversion(init_samples=32, start="best", **options)
    assert best.psnr > sorted(one_by_one)[2], "the best of 32 is better than the middle of 5"


def test_of_several_restarts_the_best_is_kept_within_the_same_number_of_steps(run_inversion):
    options = {"space": "w", "steps": 60, "w_fraction": 0.8, "init_samples": 1, "seed": 11}
    several = run_inversion(restarts=5, **options)
    assert several.steps <= 60
    assert several.psnr > min(run_inversion(**{**options, "seed": 11 + i}).psnr for i in range(5))


@pytest.mark.parametrize("space", ["z", "w", "w+"])
@pytest.mark.parametrize("restarts", [3, 40])
def test_restarts_never_take_more_steps_than_there_are(run_inversion, space, restarts):
    assert run_inversion(space=space, steps=20, restarts=restarts, w_fraction=0.5, init_samples=1).steps == 20


def test_candidates_are_told_apart_by_their_pixels_a_few_at_a_time(
    tiny_generator, spread, perceptual, subject, monkeypatch
):
    monkeypatch.setattr(perceptual, "loss", lambda *_: pytest.fail("the perceptual network was asked"))
    settings = ProjectSettings(start="best", init_samples=20, steps=5)
    steps = invert(Projector(tiny_generator, spread, settings, perceptual), subject)
    looks = [next(steps) for _ in range(3)]
    assert [look.taken for look in looks] == [0, 0, 0]
    assert looks[2].loss <= looks[1].loss <= looks[0].loss


def test_a_search_can_start_from_a_given_latent(run_inversion, tiny_generator, subject, projected):
    options = {"steps": 1, "learning_rate": 1e-4, "prior_weight": 0.0}
    assert torch.allclose(run_inversion(given=projected, **options).ws, projected.ws, atol=1e-3)
    assert not torch.allclose(run_inversion(**options).ws, projected.ws, atol=0.1)
    parted = dataclasses.replace(projected, ws=projected.ws + torch.linspace(-1, 1, 6)[None, :, None])
    found = run_inversion(given=parted, space="w", **options)
    assert torch.allclose(found.ws, projected.ws, atol=1e-3)


def test_a_given_latents_noise_stays_unless_noise_is_searched(run_inversion, tiny_generator, projected):
    rows = {name: torch.linspace(-1, 1, stored.shape[-1]) for name, stored in tiny_generator.noise_consts().items()}
    maps = {name: row.expand(len(row), -1).clone() for name, row in rows.items()}
    given = dataclasses.replace(projected, noise=maps)
    kept = run_inversion(given=given, steps=2)
    assert all(torch.equal(kept.noise[name], maps[name]) for name in maps)
    searched = run_inversion(given=given, steps=2, optimize_noise=True)
    assert not any(torch.equal(searched.noise[name], maps[name]) for name in maps)
    assert all(torch.equal(maps[name], row.expand(len(row), -1)) for name, row in rows.items())


def test_a_search_in_z_keeps_z_and_starts_from_w_plus_only_where_they_are_the_same(
    run_inversion, tiny_generator, projected, perceptual
):
    found = run_inversion(space="z", steps=3)
    assert torch.allclose(tiny_generator.mapping(found.z), found.ws)
    with pytest.raises(GanEditError, match="search in z cannot start from a latent in w"):
        run_inversion(given=projected, space="z")
    dcgan = generators.build(DCGANConfig(z_dim=8, channels=(8,))).requires_grad_(False).eval()
    z = random_z(dcgan, 1, 3, CPU)
    given = Inversion(z[:, None], dcgan(z), 99.0)
    settings = ProjectSettings(space="z", steps=1, learning_rate=1e-4, perceptual_weight=0.0)
    target = Subject(given.image, torch.ones(1, 1, 8, 8))
    projector = Projector(dcgan, statistics(dcgan, CPU), settings, perceptual)
    again = follow(invert(projector, target, FromLatent(given)))[1]
    assert torch.allclose(again.z, z, atol=1e-3)


def test_the_prior_on_z_keeps_z_short(run_inversion):
    free, held = (run_inversion(space="z", prior_weight=weight).z.square().mean() for weight in (0.0, 1.0))
    assert held < 0.5 * free


@pytest.mark.parametrize("space", ["z", "w"])
def test_a_conditional_models_search_stays_in_its_class(perceptual, space):
    torch.manual_seed(0)
    config = StyleGAN2Config(z_dim=8, w_dim=8, c_dim=3, resolution=8, channel_base=64, channel_max=8, mapping_layers=1)
    generator = generators.build(config).requires_grad_(False).eval()
    target = Subject(torch.zeros(1, 3, 8, 8), torch.ones(1, 1, 8, 8))
    settings = ProjectSettings(space=space, steps=1, learning_rate=1e-4, init_samples=1, perceptual_weight=0.0)
    for number in (0, 2):
        chosen = dataclasses.replace(settings, class_label=number)
        spread = statistics(generator, CPU, number)
        found = follow(invert(Projector(generator, spread, chosen, perceptual), target))[1]
        start = map_to_w(generator, random_z(generator, 1, 0, CPU), number)
        assert torch.allclose(found.ws[:, 0], start, atol=1e-3)


def test_lbfgs_refuses_to_search_noise(run_inversion):
    with pytest.raises(GanEditError, match="L-BFGS cannot search the noise maps") as caught:
        run_inversion(optimizer="lbfgs", optimize_noise=True)
    assert caught.value.hint


def test_lbfgs_counts_evaluations_and_beats_adam_at_polishing(run_inversion):
    options = {"space": "w", "prior_weight": 0.0, "steps": 100}
    adam, lbfgs = run_inversion(**options), run_inversion(optimizer="lbfgs", **options)
    assert lbfgs.steps <= 125
    assert lbfgs.psnr > adam.psnr


def test_a_target_quality_ends_the_search_early(run_inversion):
    found = run_inversion(space="w", stop_psnr=20.0, steps=200, prior_weight=0.0)
    assert found.steps < 150
    assert found.psnr > 19


def test_a_plateau_ends_the_search_early(run_inversion):
    assert run_inversion(space="w", patience=20, steps=600, schedule="constant").steps < 500


def test_absolute_differences_make_the_median_error_smaller(run_inversion, subject):
    spoiled = subject.image.clone()
    spoiled[..., ::4, ::4] = 1
    errors = {
        norm: (run_inversion(Subject(spoiled, subject.weight), pixel_loss=norm, steps=150).image - subject.image)
        for norm in ("l1", "l2")
    }
    assert errors["l1"].abs().median() < 0.9 * errors["l2"].abs().median()


def test_the_style_loss_matches_gram_matrices(run_inversion, perceptual, subject):
    shifted = Subject(subject.image.roll(4, -1), subject.weight)
    options = {"pixel_weight": 0.0, "perceptual_weight": 1e-6, "prior_weight": 0.0}
    target = perceptual.target(shifted.image, shifted.weight, style=True)
    with_style, without = (
        perceptual.compare(run_inversion(shifted, style_weight=weight, **options).image, target)[1]
        for weight in (1.0, 0.0)
    )
    assert with_style < 0.5 * without


def test_without_a_style_weight_no_step_makes_gram_matrices(run_inversion, perceptual, monkeypatch):
    monkeypatch.setattr("gan_edit_engine.inversion.perceptual.gram", lambda *_: pytest.fail("a Gram matrix was made"))
    assert run_inversion(perceptual_weight=0.7, steps=2).steps == 2


def test_the_gaussian_prior_keeps_the_latent_likely(run_inversion, spread):
    free, held = (run_inversion(prior="gaussian", prior_weight=weight).ws for weight in (0.0, 1.0))
    assert spread.gaussian_distance(held) < 0.5 * spread.gaussian_distance(free)


@pytest.mark.parametrize(
    "config",
    [
        DCGANConfig(z_dim=8, channels=(8, 8)),
        StyleGAN2Config(z_dim=8, w_dim=8, resolution=8, channel_base=64, mapping_activation="linear"),
    ],
)
def test_where_the_mapping_ends_in_no_activation_the_latent_itself_is_nearly_gaussian(config):
    generator = generators.build(config).requires_grad_(False).eval()
    known = statistics(generator, CPU)
    assert generator.w_slope == known.w_slope == 1
    assert torch.allclose(known.p_mean, known.mean, atol=1e-6)


def test_samples_of_the_model_have_unit_distance_in_both_measures(tiny_generator, spread):
    w = map_to_w(tiny_generator, random_z(tiny_generator, 2000, 9, CPU))
    assert spread.distance(w).item() == pytest.approx(1, abs=0.05)
    assert spread.gaussian_distance(w).item() == pytest.approx(1, abs=0.2)


def test_searched_noise_is_kept_in_the_result_and_stays_noise(run_inversion, tiny_generator, monkeypatch):
    for name, strength in tiny_generator.named_parameters():
        if name.endswith("noise_strength"):
            monkeypatch.setattr(strength, "data", torch.tensor(0.3))
    options = {"optimize_noise": True, "steps": 60, "prior_weight": 0.0}
    kept = run_inversion(**options)
    assert kept.noise.keys() == set(tiny_generator.noise_names())
    assert torch.allclose(tiny_generator.synthesis(kept.ws, noise=kept.noise), kept.image)
    free = run_inversion(noise_weight=0.0, **options)
    assert noise_regularity(kept.noise.values()) < 0.5 * noise_regularity(free.noise.values())
    for noise in kept.noise.values():
        assert abs(noise.mean().item()) < 1e-5
        assert noise.square().mean().item() == pytest.approx(1, abs=1e-4)


def test_a_class_that_a_conditional_model_does_not_have_is_refused():
    torch.manual_seed(0)
    config = StyleGAN2Config(z_dim=8, w_dim=8, c_dim=3, resolution=8, channel_base=64, channel_max=8, mapping_layers=1)
    generator = generators.build(config)
    assert label(generator, 2, 1, CPU).tolist() == [[0, 1, 0], [0, 1, 0]]
    with pytest.raises(GanEditError, match="no class 3"):
        label(generator, 1, 3, CPU)


def test_the_spread_is_that_of_the_mappings_output(tiny_generator, spread):
    w = map_to_w(tiny_generator, random_z(tiny_generator, 4000, 9, CPU))
    assert torch.allclose(w.mean(0), spread.mean, atol=0.1 * spread.std)
    assert (w - spread.mean).square().mean().sqrt().item() == pytest.approx(spread.std, rel=0.05)
    assert label(tiny_generator, 2, 0, CPU) is None


@pytest.fixture(scope="module")
def projected(tiny_generator):
    ws = tiny_generator.mapping(random_z(tiny_generator, 1, seed=5, device=CPU))
    return Inversion(ws, tiny_generator.synthesis(ws), 99.0)


@pytest.fixture
def wish() -> Wish:
    """Blue on a square in the middle, everything selected."""
    painted, everywhere = torch.zeros(1, 1, 16, 16), torch.ones(1, 1, 16, 16)
    painted[..., 4:8, 4:8] = 1
    blue = torch.tensor([-0.6, -0.2, 0.8])[None, :, None, None].expand(1, 3, 16, 16)
    return Wish(blue, painted, painted, everywhere, painted)


@pytest.fixture
def run_edit(tiny_generator, spread, projected, wish):
    def run(**changes) -> Edited:
        settings = EditSettings(**{"edit_steps": 80, **changes})
        return result_of(follow_scribble(Prepared(tiny_generator, spread, settings), projected, wish))

    return run


def test_the_scribble_pulls_the_painted_pixels_to_its_colour(run_edit, projected, wish):
    def error(edited: Edited | Inversion) -> float:
        return pixel_loss(edited.image, wish.paint, wish.painted).item()

    assert error(run_edit()) < 0.5 * error(projected)
    assert error(run_edit(scribble_weight=0.0)) == pytest.approx(error(projected), rel=0.1)


def test_the_keep_term_holds_what_is_not_painted(run_edit, projected, wish):
    def unpainted_change(edited: Edited) -> float:
        return pixel_loss(edited.image, projected.image, 1 - wish.painted).item()

    free, held = (unpainted_change(run_edit(keep_weight=weight)) for weight in (0.0, 30.0))
    assert held < 0.5 * free


def test_the_edits_prior_holds_the_latent_near_the_projection(run_edit, projected, spread):
    def moved(edited: Edited) -> float:
        return latent_distance(edited.ws, projected.ws, spread.std).item()

    assert moved(run_edit(edit_prior_weight=3.0)) < 0.5 * moved(run_edit(edit_prior_weight=0.0))


def test_an_edit_goes_along_w_on_a_small_image_first_and_then_parts_the_layers(
    tiny_generator, spread, projected, wish, monkeypatch
):
    monkeypatch.setattr("gan_edit_engine.inversion.edit._MEANING_SIDE", 8)
    looks: list[Step] = []
    for steps, parted in ((8, True), (1, False)):
        looks.clear()
        settings = EditSettings(edit_steps=steps)
        edited = result_of(follow_scribble(Prepared(tiny_generator, spread, settings), projected, wish), looks.append)
        along_w = max(1, round(0.75 * steps))
        assert [look.image.shape[-1] for look in looks] == [8] * along_w + [16] * (steps - along_w)
        assert [look.taken for look in looks] == [1] * steps
        assert ((edited.ws - projected.ws).std(dim=1).max() > 1e-3) == parted
        assert torch.allclose(edited.image, tiny_generator.synthesis(edited.ws))


def test_editing_leaves_the_projection_as_it_was(run_edit, projected):
    before = dataclasses.replace(projected, ws=projected.ws.clone())
    run_edit()
    assert torch.equal(projected.ws, before.ws)
