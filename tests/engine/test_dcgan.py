"""DCGAN: both variants against literal PyTorch modules, and what the reader makes of their state dicts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from gan_edit_engine.checkpoints import CheckpointError, read_generator


def example_generator(nz: int, widths: list[int], nc: int) -> nn.Module:
    """The generator of pytorch/examples, of any depth, written as a user would have it."""
    layers: list[nn.Module] = []
    for i, (width, out) in enumerate(zip([nz, *widths], [*widths, nc], strict=True)):
        layers.append(nn.ConvTranspose2d(width, out, 4, 1 if i == 0 else 2, 0 if i == 0 else 1, bias=False))
        layers += [nn.Tanh()] if i == len(widths) else [nn.BatchNorm2d(out), nn.ReLU(True)]
    generator = nn.Module()
    generator.main = nn.Sequential(*layers)
    for norm in generator.main:
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
    return generator.eval().requires_grad_(False)


def course_generator(kernel: int, upsample_first: bool = False) -> nn.Module:
    """The course's DCGenerator(100, 32, 'instance'): conv_dim 32, five blocks, 64 pixels."""
    widths, generator = [100, 256, 128, 64, 32, 3], nn.Module()
    for i in range(5):
        norm = [nn.Tanh()] if i == 4 else [nn.InstanceNorm2d(widths[i + 1]), nn.ReLU()]
        if i == 0 and not upsample_first:
            block = [nn.Conv2d(100, 256, kernel, padding={2: 2, 4: 3}[kernel], bias=False), *norm]
        else:
            scale = 4 if i == 0 else 2
            conv = nn.Conv2d(widths[i], widths[i + 1], 3, padding=1, bias=i == 4)
            block = [nn.Upsample(scale_factor=scale, mode="nearest"), conv, *norm]
        generator.add_module(f"up_conv{i + 1}", nn.Sequential(*block))
    return generator.eval().requires_grad_(False)


def run(module: nn.Module, z: torch.Tensor) -> torch.Tensor:
    for layer in module.children():
        z = layer(z)
    return z


@pytest.mark.parametrize(
    ("nz", "widths", "nc"), [(100, [32, 16, 8, 4], 3), (20, [16, 8], 1), (7, [32, 16, 8, 8, 4], 3)]
)
@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_the_examples_generator_loads_at_any_size(
    tmp_path: Path, nz: int, widths: list[int], nc: int, prefix: str, legacy: bool
) -> None:
    torch.manual_seed(0)
    reference = example_generator(nz, widths, nc)
    state = {prefix + name: value for name, value in reference.state_dict().items()}
    torch.save(state, tmp_path / "netG.pth", _use_new_zipfile_serialization=not legacy)
    generator, _ = read_generator(tmp_path / "netG.pth")
    z = torch.randn(3, nz)
    assert generator.spaces == ("z",)
    assert generator.resolution == 4 * 2 ** len(widths)
    torch.testing.assert_close(generator(z), run(reference, z[:, :, None, None]), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("kernel", "upsample_first"), [(2, False), (4, False), (3, True)])
def test_the_course_generator_loads_in_each_of_its_forms(tmp_path: Path, kernel: int, upsample_first: bool) -> None:
    torch.manual_seed(0)
    reference = course_generator(kernel, upsample_first)
    torch.save(reference.state_dict(), tmp_path / "vanilla.ckpt")
    generator, _ = read_generator(tmp_path / "vanilla.ckpt")
    z = torch.randn(2, 100)
    expected = run(reference, z[:, :, None, None])
    assert expected.shape == (2, 3, 64, 64)
    torch.testing.assert_close(generator(z), expected, atol=1e-6, rtol=0)


def test_a_wrapped_state_dict_is_found(tmp_path: Path) -> None:
    reference = example_generator(10, [8, 4], 3)
    torch.save({"epoch": 3, "state_dict": reference.state_dict()}, tmp_path / "g.pth")
    assert read_generator(tmp_path / "g.pth")[0].resolution == 16


def test_a_dcgan_discriminator_is_not_taken_for_a_generator(tmp_path: Path) -> None:
    layers = nn.Sequential(nn.Conv2d(3, 8, 4, 2, 1), nn.LeakyReLU(), nn.Identity(), nn.Conv2d(8, 16, 4, 2, 1))
    torch.save({f"main.{k}": v for k, v in layers.state_dict().items()}, tmp_path / "netD.pth")
    with pytest.raises(CheckpointError, match="not a DCGAN generator"):
        read_generator(tmp_path / "netD.pth")


def test_truncation_pulls_z_towards_zero(tmp_path: Path) -> None:
    torch.save(example_generator(10, [8, 4], 3).state_dict(), tmp_path / "g.pth")
    generator, _ = read_generator(tmp_path / "g.pth")
    z = torch.randn(2, 10)
    assert torch.equal(generator.mapping(z, truncation_psi=0.5)[:, 0], z * 0.5)
    assert torch.equal(generator.w_avg, torch.zeros(10))
