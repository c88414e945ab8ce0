"""Ways between latents, their images, and the files that show them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from gan_edit_engine.animation import check_animation, write_animation
from gan_edit_engine.arrays import from_message, to_message
from gan_edit_engine.interpolate import combine, crossover, path, spherical, transfer_expression
from gan_edit_engine.perform import perform
from gan_edit_engine.workspace import Workspace
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.messages import FramesReady, InterpolateRequest
from gan_edit_protocol.settings import InterpolateSettings

LATENTS = torch.tensor([[[0.0, 0.0]], [[3.0, 0.0]], [[3.0, 6.0]]])


def test_a_way_starts_and_ends_at_its_latents_and_passes_those_between():
    way = path(LATENTS, 7, loop=False)
    assert torch.equal(way[0], LATENTS[0])
    assert torch.equal(way[3], LATENTS[1])
    assert torch.equal(way[6], LATENTS[2])
    assert torch.allclose(way[5], torch.tensor([[3.0, 4.0]]))


def test_a_loop_comes_back_without_showing_its_first_image_twice():
    way = path(LATENTS, 6, loop=True)
    assert torch.equal(way[0], LATENTS[0])
    assert torch.allclose(way[5], torch.tensor([[1.5, 3.0]]))


def test_the_spherical_way_keeps_the_length_that_the_straight_one_loses():
    a, b = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    assert spherical(a, b, 0.5).norm().item() == pytest.approx(1)
    assert torch.lerp(a, b, 0.5).norm().item() == pytest.approx(0.5**0.5)
    assert torch.equal(spherical(a, a, 0.3), a)


def test_a_crossover_takes_early_layers_from_one_and_late_ones_from_the_other():
    a, b = torch.zeros(4, 2), torch.ones(4, 2)
    assert crossover(a, b, 1)[:, 0].tolist() == [0, 1, 1, 1]
    with pytest.raises(GanEditError, match="no layer 5"):
        crossover(a, b, 5)


def test_a_transfer_adds_what_the_third_has_over_the_second():
    w1, w2, w3 = LATENTS
    assert torch.equal(transfer_expression(w1, w2, w3, 0.5), torch.tensor([[0.0, 3.0]]))


@pytest.mark.parametrize(("mode", "count"), [("linear", 1), ("crossover", 1), ("transfer", 2)])
def test_too_few_latents_are_refused_in_plain_words(mode, count):
    with pytest.raises(GanEditError, match=f"needs {count + 1} latents, {count} came"):
        combine(LATENTS[:count], InterpolateSettings(mode=mode))


@pytest.fixture(scope="module")
def workspace() -> Workspace:
    return Workspace(torch.device("cpu"))


def frames_of(workspace, latents, **settings) -> FramesReady:
    request = InterpolateRequest(to_message(latents), settings=InterpolateSettings(**settings))
    *progress, result = perform(request, workspace)
    assert [p.step for p in progress] == list(range(1, len(progress) + 1))
    return result


def test_the_images_change_smoothly_from_one_latent_to_the_other(workspace):
    z = np.random.default_rng(1).standard_normal((2, 512)).astype(np.float32)
    result = frames_of(workspace, z, mode="spherical", frames=8)
    frames = from_message(result.frames).astype(float)
    assert frames.shape == (8, 64, 64, 3)
    ways = np.abs(np.diff(frames, axis=0)).mean((1, 2, 3))
    assert ways.max() < np.abs(frames[0] - frames[-1]).mean()
    again = frames_of(workspace, from_message(result.latents)[[0, -1]], frames=2)
    assert np.array_equal(from_message(again.frames), from_message(result.frames)[[0, -1]])


def test_latents_of_another_model_are_refused(workspace):
    with pytest.raises(GanEditError, match="do not fit cats64"):
        frames_of(workspace, np.zeros((2, 3, 512), np.float32))


@pytest.fixture
def frames() -> np.ndarray:
    ramp = np.linspace(0, 200, 5).astype(np.uint8)[:, None, None, None]
    return np.broadcast_to(ramp, (5, 16, 16, 3)).copy()


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_an_animation_has_all_its_frames_at_its_rate_and_goes_on_for_ever(tmp_path, frames, suffix):
    write_animation(tmp_path / f"a{suffix}", frames, rate=10)
    with Image.open(tmp_path / f"a{suffix}") as image:
        assert image.n_frames == 5
        assert image.info["loop"] == 0
        image.seek(4)
        assert abs(np.asarray(image.convert("RGB")).mean() - 200) < 4
        assert image.info["duration"] == 100


def test_an_mp4_can_be_played(tmp_path, frames):
    write_animation(tmp_path / "a.mp4", frames, rate=10)
    video = cv2.VideoCapture(str(tmp_path / "a.mp4"))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 5
    assert video.get(cv2.CAP_PROP_FPS) == 10
    assert abs(video.read()[1].mean()) < 6


def test_a_strip_shows_the_frames_side_by_side(tmp_path, frames):
    write_animation(tmp_path / "a.png", frames, rate=10)
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (80, 16)


def test_an_unknown_kind_of_animation_is_refused_before_any_work(tmp_path):
    with pytest.raises(GanEditError, match="no kind of animation"):
        check_animation(tmp_path / "a.avi")
    with pytest.raises(GanEditError, match="no folder"):
        check_animation(Path("/nonesuch/a.gif"))
