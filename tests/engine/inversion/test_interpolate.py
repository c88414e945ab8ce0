"""Ways between latents, their images, and the files that show them."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from default_size import LAYERS, SIDE
from gan_edit_engine.imaging.animation import check_animation, honoured_rate, write_animation
from gan_edit_engine.imaging.arrays import from_message, to_message
from gan_edit_engine.inversion.interpolate import check_count, combine, crossover, path, spherical, transfer_expression
from gan_edit_engine.inversion.latents import random_z, statistics
from gan_edit_engine.inversion.optimize import result_of
from gan_edit_engine.inversion.style import transfer_style
from gan_edit_engine.worker.perform import perform
from gan_edit_engine.worker.workspace import Workspace
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.events import FramesReady
from gan_edit_protocol.requests import InterpolateRequest, RandomRequest
from gan_edit_protocol.settings import InterpolateSettings, RandomSettings

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


@pytest.mark.parametrize(("mode", "count"), [("crossover", 2), ("transfer", 3), ("style", 2)])
def test_more_latents_than_a_mode_knows_are_refused_instead_of_left_out(mode, count):
    with pytest.raises(GanEditError, match=f"takes {count} latents, 4 came"):
        check_count(torch.zeros(4, 1, 2), InterpolateSettings(mode=mode))


def test_style_transfer_takes_on_the_textures_and_keeps_the_picture(tiny_generator, perceptual):
    spread = statistics(tiny_generator, torch.device("cpu"))
    latents = content, style = tiny_generator.mapping(random_z(tiny_generator, 2, 5, torch.device("cpu")))
    everywhere = torch.ones(1, 1, 16, 16)
    shown = perceptual.target(tiny_generator.synthesis(content[None]), everywhere)
    styled = perceptual.target(tiny_generator.synthesis(style[None]), everywhere, style=True)

    def distances(weight: float) -> tuple[float, float]:
        settings = InterpolateSettings(mode="style", style_weight=weight, steps=40)
        steps = transfer_style(tiny_generator, spread, perceptual, latents, settings)
        image = tiny_generator.synthesis(result_of(steps)[None])
        return perceptual.loss(image, shown).item(), perceptual.compare(image, styled)[1].item()

    (kept, before), (changed, after) = distances(0.0), distances(5.0)
    assert after < 0.5 * before
    assert kept < 1e-4
    assert changed < perceptual.loss(tiny_generator.synthesis(style[None]), shown).item()


@pytest.fixture(scope="module")
def workspace() -> Workspace:
    return Workspace(torch.device("cpu"))


def frames_of(workspace, latents, psis=None, **settings) -> FramesReady:
    truncations = None if psis is None else to_message(np.array(psis, np.float32))
    request = InterpolateRequest(to_message(latents), truncations, settings=InterpolateSettings(**settings))
    *progress, result = perform(request, workspace)
    assert [p.step for p in progress] == list(range(1, len(progress) + 1))
    return result


def test_the_images_change_smoothly_from_one_latent_to_the_other(workspace):
    z = np.random.default_rng(1).standard_normal((2, 512)).astype(np.float32)
    result = frames_of(workspace, z, mode="spherical", frames=8)
    frames = from_message(result.frames).astype(float)
    assert frames.shape == (8, SIDE, SIDE, 3)
    ways = np.abs(np.diff(frames, axis=0)).mean((1, 2, 3))
    assert ways.max() < np.abs(frames[0] - frames[-1]).mean()
    again = frames_of(workspace, from_message(result.latents)[[0, -1]], frames=2)
    assert np.array_equal(from_message(again.frames), from_message(result.frames)[[0, -1]])


def test_the_way_on_the_sphere_ends_in_the_random_images_themselves(workspace):
    drawn = [
        list(perform(RandomRequest(settings=RandomSettings(seed=seed, truncation_psi=psi)), workspace))[-1]
        for seed, psi in ((1, 0.5), (2, 0.8))
    ]
    zs = np.stack([from_message(each.latent.z) for each in drawn])
    frames = from_message(frames_of(workspace, zs, (0.5, 0.8), mode="spherical", frames=3).frames)
    for frame, each in zip(frames[[0, -1]], drawn, strict=True):
        assert np.abs(frame.astype(int) - from_message(each.image)).max() <= 1
    assert (frames[1] != from_message(frames_of(workspace, zs, mode="spherical", frames=3).frames)[1]).any()


def test_latents_in_w_plus_are_refused_for_the_way_on_the_sphere(workspace):
    with pytest.raises(GanEditError, match="goes through z") as caught:
        frames_of(workspace, np.zeros((2, LAYERS, 512), np.float32), mode="spherical")
    assert "linear" in caught.value.hint


def test_style_transfer_reports_its_steps_and_gives_one_image(workspace):
    latents = np.random.default_rng(1).standard_normal((2, LAYERS, 512)).astype(np.float32)
    result = frames_of(workspace, latents, mode="style", steps=2)
    assert result.frames.shape == (1, SIDE, SIDE, 3)
    assert not np.allclose(from_message(result.latents)[0], latents[0])


def test_values_that_are_no_numbers_are_refused(workspace):
    with pytest.raises(GanEditError, match="no numbers"):
        frames_of(workspace, np.full((2, LAYERS, 512), np.nan, np.float32))


def test_latents_of_another_model_are_refused(workspace):
    with pytest.raises(GanEditError, match="do not fit cats256"):
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


@pytest.mark.parametrize(("suffix", "unit", "shortest"), [(".gif", 10, 20), (".webp", 1, 11)])
@pytest.mark.parametrize("rate", [0.5, 7, 12, 24, 30, 40, 60, 99, 120])
def test_viewers_honour_every_delay_and_the_whole_is_as_long_as_asked_for(tmp_path, suffix, unit, shortest, rate):
    path = tmp_path / f"a{suffix}"
    colours = np.random.default_rng(1).integers(0, 256, (30, 8, 8, 3), dtype=np.uint8)
    write_animation(path, colours, rate)
    delays = []
    with Image.open(path) as image:
        for number in range(image.n_frames):
            image.seek(number)
            image.load()
            delays.append(image.info["duration"])
    assert len(delays) == 30
    assert min(delays) >= shortest
    assert max(delays) - min(delays) <= unit
    assert sum(delays) == pytest.approx(30_000 / honoured_rate(path, rate), abs=unit)
    assert honoured_rate(path, rate) == min(rate, 1000 / shortest)


def boxes(content: bytes) -> list[bytes]:
    """The kinds of an MP4's boxes in order (ISO/IEC 14496-12, 4.2)."""
    kinds, position = [], 0
    while position < len(content):
        size, kind = struct.unpack_from(">I4s", content, position)
        kinds.append(kind)
        position += size
    assert position == len(content)
    return kinds


def test_an_mp4_is_such_as_browsers_play(tmp_path, frames):
    """H.264 (RFC 6381: avc1) of 4:2:0, with its index before the pictures."""
    write_animation(tmp_path / "a.mp4", frames, rate=10)
    content = (tmp_path / "a.mp4").read_bytes()
    kinds = boxes(content)
    assert kinds.index(b"moov") < kinds.index(b"mdat")
    entry = content.index(b"avcC")
    assert b"avc1" in content[:entry]
    assert content[entry + 5] in (66, 77, 100)  # baseline, main, high: none of them has 4:4:4
    video = cv2.VideoCapture(str(tmp_path / "a.mp4"))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 5
    assert video.get(cv2.CAP_PROP_FPS) == 10
    assert abs(video.read()[1].mean()) < 6


@pytest.mark.parametrize("size", [(16, 16), (128, 64)])
def test_an_mp4_has_the_frames_colours(tmp_path, size):
    colour = (200, 60, 30)
    write_animation(tmp_path / "a.mp4", np.full((3, *size, 3), colour, np.uint8), rate=7.5)
    video = cv2.VideoCapture(str(tmp_path / "a.mp4"))
    assert np.abs(video.read()[1][5, 5, ::-1].astype(int) - colour).max() <= 4
    video.release()


@pytest.mark.parametrize("program", ["/nonesuch/ffmpeg", "false"])
def test_an_mp4_that_cannot_be_made_here_is_told_and_leaves_the_old_one(tmp_path, frames, monkeypatch, program):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", program)
    (tmp_path / "a.mp4").write_bytes(b"old")
    with pytest.raises(GanEditError, match=r"a\.mp4 cannot be written as MP4 here\. Use \.gif"):
        write_animation(tmp_path / "a.mp4", frames, rate=10)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_a_strip_shows_the_frames_side_by_side(tmp_path, frames):
    write_animation(tmp_path / "a.png", frames, rate=10)
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (80, 16)


def test_an_unknown_kind_of_animation_is_refused_before_any_work(tmp_path):
    with pytest.raises(GanEditError, match="no kind of animation"):
        check_animation(tmp_path / "a.avi")
    with pytest.raises(GanEditError, match="no folder"):
        check_animation(Path("/nonesuch/a.gif"))
