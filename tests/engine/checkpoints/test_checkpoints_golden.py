"""Every reader against what the official code computed from the same file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from golden_outputs import CHECKPOINTS, HALF_PRECISION, outputs, tolerance
from torch import Tensor

from gan_edit_engine.checkpoints import CheckpointError, read_discriminator, read_generator, safetensors_file
from gan_edit_engine.generators import Generator

DISCRIMINATORS = (
    "sg2ada_f_64.pkl",
    "sg2ada_auto_cond_32_full.pkl",
    "sg3_sg2_32.pkl",
    "tf_sg2_32.pkl",
    "rosinality_trained_32.pt",
)


def assert_near(got: Tensor, expected: Tensor, limit: float) -> None:
    assert got.shape == expected.shape
    assert (got - expected).abs().max() < limit


@pytest.fixture(params=CHECKPOINTS)
def checkpoint(request: pytest.FixtureRequest, golden: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A golden file whose embedded source, if it ran, would write the canary."""
    monkeypatch.setenv("CANARY_FILE", str(tmp_path / "canary"))
    return golden / request.param


def images(generator: Generator, expected: dict[str, Tensor]) -> dict[str, Tensor]:
    """The images that the official code was asked for, computed here."""
    ws = generator.mapping(expected["z"], expected.get("c"))
    made = {
        "img_const": lambda: generator.synthesis(ws, noise="const"),
        "img_none": lambda: generator.synthesis(ws, noise="none"),
        "img": lambda: generator.synthesis(ws),
        "img_wplus": lambda: generator.synthesis(expected["wplus"]),
        "img_psi06": lambda: generator(expected["z"], expected.get("c"), truncation_psi=0.6),
    }
    return {name: make() for name, make in made.items() if name in expected}


def test_images_and_latents_agree_with_the_official_code(checkpoint: Path, tmp_path: Path) -> None:
    generator, _ = read_generator(checkpoint)
    expected = outputs(checkpoint)
    if checkpoint.name == "rosinality_trained_32.pt":
        del expected["img_psi06"]  # made with a mean w that is not in the file: see the test of the sampled mean
    ws = generator.mapping(expected["z"], expected.get("c"))
    if "w" in expected:
        assert_near(ws[:, 0], expected["w"], 1e-4)
    if "ws" in expected:
        assert_near(ws, expected["ws"], 1e-4)
        truncated = generator.mapping(expected["z"], expected.get("c"), truncation_psi=0.6)
        assert_near(truncated, expected["ws_psi06"], 1e-4)
    made = images(generator, expected)
    assert made
    for name, image in made.items():
        assert_near(image, expected[name], tolerance(checkpoint.name))
    assert not (tmp_path / "canary").exists()


def test_a_model_kept_as_safetensors_gives_the_same_images(checkpoint: Path, tmp_path: Path) -> None:
    generator, header = read_generator(checkpoint)
    safetensors_file.write(tmp_path / "copy.safetensors", generator, header)
    copy, copied_header = safetensors_file.read(tmp_path / "copy.safetensors")
    assert copy.config == generator.config
    assert copied_header["format"] == header["format"]
    z = torch.randn(2, generator.z_dim, generator=torch.Generator().manual_seed(0))
    c = torch.eye(generator.c_dim)[[0, 1]] if generator.c_dim else None
    assert torch.equal(copy(z, c), generator(z, c))


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_discriminator_logits_agree_with_the_official_code(golden: Path, name: str) -> None:
    discriminator = read_discriminator(golden / name)
    expected = outputs(golden / name)
    logits = discriminator(expected["img_const"], expected.get("c"))
    assert_near(logits, expected["d_logits"], 2e-3 if name == HALF_PRECISION else 1e-4)
    shapes = [tuple(f.shape[2:]) for f in discriminator.features(expected["img_const"])]
    size = expected["img_const"].shape[-1]
    assert shapes == [(size // 2**i,) * 2 for i in range(1, len(shapes) + 1)]
    assert shapes[-1] == (4, 4)


def test_half_precision_explains_the_difference_from_the_official_images(golden: Path) -> None:
    """The official code ran its num_fp16_res=4 blocks in float16; rounding alone moves our images as far."""
    generator, _ = read_generator(golden / HALF_PRECISION)
    expected = outputs(golden / HALF_PRECISION)
    exact = generator.synthesis(expected["ws"])
    for name, block in generator.synthesis.blocks():
        block.compute_dtype = torch.float32 if name == "b4" else torch.float16
    rounding = (generator.synthesis(expected["ws"]) - exact).std()
    difference = (expected["img_const"] - exact).std()
    assert 0.5 * rounding < difference < 2 * rounding


def test_a_checkpoint_without_a_mean_gets_the_mean_of_its_own_mapping(golden: Path) -> None:
    """The golden's img_psi06 used a mean that is not in the file; what is promised is the mean of w."""
    generator, _ = read_generator(golden / "rosinality_trained_32.pt")
    w = generator.mapping(torch.randn(20_000, generator.z_dim, generator=torch.Generator().manual_seed(7)))[:, 0]
    standard_error = w.std(dim=0) / 20_000**0.5
    assert ((w.mean(dim=0) - generator.w_avg).abs() < 6 * standard_error).all()
    again, _ = read_generator(golden / "rosinality_trained_32.pt")
    assert torch.equal(again.w_avg, generator.w_avg)


def test_the_averaged_generator_is_taken_not_the_raw_one(golden: Path) -> None:
    """G and G_ema hold different weights on purpose; only G_ema gives the official images."""
    generator, _ = read_generator(golden / "sg2ada_f_64.pkl")
    expected = outputs(golden / "sg2ada_f_64.pkl")
    assert_near(generator(expected["z"]), expected["img_const"], 1e-4)


def test_a_file_without_a_discriminator_says_so(golden: Path) -> None:
    with pytest.raises(CheckpointError, match="dcgan_nz100_ngf16.pth: it holds no discriminator"):
        read_discriminator(golden / "dcgan_nz100_ngf16.pth")
