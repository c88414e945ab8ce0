"""Training: what is drawn when, what the parts compute, and that a killed run goes on as if nothing had happened."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_edit_engine.checkpoints import safetensors_file
from gan_edit_engine.checkpoints.safetensors_file import read_tensors
from gan_edit_engine.generators.discriminator import DiscriminatorConfig
from gan_edit_engine.generators.layers import upsample
from gan_edit_engine.generators.stylegan2 import StyleGAN2Config
from gan_edit_engine.networks.lpips import Lpips
from gan_edit_engine.networks.vgg import convolutions
from gan_edit_engine.training.augment import blur, colour, cutout, diff_augment, shaken, translate
from gan_edit_engine.training.detail import DetailTrainer
from gan_edit_engine.training.discriminators import DetailDiscriminator, ProjectedDiscriminator, StyleGAN2Discriminator
from gan_edit_engine.training.evaluation import diversity
from gan_edit_engine.training.frechet import Moments, frechet_distance, moments
from gan_edit_engine.training.photos import PhotoSource, draw_photos, load_photos, read_names
from gan_edit_engine.training.settings import TrainingSettings
from gan_edit_engine.training.start import grown, new_generator, set_w_avg
from gan_edit_engine.training.trainer import Trainer
from gan_edit_protocol.errors import GanEditError, SettingError
from train_generator import read_trained

REPOSITORY = Path(__file__).resolve().parents[3]
TINY = StyleGAN2Config(z_dim=8, w_dim=8, resolution=16, channel_base=64, channel_max=8, mapping_layers=1)


def write_photos(folder: Path, sizes: list[tuple[int, int]]) -> Path:
    """Photos 000.png, 001.png, ... of smooth random colours."""
    rng = np.random.default_rng(0)
    for i, (width, height) in enumerate(sizes):
        coarse = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        coarse.resize((width, height), Image.Resampling.BICUBIC).save(folder / f"{i:03d}.png")
    return folder


def tiny_trainer(**changes: object) -> Trainer:
    torch.manual_seed(0)
    photos = torch.randint(0, 256, (10, 3, 16, 16)).to(torch.uint8)
    settings = TrainingSettings(resolution=16, batch=4, **changes)
    return Trainer(settings, new_generator(TINY, seed=0), ProjectedDiscriminator(width=8, hidden=8), photos)


def test_photos_are_squared_at_their_centre_and_small_ones_left_out(tmp_path: Path) -> None:
    stripes = np.zeros((32, 64, 3), dtype=np.uint8)
    stripes[:, 16:48] = 255
    Image.fromarray(stripes).save(tmp_path / "wide.png")
    write_photos(tmp_path, [(15, 40)])
    photos = load_photos(PhotoSource(tmp_path), 16)
    assert photos.shape == (1, 3, 16, 16)
    assert (photos == 255).all()


def test_a_zip_file_gives_the_same_photos_as_its_folder(tmp_path: Path) -> None:
    folder = write_photos(tmp_path, [(20, 20)] * 3)
    archive = tmp_path / "photos.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in folder.glob("*.png"):
            file.write(path, path.name)
    assert torch.equal(load_photos(PhotoSource(folder), 16), load_photos(PhotoSource(archive), 16))


def test_photos_on_the_list_are_kept_out(tmp_path: Path) -> None:
    source = PhotoSource(write_photos(tmp_path, [(16, 16)] * 3))
    everything = load_photos(source, 16)
    assert torch.equal(load_photos(source, 16, ["001.png"]), everything[[0, 2]])
    with pytest.raises(SettingError, match="nowhere"):
        load_photos(source, 16, ["nowhere.png"])


def test_a_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"not an image")
    with pytest.raises(GanEditError, match=r"broken\.jpg"):
        load_photos(PhotoSource(tmp_path), 16)


def test_the_order_of_photos_depends_on_the_position_alone() -> None:
    photos = torch.arange(7, dtype=torch.uint8)[:, None, None, None]
    whole = draw_photos(photos, 0, 20, seed=3)
    parts = torch.cat([draw_photos(photos, start, count, seed=3) for start, count in ((0, 5), (5, 1), (6, 14))])
    assert torch.equal(whole, parts)
    first_pass = whole[:7].flatten()
    assert sorted(first_pass.tolist()) == sorted((photos.float() / 127.5 - 1).flatten().tolist())
    assert not torch.equal(first_pass, whole[7:14].flatten())


def test_the_evaluation_faces_are_a_hundred_different_ones() -> None:
    names = read_names(REPOSITORY / "tests" / "data" / "evaluation_faces.txt")
    assert len(names) == len(set(names)) == 100
    assert all(name.startswith("128/") for name in names)


@pytest.mark.parametrize("augmentation", [colour, translate, cutout, lambda x: blur(x, 1.5)])
def test_augmentations_keep_the_shape_and_pass_gradients(augmentation) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    images = torch.rand(4, 3, 16, 16, requires_grad=True)
    out = augmentation(images)
    assert out.shape == images.shape
    assert not torch.equal(out, images)
    out.square().sum().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0


def test_cutout_removes_at_most_a_quarter() -> None:
    torch.manual_seed(0)
    kept = cutout(torch.ones(200, 1, 16, 16)).mean(dim=(1, 2, 3))
    assert kept.min() == 0.75
    assert kept.max() < 1


def test_each_change_of_an_augmentation_happens_as_often_as_asked() -> None:
    images = torch.rand(400, 3, 16, 16) * 0.1 + 0.5
    torch.manual_seed(0)
    kept = (diff_augment(images, probability=0.5) == images).flatten(1).all(dim=1)
    assert kept.float().mean().item() == pytest.approx(0.5**3, abs=0.06)
    assert torch.equal(diff_augment(images, probability=0.0), images)
    assert not (diff_augment(images) == images).flatten(1).all(dim=1).any()


def test_shaken_photos_differ_a_little_and_each_otherwise() -> None:
    torch.manual_seed(0)
    photo = blur(torch.rand(1, 3, 32, 32) * 2 - 1, 2).expand(8, -1, -1, -1)
    seen = shaken(photo)
    changes = (seen - photo).abs().mean(dim=(1, 2, 3))
    assert ((changes > 0.005) & (changes < 0.4)).all()
    assert len({round(change, 6) for change in changes.tolist()}) == 8
    assert seen.abs().max() <= 1


def test_blur_keeps_brightness_and_a_sigma_of_zero_keeps_all() -> None:
    images = torch.rand(2, 3, 16, 16)
    assert blur(images, 0.0) is images
    torch.testing.assert_close(blur(torch.full((1, 3, 16, 16), 0.3), 2.0), torch.full((1, 3, 16, 16), 0.3))


def test_a_grown_generator_begins_with_the_image_of_the_trained_one() -> None:
    trained = new_generator(TINY, seed=1)
    z = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        small, big = trained(z, noise="none"), grown(trained, 32, seed=2)(z, noise="none")
    assert big.shape == (2, 3, 32, 32)
    torch.testing.assert_close(big, upsample(small, trained.synthesis.b16.resample_filter))


def test_a_generator_does_not_grow_to_a_lower_resolution() -> None:
    with pytest.raises(SettingError, match="cannot grow"):
        grown(new_generator(TINY, seed=1), 8, seed=2)


@pytest.mark.parametrize("change", [{"c_dim": 2}, {"image_channels": 1}])
def test_only_a_generator_of_colour_images_without_classes_is_trained_further(
    tmp_path: Path, change: dict[str, int]
) -> None:
    model = tmp_path / "other.safetensors"
    safetensors_file.write(model, new_generator(dataclasses.replace(TINY, **change), seed=1), {"name": "other"})
    with pytest.raises(SettingError, match="needs a class or draws in grey"):
        read_trained(model)


def test_the_mean_w_is_that_of_the_mapping() -> None:
    generator = new_generator(TINY, seed=1)
    set_w_avg(generator)
    with torch.no_grad():
        other = generator.mapping.to_w(torch.randn(20_000, 8)).mean(dim=0)
    torch.testing.assert_close(generator.w_avg, other, atol=0.05, rtol=0)


def test_a_step_moves_both_players_and_leaves_the_frozen_features_alone() -> None:
    trainer = tiny_trainer()
    frozen = [p.clone() for p in trainer.discriminator.mixing.parameters()]
    before = [p.clone() for p in (*trainer.generator.parameters(), *trainer.discriminator.judges.parameters())]
    metrics = trainer.step()
    assert set(metrics) >= {"loss_d", "loss_g", "real_0", "fake_3"}
    assert all(torch.equal(a, b) for a, b in zip(frozen, trainer.discriminator.mixing.parameters(), strict=True))
    after = (*trainer.generator.parameters(), *trainer.discriminator.judges.parameters())
    moved = [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
    assert sum(moved) > 0.9 * len(moved)


def test_the_rates_of_both_players_fall_to_nothing() -> None:
    trainer = tiny_trainer(rates_end=12, rate_warm_up_steps=1)
    shares = []
    for _ in range(4):
        trainer.step()
        optimizers = (trainer.generator_optimizer, trainer.discriminator_optimizer)
        rates = trainer.settings.generator_rate, trainer.settings.discriminator_rate
        shares.append([each.param_groups[0]["lr"] / rate for each, rate in zip(optimizers, rates, strict=True)])
    assert np.array(shares) == pytest.approx(np.array([[1, 1], [0.75, 0.75], [0.25, 0.25], [0, 0]]))


def test_the_generator_waits_while_the_discriminator_has_its_head_start() -> None:
    trainer = tiny_trainer(discriminator_head_start=4)
    before = trainer.generator.synthesis.b16.conv1.weight.clone()
    trainer.step()
    assert torch.equal(before, trainer.generator.synthesis.b16.conv1.weight)
    trainer.step()
    assert not torch.equal(before, trainer.generator.synthesis.b16.conv1.weight)


def test_the_discriminator_learns_to_tell_photos_from_samples() -> None:
    trainer = tiny_trainer(discriminator_head_start=10_000, rate_warm_up_steps=1, discriminator_rate=5e-3)
    losses = [trainer.step()["loss_d"] for _ in range(30)]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])


def test_the_gradient_penalty_is_the_squared_gradient_at_the_photos() -> None:
    trainer = stylegan2_trainer()
    photos = torch.randn(4, 3, 16, 16)
    inputs = photos.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(trainer.discriminator.network(inputs).sum(), inputs)
    expected = gradient.square().sum(dim=(1, 2, 3)).mean()
    torch.testing.assert_close(trainer._gradient_penalty([photos]), expected)


def test_the_stylegan2_discriminator_trains_with_the_gradient_penalty() -> None:
    trainer = stylegan2_trainer()
    before = [p.clone() for p in trainer.discriminator.parameters()]
    first, second = trainer.step(), trainer.step()
    assert first["r1"] > 0
    assert "r1" not in second, "the penalty is lazy"
    assert all(not torch.equal(a, b) for a, b in zip(before, trainer.discriminator.parameters(), strict=True))


def stylegan2_trainer() -> Trainer:
    torch.manual_seed(0)
    photos = torch.randint(0, 256, (10, 3, 16, 16)).to(torch.uint8)
    discriminator = StyleGAN2Discriminator(DiscriminatorConfig(16, channel_base=64, channel_max=8))
    settings = TrainingSettings(resolution=16, batch=4, discriminator="stylegan2", r1_weight=1.0)
    return Trainer(settings, new_generator(TINY, seed=0), discriminator, photos)


def detail_trainer(**changes: object) -> DetailTrainer:
    """A tiny generator grown to 32 px, whose new block alone learns."""
    torch.manual_seed(0)
    photos = torch.randint(0, 256, (10, 3, 32, 32)).to(torch.uint8)
    settings = TrainingSettings(resolution=32, batch=4, discriminator="detail", rate_warm_up_steps=1, **changes)
    bigger = grown(new_generator(TINY, seed=0), 32, seed=0)
    return DetailTrainer(settings, bigger, DetailDiscriminator(width=8, hidden=8), photos)


def test_only_the_new_block_learns_detail() -> None:
    trainer = detail_trainer()
    before = {name: value.clone() for name, value in trainer.generator.named_parameters()}
    trainer.step()
    trainer.step()
    # Its styles begin with biases of 1 and its noise with a strength of 0, and both move with the rest.
    for name, value in trainer.generator.named_parameters():
        assert torch.equal(value, before[name]) is not name.startswith("synthesis.b32."), name
    for name, value in trainer.average.named_parameters():
        assert torch.equal(value, before[name]) or name.startswith("synthesis.b32."), name


def test_detail_is_held_to_the_image_at_half_its_size() -> None:
    changes = {}
    for weight in (0.0, 1e4):
        trainer = detail_trainer(half_size_weight=weight)
        changes[weight] = [trainer.step()["half_size_change"] for _ in range(40)][-1]
    assert changes[1e4] < 0.8 * changes[0.0]


def test_detail_can_go_on_upon_a_generator_that_was_trained_further() -> None:
    trainer = detail_trainer()
    trainer.step()
    detail = trainer.generator.synthesis.b32.conv1.weight.clone()
    better = new_generator(TINY, seed=5)
    trainer.initialise_from(better)
    for model in (trainer.generator, trainer.average):
        assert torch.equal(model.synthesis.b16.conv1.weight, better.synthesis.b16.conv1.weight)
    assert torch.equal(trainer.generator.synthesis.b32.conv1.weight, detail)


@pytest.mark.parametrize("change", [{"channel_max": 4}, {"resolution": 32}, {"resolution": 8}])
def test_detail_does_not_go_on_upon_another_kind_of_generator(change: dict[str, int]) -> None:
    trainer = detail_trainer()
    with pytest.raises(SettingError, match="does not fit") as refusal:
        trainer.initialise_from(new_generator(dataclasses.replace(TINY, **change), seed=5))
    assert "16 px" in str(refusal.value)


def test_the_judges_of_detail_see_small_pieces() -> None:
    torch.manual_seed(0)
    discriminator = DetailDiscriminator(width=8, hidden=8).eval()
    image = torch.rand(1, 3, 256, 256) * 2 - 1
    changed = image.clone()
    changed[..., :64, :64] = 0
    for here, there in zip(*(discriminator.judge(discriminator.features(x)) for x in (image, changed)), strict=True):
        middle = here.shape[-1] // 2
        assert not torch.equal(here[..., :middle, :middle], there[..., :middle, :middle])
        torch.testing.assert_close(here[..., middle:, middle:], there[..., middle:, middle:])


def test_the_frechet_distance_of_gaussians_is_the_closed_form() -> None:
    a = Moments(np.array([0.0, 1.0]), np.diag([1.0, 4.0]))
    b = Moments(np.array([3.0, 1.0]), np.diag([4.0, 9.0]))
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, b) == pytest.approx(9 + (1 - 2) ** 2 + (2 - 3) ** 2)


def test_the_frechet_distance_sees_rotated_covariances() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 2)) * [3, 0.5]
    turned = x @ np.array([[0, 1], [-1, 0]])
    assert frechet_distance(moments(x), moments(turned)) == pytest.approx(2 * (3 - 0.5) ** 2, rel=0.05)


def train(
    folder: Path, photos: Path, init: Path, until: int, resolution: int = 16, *changes: str
) -> subprocess.Popen[bytes]:
    """scripts/train_generator.py on one thread, saving after every step."""
    command = [sys.executable, str(REPOSITORY / "scripts" / "train_generator.py"), str(folder)]
    command += ["--photos", str(photos), "--init", str(init), "--resolution", str(resolution), "--until", str(until)]
    settings = ("batch=4", "save_every=4", "report_every=4", "sample_every=1000", "model_every=40")
    for setting in (*settings, *changes):
        command += ["--set", setting]
    return subprocess.Popen([*command, "--threads", "1"])


def beginning(folder: Path, side: int, **header: str) -> tuple[Path, Path]:
    """Ten photos of ``side`` pixels and a tiny model to train further."""
    photos, model = folder / "photos", folder / "tiny.safetensors"
    photos.mkdir()
    write_photos(photos, [(side, side)] * 10)
    safetensors_file.write(model, new_generator(TINY, seed=0), {"name": "tiny", **header})
    return photos, model


def wait_for_steps(log: Path, process: subprocess.Popen[bytes], steps: int) -> None:
    deadline = time.monotonic() + 240
    while not log.exists() or len(log.read_text().splitlines()) < steps:
        assert process.poll() is None, "the training ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_a_killed_run_goes_on_bit_exactly(tmp_path: Path) -> None:
    photos, model = beginning(tmp_path, 16)
    assert train(tmp_path / "whole", photos, model, until=40).wait(300) == 0

    killed = train(tmp_path / "killed", photos, model, until=40)
    wait_for_steps(tmp_path / "killed" / "log.jsonl", killed, steps=4)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait(30) == -signal.SIGKILL
    assert train(tmp_path / "killed", photos, model, until=40).wait(300) == 0

    models = [read_tensors(tmp_path / name / "models" / "000000040.safetensors") for name in ("whole", "killed")]
    assert all(torch.equal(value, models[1][name]) for name, value in models[0].items())
    states = [torch.load(tmp_path / name / "state.pt", weights_only=True)["state"] for name in ("whole", "killed")]
    assert states[0]["steps"] == states[1]["steps"] == 10
    for part in ("generator", "discriminator"):
        for name, value in states[0][part].items():
            assert torch.equal(value, states[1][part][name]), (part, name)
    moments_of = [state["generator_optimizer"]["state"] for state in states]
    for index, entry in moments_of[0].items():
        for name, value in entry.items():
            assert torch.equal(value, moments_of[1][index][name]), (index, name)


@pytest.mark.slow
def test_a_runs_model_grows_in_a_run_of_a_higher_resolution(tmp_path: Path) -> None:
    photos, model = beginning(tmp_path, 32, images_seen="100")
    assert train(tmp_path / "small", photos, model, until=40).wait(300) == 0
    assert [file.name for file in (tmp_path / "small" / "samples").iterdir()] == ["000000040.png"], (
        "the end shows itself"
    )
    assert (
        train(tmp_path / "big", photos, tmp_path / "small" / "models" / "000000040.safetensors", 40, 32).wait(300) == 0
    )
    generator, header = safetensors_file.read(tmp_path / "big" / "models" / "000000040.safetensors")
    assert generator.resolution == 32
    assert (header["name"], header["images_seen"]) == ("tiny", "180")


@pytest.mark.slow
def test_a_run_that_adds_detail_takes_over_a_better_generator(tmp_path: Path) -> None:
    photos, model = beginning(tmp_path, 32, images_seen="100")
    better = tmp_path / "better.safetensors"
    safetensors_file.write(better, new_generator(TINY, seed=5), {"name": "tiny", "images_seen": "900"})
    run = (tmp_path / "detail", photos)
    assert train(*run, model, 40, 32, "discriminator=detail").wait(300) == 0
    assert train(*run, better, 80, 32).wait(300) == 0
    for images, small in ((40, model), (80, better)):
        generator, header = safetensors_file.read(tmp_path / "detail" / "models" / f"{images:09d}.safetensors")
        expected, found = safetensors_file.read(small)
        assert header["images_seen"] == str(int(found["images_seen"]) + images)
        assert torch.equal(generator.synthesis.b16.conv1.weight, expected.synthesis.b16.conv1.weight)
    assert generator.synthesis.b32.torgb.weight.any(), "it begins at zero"


def test_lpips_is_zero_for_equal_images_and_grows_with_noise() -> None:
    network = Lpips(random_vgg16_weights())
    torch.manual_seed(0)
    image = torch.rand(1, 3, 32, 32) * 2 - 1
    noise = torch.randn(1, 3, 32, 32)
    assert network.distance(image, image).item() == 0
    near, far = (network.distance(image, image + amount * noise).item() for amount in (0.05, 0.5))
    assert 0 < near < far


def test_diversity_does_not_pair_an_image_with_itself() -> None:
    network = Lpips(random_vgg16_weights())
    different = torch.randint(0, 256, (6, 3, 64, 64), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    assert diversity(network, different, pairs=3) > 0
    assert diversity(network, different[:1].expand(6, -1, -1, -1), pairs=3) == 0


def random_vgg16_weights() -> dict[str, torch.Tensor]:
    """Of the right shapes, scaled to keep the signal's size."""
    generator = torch.Generator().manual_seed(0)
    weights: dict[str, torch.Tensor] = {}
    channels = 3
    for name, place in convolutions("vgg16").items():
        block = int(name[4]) - 1
        out = min(64 * 2**block, 512)
        scale = (2 / (9 * channels)) ** 0.5
        weights[f"features.{place}.weight"] = torch.randn(out, channels, 3, 3, generator=generator) * scale
        weights[f"features.{place}.bias"] = torch.zeros(out)
        weights[f"lin{block}"] = torch.rand(out, generator=generator)
        channels = out
    return weights
