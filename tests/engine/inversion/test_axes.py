"""The axes along which a search moves."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from torch import Tensor

from gan_edit_engine.generators import Generator
from gan_edit_engine.inversion.axes import PROBES, Axes, find_axes, search_coordinates
from gan_edit_engine.inversion.edit import Wish, follow_scribble
from gan_edit_engine.inversion.invert import invert
from gan_edit_engine.inversion.latents import Statistics, map_to_w, random_z, statistics
from gan_edit_engine.inversion.optimize import result_of
from gan_edit_engine.inversion.prepared import Prepared, Projector
from gan_edit_engine.inversion.subject import Inversion, Subject, psnr
from gan_edit_engine.worker.workspace import Workspace
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.settings import EditSettings, ProjectSettings

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def spread(tiny_generator) -> Statistics:
    """The tiny generator's statistics with its axes."""
    found = statistics(tiny_generator, CPU)
    w = map_to_w(tiny_generator, random_z(tiny_generator, PROBES, 0, CPU))
    return dataclasses.replace(found, axes=result_of(find_axes(tiny_generator, w, found.mean)))


def test_axes_are_orthonormal_in_w_and_in_each_layer(spread, tiny_generator):
    assert spread.axes.w.axes.shape == (1, 32, 32)
    assert spread.axes.w_plus.axes.shape == (tiny_generator.num_ws, 32, 32)
    for frame in (spread.axes.w, spread.axes.w_plus):
        assert torch.allclose(frame.axes.mT @ frame.axes, torch.eye(32).expand_as(frame.axes), atol=1e-5)


def change(generator: Generator, start: Tensor, number: int, axes: Axes, optimizer: str) -> float:
    """Of the image, a short way along axis ``number`` of each layer, in the mean of the layers."""
    changes = []
    for layer in range(generator.num_ws):
        coordinates, latent = search_coordinates(start, axes, optimizer)
        with torch.no_grad():
            coordinates[0, layer, number] = 0.01
            changes.append((generator.synthesis(latent()) - generator.synthesis(start)).norm())
    return torch.stack(changes).mean().item()


def test_the_first_axes_change_the_image_most(spread, tiny_generator):
    here = spread.mean.expand(1, tiny_generator.num_ws, -1)
    first, middle, last = (change(tiny_generator, here, number, spread.axes, "adam") for number in (0, 15, 31))
    assert first > 3 * middle > 0
    assert first > 10 * last


def test_for_lbfgs_all_axes_change_the_image_more_alike(spread, tiny_generator):
    here = spread.mean.expand(1, tiny_generator.num_ws, -1)
    ratios = [
        change(tiny_generator, here, 0, spread.axes, optimizer)
        / change(tiny_generator, here, 15, spread.axes, optimizer)
        for optimizer in ("adam", "lbfgs")
    ]
    assert ratios[1] < 0.5 * ratios[0]
    for frame in (spread.axes.w, spread.axes.w_plus):
        assert frame.reach.min() == pytest.approx(1)
        assert (frame.reach.diff(dim=1) >= -1e-4).all()


def test_a_broken_model_has_axes_and_its_search_says_what_is_wrong(tiny_generator, perceptual):
    broken = copy.deepcopy(tiny_generator)
    broken.synthesis.b16.conv1.weight.fill_(torch.nan)
    found = statistics(broken, CPU)
    w = map_to_w(broken, random_z(broken, PROBES, 0, CPU))
    axes = result_of(find_axes(broken, w, found.mean))
    for frame in (axes.w, axes.w_plus):
        assert torch.isfinite(frame.axes).all()
        assert torch.isfinite(frame.reach).all()
    subject = Subject(torch.zeros(1, 3, 16, 16), torch.ones(1, 1, 16, 16))
    settings = ProjectSettings(steps=2, perceptual_weight=0.0)
    search = invert(Projector(broken, dataclasses.replace(found, axes=axes), settings, perceptual), subject)
    with pytest.raises(GanEditError, match="ran away"):
        result_of(search)


@pytest.fixture(scope="module")
def default() -> tuple[Generator, Statistics, Subject]:
    """The default model with its axes, and an image of two of its latents that no search begins at."""
    known = result_of(Workspace(CPU).explore("default", ProjectSettings()))
    generator = known.generator
    w = map_to_w(generator, random_z(generator, 2, 99, CPU))
    with torch.no_grad():
        image = generator.synthesis(w.repeat_interleave(generator.num_ws // 2, dim=0)[None])
    return generator, known.statistics, Subject(image, torch.ones_like(image[:, :1]))


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_search_along_the_axes_comes_closer(default, perceptual, optimizer):
    generator, spread, subject = default

    def closeness(axes: str) -> float:
        settings = ProjectSettings(steps=25, perceptual_weight=0.0, axes=axes, optimizer=optimizer)
        return result_of(invert(Projector(generator, spread, settings, perceptual), subject)).psnr

    assert closeness("image") > closeness("own") + 0.5


def test_an_edit_along_the_axes_follows_the_scribble_closer(default, monkeypatch):
    # Axes are for the steps in W+: all but one here.
    monkeypatch.setattr("gan_edit_engine.inversion.edit._MEANING_SHARE", 0)
    generator, spread, subject = default
    start = spread.mean.expand(1, generator.num_ws, -1)
    projected = Inversion(start, generator.synthesis(start), 0.0)

    def closeness(axes: str) -> float:
        settings = EditSettings(edit_steps=25, axes=axes)
        everywhere = subject.weight
        wish = Wish(subject.image, everywhere, everywhere, everywhere, everywhere)
        edited = result_of(follow_scribble(Prepared(generator, spread, settings), projected, wish))
        return psnr(edited.image, subject)

    assert closeness("image") > closeness("own") + 0.5


@pytest.mark.parametrize("other", [{"axes": "own"}, {"axes": "own", "optimizer": "lbfgs"}, {"space": "z"}])
def test_axes_that_are_not_wanted_change_nothing(spread, tiny_generator, perceptual, other):
    settings = ProjectSettings(**{"steps": 10, "perceptual_weight": 0.0, **other})
    subject = Subject(torch.zeros(1, 3, 16, 16), torch.ones(1, 1, 16, 16))
    known, unknown = (
        result_of(invert(Projector(tiny_generator, s, settings, perceptual), subject))
        for s in (spread, dataclasses.replace(spread, axes=None))
    )
    assert torch.equal(known.ws, unknown.ws)


def test_a_workspace_finds_the_axes_of_a_model_once(tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_EDIT_CACHE_DIR", str(tmp_path))
    workspace = Workspace(CPU)
    looks = [
        [step.taken for step in workspace.explore("default", settings)]
        for settings in (ProjectSettings(axes="own"), ProjectSettings(), ProjectSettings(seed=3))
    ]
    assert looks == [[], [1] * PROBES, []]
    assert workspace.model("default")[1].axes is not None
