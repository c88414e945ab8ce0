"""The encoder: its file, its size, and that training brings its answers nearer and goes on bit-exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from gan_edit_engine.checkpoints import CheckpointError
from gan_edit_engine.checkpoints.encoder_file import load_encoder, save_encoder
from gan_edit_engine.generators.stylegan2 import StyleGAN2Config
from gan_edit_engine.inversion.perceptual import load_perceptual
from gan_edit_engine.networks.encoder import Encoder, EncoderConfig
from gan_edit_engine.training.encoder_trainer import EncoderSettings, EncoderTrainer
from gan_edit_engine.training.start import new_generator
from gan_edit_protocol.errors import SettingError

TINY = StyleGAN2Config(z_dim=8, w_dim=8, resolution=16, channel_base=64, channel_max=8, mapping_layers=1)
MEGABYTE = 1e6


def tiny_trainer(**changes: object) -> EncoderTrainer:
    generator = new_generator(TINY, seed=0).requires_grad_(False)
    torch.manual_seed(1)
    photos = torch.randint(0, 256, (10, 3, 16, 16)).to(torch.uint8)
    settings = EncoderSettings(batch=8, **changes)
    return EncoderTrainer(settings, generator, load_perceptual("efficientnet-lite0", torch.device("cpu")), photos)


def test_an_encoder_file_gives_the_same_answers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder = Encoder(EncoderConfig(num_ws=6, w_dim=8, w_std=0.5))
    torch.nn.init.normal_(encoder.to_deltas.weight, std=0.01)
    # Only what the encoder learnt is in its state, and rounded to the file's half precision here.
    encoder.load_state_dict({name: value.half() for name, value in encoder.state_dict().items()})
    save_encoder(tmp_path / "encoder.safetensors", encoder, {"model": "tiny"})
    loaded, header = load_encoder(tmp_path / "encoder.safetensors")
    photo = torch.rand(2, 3, 16, 16) * 2 - 1
    with torch.no_grad():
        assert torch.equal(loaded(photo), encoder(photo))
    assert header["model"] == "tiny"
    assert loaded(photo).shape == (2, 6, 8)


@pytest.mark.parametrize(
    "header",
    [
        {"architecture": "stylegan2"},
        {"architecture": "encoder", "num_ws": "6", "w_dim": "8"},
        {"architecture": "encoder", "num_ws": "6", "w_dim": "100000000", "w_std": "1.0"},
        {"architecture": "encoder", "num_ws": "6", "w_dim": "8", "w_std": "1.0"},
    ],
)
def test_a_file_that_holds_no_encoder_is_refused(tmp_path: Path, header: dict[str, str]) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"something": torch.zeros(1)}, path, metadata=header)
    with pytest.raises(CheckpointError, match=r"other\.safetensors"):
        load_encoder(path)


def test_an_encoder_of_an_earlier_version_is_to_be_trained_anew(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    header = {"architecture": "encoder", "num_ws": "6", "w_dim": "8", "w_std": "1.0"}
    save_file({"gather.0.weight": torch.zeros(48, 24, 3, 3), "w_avg": torch.zeros(8)}, path, metadata=header)
    with pytest.raises(CheckpointError, match=r"mine\.safetensors: .* an earlier version") as caught:
        load_encoder(path)
    assert "Train one anew" in caught.value.hint


def test_an_encoder_for_the_default_models_stays_below_eight_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "encoder.safetensors"
    save_encoder(path, Encoder(EncoderConfig(num_ws=12, w_dim=512, w_std=0.5)), {})
    assert path.stat().st_size < 8 * MEGABYTE


def test_training_brings_answers_nearer_to_the_latents_of_samples() -> None:
    trainer = tiny_trainer(pixel_weight=0.0, perceptual_weight=0.0, images=100_000)
    latent = [trainer.step()["latent"] for _ in range(30)]
    assert np.mean(latent[-5:]) < 0.9 * np.mean(latent[:5])


def test_the_perceptual_loss_may_see_smaller_images_than_the_pixel_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    trainers = tiny_trainer(), tiny_trainer(perceptual_side=8)
    for trainer in trainers:
        monkeypatch.setattr(trainer.perceptual, "_least_side", 4)
    whole, reduced = (trainer.step() for trainer in trainers)
    assert reduced["perceptual"] != whole["perceptual"]
    assert reduced["pixel"] == whole["pixel"]


def test_a_run_may_begin_with_an_earlier_encoder() -> None:
    earlier, trainer = tiny_trainer(), tiny_trainer()
    earlier.step()
    earlier.encoder.w_avg.fill_(7)
    mean = trainer.encoder.w_avg.clone()
    trainer.take_over(earlier.encoder)
    assert torch.equal(trainer.encoder.to_w.weight, earlier.encoder.to_w.weight)
    assert torch.equal(trainer.encoder.w_avg, mean), "the mean is this generator's"
    with pytest.raises(SettingError, match="another shape"):
        trainer.take_over(Encoder(EncoderConfig(num_ws=4, w_dim=8, w_std=0.5)))


def test_in_bfloat16_the_losses_are_nearly_the_same() -> None:
    whole, half = tiny_trainer(), tiny_trainer(bf16=True)
    assert half.generator.synthesis.b16.compute_dtype == torch.bfloat16
    assert half.step() == pytest.approx(whole.step(), rel=0.05, abs=1e-3)


def test_a_run_does_not_go_on_with_an_encoder_of_another_shape() -> None:
    trainer = tiny_trainer()
    state = trainer.state_dict()
    state["encoder"] = {name: value for name, value in state["encoder"].items() if not name.startswith("look.")}
    with pytest.raises(SettingError, match="earlier version") as caught:
        trainer.load_state_dict(state)
    assert "another folder" in caught.value.hint


def test_what_imagenet_has_taught_changes_more_slowly_and_both_rates_fall_to_nothing() -> None:
    trainer = tiny_trainer(rate=1e-3, look_rate=1e-5, images=16)
    before = trainer.encoder.look.stem.weight.clone()
    rates = []
    for _ in range(3):
        trainer.step()
        rates.append([group["lr"] for group in trainer.optimizer.param_groups])
    assert rates[0] == [1e-3, 1e-5]
    assert rates[2] == pytest.approx([0, 0], abs=1e-12)
    assert 0 < (trainer.encoder.look.stem.weight - before).abs().max() < 1e-4
    assert not trainer.encoder.frozen.stem.weight.requires_grad


def test_an_encoder_run_goes_on_bit_exactly(tmp_path: Path) -> None:
    whole = tiny_trainer()
    for _ in range(2):
        whole.step()
    torch.save(whole.state_dict(), tmp_path / "state.pt")
    whole.step()
    continued = tiny_trainer()
    continued.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    continued.step()
    for name, value in whole.encoder.state_dict().items():
        assert torch.equal(value, continued.encoder.state_dict()[name]), name
