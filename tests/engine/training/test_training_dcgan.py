"""Training of a DCGAN: it goes on bit-exactly, and the kept model has the statistics of its own weights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from test_training import REPOSITORY, write_photos
from torch import nn

from gan_edit_engine.generators.dcgan import DCGAN, DCGANConfig
from gan_edit_engine.library.models import open_model
from gan_edit_engine.training.dcgan import INITIAL_STD, DCGANTrainer, new_dcgan, set_batch_statistics
from gan_edit_engine.training.discriminators import ProjectedDiscriminator
from gan_edit_engine.training.samples import fixed_latents
from gan_edit_engine.training.settings import TrainingSettings
from gan_edit_engine.training.state import RunFolder

TINY = DCGANConfig(z_dim=8, channels=(8, 8))


def tiny_trainer(**changes: object) -> DCGANTrainer:
    torch.manual_seed(0)
    photos = torch.randint(0, 256, (10, 3, 16, 16)).to(torch.uint8)
    settings = TrainingSettings(resolution=16, batch=4, **changes)
    return DCGANTrainer(settings, new_dcgan(TINY, seed=0), ProjectedDiscriminator(width=8, hidden=8), photos)


def equal(a: object, b: object) -> bool:
    """Whether two nested states hold the same values bit by bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    return len(a) == len(b) and all(map(equal, a, b)) if isinstance(a, list) else a == b


def test_a_run_goes_on_bit_exactly_from_its_saved_state(tmp_path: Path) -> None:
    whole, first, second = tiny_trainer(), tiny_trainer(), tiny_trainer()
    for _ in range(4):
        whole.step()
    for _ in range(2):
        first.step()
    first.model()  # samples and models on the way must not disturb the run
    folder = RunFolder(tmp_path)
    folder.save(first.state_dict())
    second.load_state_dict(folder.load())
    for _ in range(2):
        second.step()
    assert second.images == 16
    first_part = tiny_trainer().state_dict()
    assert not equal(first_part["generator"], second.state_dict()["generator"])
    for part in ("generator", "discriminator", "generator_optimizer", "discriminator_optimizer"):
        assert equal(whole.state_dict()[part], second.state_dict()[part]), part
    assert equal(whole.model().state_dict(), second.model().state_dict())


def test_a_new_generator_begins_as_the_paper_says() -> None:
    generator = new_dcgan(DCGANConfig(channels=(64, 32)), seed=3)
    weights = [m.weight for m in generator.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert torch.cat([w.flatten() for w in weights]).std().item() == pytest.approx(INITIAL_STD, rel=0.02)
    assert not torch.equal(weights[0], new_dcgan(DCGANConfig(channels=(64, 32)), seed=4).synthesis.main[0].weight)


def test_the_kept_model_draws_what_its_weights_draw_in_training() -> None:
    trainer = tiny_trainer(ema_half_life=4)
    for _ in range(3):
        trainer.step()
    z = fixed_latents(512, 8, seed=5)
    with torch.no_grad():
        stale = trainer.average(z)
        kept = trainer.model()(z)
        expected = trainer.average.train()(z)
    assert not trainer.model().training
    error = (kept - expected).square().mean()
    assert error < 0.01 * expected.var()
    assert error < 0.1 * (stale - expected).square().mean()


def test_the_statistics_leave_the_training_as_it_was() -> None:
    generator = DCGAN(TINY)
    momenta = [m.momentum for m in generator.modules() if isinstance(m, nn.BatchNorm2d)]
    random = torch.get_rng_state()
    set_batch_statistics(generator)
    assert [m.momentum for m in generator.modules() if isinstance(m, nn.BatchNorm2d)] == momenta
    assert torch.equal(random, torch.get_rng_state())


@pytest.mark.slow
def test_the_script_trains_goes_on_and_writes_a_model_that_opens(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    write_photos(photos, [(16, 16)] * 8)
    for until in (4, 8):
        command = [sys.executable, str(REPOSITORY / "scripts" / "train_dcgan.py"), str(tmp_path / "run")]
        command += ["--photos", str(photos), "--until", str(until), "--threads", "1", "--name", "tiny"]
        command += ["--align-points", "[[0.3, 0.4], [0.7, 0.4]]"]
        for setting in ("resolution=16", "batch=4", "report_every=4", "sample_every=8", "model_every=8"):
            command += ["--set", setting]
        assert subprocess.run(command, timeout=300, check=False).returncode == 0
    model = open_model(tmp_path / "run" / "models" / "000000008.safetensors")
    assert (model.info.family, model.info.resolution) == ("dcgan", 16)
    assert model.info.align_points == ((0.3, 0.4), (0.7, 0.4))
    assert (tmp_path / "run" / "samples" / "000000008.png").exists()
    assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == 2
