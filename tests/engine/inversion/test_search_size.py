"""Large models are searched on small images; what is given is drawn whole, and a whole image is seldom drawn."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from small_generators import small_dcgan, small_stylegan2, small_stylegan3
from torch import Tensor, nn

from gan_edit_engine.checkpoints import safetensors_file
from gan_edit_engine.generators.stylegan2 import StyleGAN2
from gan_edit_engine.inversion import edit, search_size
from gan_edit_engine.inversion.coarse_to_fine import coarse_to_fine
from gan_edit_engine.inversion.edit import Wish, follow_scribble
from gan_edit_engine.inversion.invert import invert
from gan_edit_engine.inversion.latents import random_z, statistics
from gan_edit_engine.inversion.losses import area_averaged
from gan_edit_engine.inversion.optimize import result_of
from gan_edit_engine.inversion.perceptual import Perceptual
from gan_edit_engine.inversion.prepared import Prepared, Projector
from gan_edit_engine.inversion.search_size import (
    LARGE,
    SMALL,
    affordable,
    lacking,
    looks_at,
    projection_sides,
    search_side,
)
from gan_edit_engine.inversion.start import FromLatent
from gan_edit_engine.inversion.style import transfer_style
from gan_edit_engine.inversion.subject import PLAINLY, Drawing, Inversion, Subject, psnr, synthesise
from gan_edit_engine.worker.workspace import Workspace
from gan_edit_protocol.settings import EditSettings, InterpolateSettings, ProjectSettings

CPU = torch.device("cpu")
WHOLE, FINE, SEARCHED, TINY = 128, 64, 32, 16
SEEN = 8  # layers of an image of 32 pixels
Draws = list[bool]


@pytest.fixture(autouse=True)
def _small_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """128 pixels are large here, and the sizes of a search as much smaller."""
    for name, value in {"SMALL": SEARCHED, "LARGE": WHOLE, "_TINY": TINY}.items():
        monkeypatch.setattr(search_size, name, value)
    monkeypatch.setattr(edit, "_MEANING_SIDE", TINY)


@pytest.fixture
def large() -> StyleGAN2:
    return small_stylegan2(resolution=WHOLE, channel_base=1024)


class Pixels(nn.Module):
    def forward(self, image: Tensor) -> list[Tensor]:
        return [image]


@pytest.fixture
def judge() -> Perceptual:
    """Sees the pixels as they are, of images of any size."""
    return Perceptual("pixels", Pixels(), least_side=TINY)


@pytest.fixture
def subject(large: StyleGAN2) -> Subject:
    return Subject(large(random_z(large, 1, 5, CPU)).clamp(-1, 1), torch.ones(1, 1, WHOLE, WHOLE))


@pytest.fixture
def draws(large: StyleGAN2, monkeypatch: pytest.MonkeyPatch) -> Draws:
    """Of the last block: one entry each time, whether a gradient was wanted."""
    seen: Draws = []
    features = large.synthesis.b128.features

    def counted(x: Tensor, *others: object) -> Tensor:
        seen.append(torch.is_grad_enabled() and x.requires_grad)
        return features(x, *others)

    monkeypatch.setattr(large.synthesis.b128, "features", counted)
    return seen


def found(
    generator: StyleGAN2, judge: Perceptual, subject: Subject, given: Inversion | None = None, **settings: object
):
    chosen = ProjectSettings(**{"steps": 20, "perceptual_side": FINE, "precision": "float32", **settings})
    projector = Projector(generator, statistics(generator, CPU), chosen, judge)
    return result_of(invert(projector, subject, FromLatent(given) if given else None))


@pytest.mark.parametrize("steps", [20, 60])
def test_a_projection_draws_a_fixed_number_of_whole_images_and_no_gradient_through_one(
    large, judge, subject, draws, steps
):
    inversion = found(large, judge, subject, steps=steps)
    assert inversion.image.shape == (1, 3, WHOLE, WHOLE)
    assert torch.equal(inversion.image, large.synthesis(inversion.ws))
    # What small images lack where W+ begins and where they are to be seen finely, the result, and the line above.
    assert draws == [False] * 4


@pytest.mark.parametrize(
    "settings",
    [{"space": "w"}, {"space": "z"}, {"optimizer": "lbfgs"}, {"patience": 5}, {"start": "best", "restarts": 3}],
    ids=str,
)
def test_no_way_of_searching_draws_more_of_them(large, judge, subject, draws, settings):
    found(large, judge, subject, **settings)
    assert 2 <= len(draws) <= 3
    assert not any(draws)


def test_who_wants_the_images_seen_whole_has_them_searched_whole(large, judge, subject, draws):
    found(large, judge, subject, perceptual_side=WHOLE)
    assert sum(draws) == 8  # of 20 steps those that are fine


def test_a_discriminator_takes_whole_images_only(large):
    picky = Perceptual("discriminator", Pixels(), least_side=10_000)
    sides = projection_sides(large, picky, ProjectSettings())
    assert {side for _, side in sides.stages} == {WHOLE}


def test_the_image_of_the_projection_is_near_the_subject(large, judge, subject):
    start, end = (found(large, judge, subject, steps=steps, perceptual_weight=0.0) for steps in (1, 100))
    assert psnr(end.image, subject) > psnr(start.image, subject) + 3


def test_layers_that_do_not_show_stay_where_they_were(large, judge, subject):
    kept = found(large, judge, subject, coarse_fraction=1.0).ws[0]
    assert torch.equal(kept[SEEN:], kept[SEEN : SEEN + 1].expand_as(kept[SEEN:])), "where the search in W left them"
    assert (kept[:SEEN].std(0) > 0).all()
    given = Inversion(large.mapping(random_z(large, 1, 1, CPU)) + torch.randn(1, large.num_ws, 8) / 9, subject.image, 0)
    searched = found(large, judge, subject, given, coarse_fraction=1.0).ws
    moved = (searched != given.ws).any(-1)[0]
    assert moved.tolist() == [True] * SEEN + [False] * (large.num_ws - SEEN)


def test_noise_that_does_not_show_stays_as_it_was(large, judge, subject):
    options = {"optimize_noise": True, "coarse_fraction": 1.0, "noise_weight": 1.0}
    few, many = (found(large, judge, subject, steps=steps, **options).noise for steps in (5, 20))
    same = {name: torch.allclose(few[name], many[name]) for name in few}
    assert same == {name: int(name.removeprefix("b").split(".")[0]) > SEARCHED for name in few}


def test_an_edit_draws_one_whole_image(large, subject, draws):
    ws = large.mapping(random_z(large, 1, 5, CPU))
    projected = Inversion(ws, large.synthesis(ws), 0.0)
    painted = torch.zeros_like(subject.weight)
    painted[..., 20:60, 20:60] = 1
    wish = Wish(-torch.ones_like(subject.image), painted, painted, torch.ones_like(painted), painted)
    draws.clear()
    prepared = Prepared(large, statistics(large, CPU), EditSettings(edit_steps=40, precision="float32"))
    edited = result_of(follow_scribble(prepared, projected, wish))
    assert draws == [False]
    assert torch.equal(edited.image, large.synthesis(edited.ws))
    inside = (slice(None), slice(None), slice(20, 60), slice(20, 60))
    assert edited.image[inside].mean() < projected.image[inside].mean() - 0.1


def test_a_style_is_transferred_on_small_images(large, judge, draws):
    latents = large.mapping(random_z(large, 2, 0, CPU))
    result_of(transfer_style(large, statistics(large, CPU), judge, latents, InterpolateSettings(steps=5)))
    assert draws == [False] * 2


def test_with_what_it_lacks_a_small_image_is_the_whole_one_seen_small(large):
    ws = large.mapping(random_z(large, 1, 3, CPU))
    whole = large.synthesis(ws)
    for known in (None, whole):
        missing = lacking(large, ws, PLAINLY, (TINY, SEARCHED), known)
        assert sorted(missing) == [TINY, SEARCHED]
        for side in missing:
            small = synthesise(large, ws, Drawing(side=side, lacking=missing))
            assert torch.allclose(small, area_averaged(whole, side, side), atol=1e-5)
            assert not torch.allclose(large.small_image(ws, side), small, atol=0.1)


def test_layers_that_a_small_image_does_not_depend_on(large):
    ws = large.mapping(random_z(large, 1, 3, CPU))
    for side in (4, 8, 32, 128):
        shown = []
        for layer in range(large.num_ws):
            changed = ws.clone()
            changed[:, layer] += 1
            shown.append(not torch.equal(large.small_image(changed, side), large.small_image(ws, side)))
        assert shown == [layer < large.seen_ws(side) for layer in range(large.num_ws)]


def test_images_on_the_way_are_the_small_ones_and_last_the_whole(large):
    ws = large.mapping(random_z(large, 2, 3, CPU))
    images = {image.shape[-1]: image for image in large.images(ws)}
    assert [*images] == [4, 8, 16, 32, 64, 128]
    assert all(torch.equal(image, large.small_image(ws, side)) for side, image in images.items())
    for other in (small_stylegan2(architecture="resnet"), small_stylegan3(), small_dcgan()):
        ws = other.mapping(random_z(other, 1, 0, CPU))
        (image,) = other.images(ws)
        assert torch.equal(image, other.synthesis(ws))


@pytest.mark.parametrize(
    "make",
    [
        lambda: small_stylegan2(resolution=SEARCHED),
        lambda: small_stylegan2(resolution=8),
        lambda: small_stylegan2(resolution=WHOLE, channel_base=1024, architecture="orig"),
        lambda: small_stylegan2(resolution=WHOLE, channel_base=1024, architecture="resnet"),
        small_stylegan3,
        small_dcgan,
    ],
)
@pytest.mark.parametrize("settings", [ProjectSettings(), EditSettings(), ProjectSettings(patience=3)])
def test_all_others_are_searched_whole(make, judge, settings):
    generator = make()
    sides = projection_sides(generator, judge, settings)
    assert {sides.at(share / 10) for share in range(11)} == {generator.resolution} == {search_side(generator)}


def test_sides_follow_the_perceptual_networks(large, judge):
    fine = ProjectSettings(perceptual_side=FINE)
    assert [projection_sides(large, judge, fine).at(share) for share in (0, 0.5, 0.55, 0.6, 1)] == [16, 16, 32, 64, 64]
    both = EditSettings(perceptual_side=FINE)
    assert [projection_sides(large, judge, both).at(share) for share in (0, 0.8, 0.9, 1)] == [16, 16, 32, 32]


@pytest.mark.parametrize("settings", [ProjectSettings(), EditSettings(), ProjectSettings(patience=3)], ids=str)
def test_a_model_of_twice_the_usual_side_is_by_default_drawn_and_seen_as_small(settings, monkeypatch):
    for name, value in {"SMALL": SMALL, "LARGE": LARGE, "_TINY": SMALL // 2}.items():
        monkeypatch.setattr(search_size, name, value)
    judge = Perceptual("pixels", Pixels(), least_side=SMALL // 2)
    searches = []
    for side in (SMALL, 2 * SMALL):
        generator = small_stylegan2(resolution=side, channel_base=256)
        image = torch.zeros(1, 3, side, side)
        sides = projection_sides(generator, judge, settings)
        seen = coarse_to_fine(judge, Subject(image, torch.ones_like(image[:, :1])), settings, sides.at(1.0))
        searches.append((sides, seen.coarse.side, seen.fine.side, seen.coarse_until))
    assert searches[0] == searches[1]
    assert {side for _, side in searches[0][0].stages} == {SMALL}


@pytest.mark.parametrize("make", [small_stylegan3, lambda: small_stylegan2(architecture="resnet")])
def test_a_large_model_without_small_images_is_searched_in_fewer_steps(make: Callable, monkeypatch):
    settings = EditSettings()
    monkeypatch.setattr(search_size, "LARGE", 32)
    assert affordable(make(), settings) == settings
    monkeypatch.setattr(search_size, "LARGE", 16)
    monkeypatch.setattr(search_size, "SMALL", 8)
    fewer = affordable(make(), settings)
    assert (fewer.steps, fewer.edit_steps) == (settings.steps // 3, settings.edit_steps // 3)
    asked_for = EditSettings(steps=77, edit_steps=55)
    assert affordable(make(), asked_for) == asked_for
    assert affordable(small_stylegan2(), settings) == settings


def test_a_large_model_is_explored_by_fewer_looks_at_small_images(large, tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_EDIT_CACHE_DIR", str(tmp_path / "cache"))
    file = tmp_path / "large.safetensors"
    safetensors_file.write(file, large, {})
    workspace, looks = Workspace(CPU), []
    expected = workspace.looks(str(file), EditSettings())
    known = result_of(workspace.explore(str(file), EditSettings()), looks.append).statistics
    assert len(looks) == expected == looks_at(large, 32) + looks_at(large, 16) == 12
    assert {step.image.shape[-1] for step in looks} == {TINY, large.w_dim}
    assert torch.isfinite(known.axes.w_plus.axes).all()
    assert Workspace(CPU).looks(str(file), EditSettings()) == 0


def test_what_does_not_count_is_not_in_a_smaller_subject():
    image = torch.zeros(1, 3, 8, 8)
    image[..., :3] = 1
    weight = torch.ones(1, 1, 8, 8)
    weight[..., :3] = 0
    small = Subject(image, weight, weight).at(4)
    assert small.image[0, 0, 0].tolist() == [1, 0, 0, 0]
    assert small.weight[0, 0, 0].tolist() == [0, 0.5, 1, 1]
    assert torch.equal(small.selection, small.weight)
