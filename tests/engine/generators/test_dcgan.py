"""DCGAN: both variants against literal PyTorch modules, and what the reader makes of their state dicts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

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


State = dict[str, Any]


def prefixed(prefix: str, state: State) -> State:
    return {f"{prefix}{name}": value for name, value in state.items()}


def discriminator_state(image_channels: int = 3) -> State:
    """The discriminator of pytorch/examples for 16 pixels."""
    layers = nn.Sequential(
        nn.Conv2d(image_channels, 8, 4, 2, 1, bias=False),
        nn.LeakyReLU(0.2),
        nn.Conv2d(8, 16, 4, 2, 1, bias=False),
        nn.BatchNorm2d(16),
        nn.LeakyReLU(0.2),
        nn.Conv2d(16, 1, 4, 1, 0, bias=False),
        nn.Sigmoid(),
    )
    return prefixed("main.", layers.state_dict())


def differently_named(name: str, state: State) -> State:
    """The weights of ``example_generator(.., [8, 4], ..)`` as other people name their modules."""
    names = {
        "net": {0: "net.0", 1: "net.1", 3: "net.3", 4: "net.4", 6: "net.6"},
        "with dropout": {0: "main.0", 1: "main.1", 3: "main.4", 4: "main.5", 6: "main.7"},
        "blocks": {0: "blocks.0.conv", 1: "blocks.0.bn", 3: "blocks.1.conv", 4: "blocks.1.bn", 6: "out.0"},
        "csc321": {0: "deconv1.0", 1: "deconv1.1", 3: "deconv2.0", 4: "deconv2.1", 6: "deconv3.0"},
        "by kind": {0: "ct1", 3: "ct2", 6: "ct3", 1: "bn1", 4: "bn2"},
        "paper": {0: "layer1.0", 1: "layer1.1", 3: "layer2.0", 4: "layer2.1", 6: "layer3.0"},
    }[name]
    return {
        f"{new}.{key.rpartition('.')[2]}": value
        for position, new in names.items()
        for key, value in state.items()
        if key.startswith(f"main.{position}.")
    }


WRAPPINGS: dict[str, Callable[[State], object]] = {
    "state_dict": lambda g: {"epoch": 3, "state_dict": g},
    "netG_state_dict": lambda g: {"netG_state_dict": g, "netD_state_dict": discriminator_state()},
    "generator_state_dict": lambda g: {"discriminator_state_dict": discriminator_state(), "generator_state_dict": g},
    "model": lambda g: {"model": g, "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": []}},
    "G beside D": lambda g: {"D": discriminator_state(), "G": g},
    "within each other": lambda g: {"args": {"lr": 0.1}, "models": {"netD": discriminator_state(), "netG": g}},
    "averaged": lambda g: {"netG": {k: v * 0 for k, v in g.items()}, "netG_ema": g},
    "flat, of the whole GAN": lambda g: {
        "state_dict": {**prefixed("discriminator.", discriminator_state()), **prefixed("generator.", g)}
    },
    "DataParallel within": lambda g: {"G_state": prefixed("module.", g)},
    "compiled": lambda g: prefixed("_orig_mod.", g),
    "any other key": lambda g: {"steps": 5, "embedding_dim": 10, "n_classes": 0, "weights of Tuesday": g},
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_a_generator_is_found_wherever_a_script_has_put_it(tmp_path: Path, wrapping: str) -> None:
    torch.manual_seed(0)
    reference = example_generator(10, [8, 4], 3)
    torch.save(WRAPPINGS[wrapping](reference.state_dict()), tmp_path / "checkpoint.tar")
    z = torch.randn(2, 10)
    expected = run(reference, z[:, :, None, None])
    torch.testing.assert_close(read_generator(tmp_path / "checkpoint.tar")[0](z), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("names", ["net", "with dropout", "blocks", "csc321", "by kind", "paper"])
@pytest.mark.parametrize("order", ["as registered", "sorted"])
def test_modules_may_have_other_names_if_their_shapes_are_a_dcgans(tmp_path: Path, names: str, order: str) -> None:
    torch.manual_seed(0)
    reference = example_generator(10, [8, 4], 3)
    state = differently_named(names, reference.state_dict())
    assert len(state) == len(reference.state_dict())
    torch.save(dict(sorted(state.items())) if order == "sorted" else state, tmp_path / "g.pth")
    z = torch.randn(2, 10)
    expected = run(reference, z[:, :, None, None])
    torch.testing.assert_close(read_generator(tmp_path / "g.pth")[0](z), expected, atol=1e-6, rtol=0)


def test_layers_are_counted_and_not_spelled(tmp_path: Path) -> None:
    """In a file sorted by names, main.12 comes before main.3."""
    torch.manual_seed(0)
    reference = example_generator(10, [8, 8, 8, 4], 3)
    state = prefixed("net.", dict(sorted(prefixed("", reference.main.state_dict()).items())))
    torch.save(state, tmp_path / "g.pth")
    z = torch.randn(2, 10)
    expected = run(reference, z[:, :, None, None])
    torch.testing.assert_close(read_generator(tmp_path / "g.pth")[0](z), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("kernel", "upsample_first"), [(2, False), (4, False), (3, True)])
def test_the_course_generators_blocks_may_have_other_names(tmp_path: Path, kernel: int, upsample_first: bool) -> None:
    torch.manual_seed(0)
    reference = course_generator(kernel, upsample_first)
    state = {name.replace("up_conv", "stage"): value for name, value in reference.state_dict().items()}
    torch.save({"model": state}, tmp_path / "g.ckpt")
    z = torch.randn(2, 100)
    expected = run(reference, z[:, :, None, None])
    torch.testing.assert_close(read_generator(tmp_path / "g.ckpt")[0](z), expected, atol=1e-6, rtol=0)


def test_other_networks_of_small_convolutions_are_no_dcgans(tmp_path: Path) -> None:
    denoiser = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1), nn.Conv2d(8, 3, 3, 1, 1))
    torch.save(denoiser.state_dict(), tmp_path / "denoiser.pth")
    with pytest.raises(CheckpointError, match="no known model family"):
        read_generator(tmp_path / "denoiser.pth")


@pytest.mark.parametrize(("noise", "labels"), [(100, 8), (100, 10), (128, 10), (64, 10), (100, 1), (256, 5)])
@pytest.mark.parametrize("names", ["main", "with dropout"])
def test_a_dcgan_of_noise_and_labels_is_refused_by_that_name(
    tmp_path: Path, noise: int, labels: int, names: str
) -> None:
    state = example_generator(noise + labels, [8, 4], 3).state_dict()
    torch.save(state if names == "main" else differently_named(names, state), tmp_path / "g.pth")
    with pytest.raises(CheckpointError, match=f"takes {noise + labels} values.* labels are not supported"):
        read_generator(tmp_path / "g.pth")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda g: {**g, "label_emb.weight": torch.zeros(10, 10)},
        lambda g: {"generator": g, "n_classes": 10},
        lambda g: {**prefixed("l", {"abels.weight": torch.zeros(10, 10)}), **g},
    ],
)
def test_a_dcgan_that_says_that_it_takes_labels_is_refused_by_that_name(tmp_path: Path, wrap: Any) -> None:
    torch.save(wrap(example_generator(20, [8, 4], 3).state_dict()), tmp_path / "g.pth")
    with pytest.raises(CheckpointError, match="it takes labels beside noise"):
        read_generator(tmp_path / "g.pth")


def test_a_dcgan_whose_labels_have_an_input_of_their_own_is_refused_by_that_name(tmp_path: Path) -> None:
    convolutions = {"deconv1_1": (20, 8), "deconv1_2": (10, 8), "deconv2": (16, 8), "deconv3": (8, 3)}
    state = {f"{name}.weight": torch.randn(*shape, 4, 4) for name, shape in convolutions.items()}
    torch.save(state, tmp_path / "g.pth")
    with pytest.raises(CheckpointError, match="it takes labels beside noise"):
        read_generator(tmp_path / "g.pth")


@pytest.mark.parametrize("wrap", [lambda d: d, lambda d: {"netD": d}, lambda d: {k[5:]: v for k, v in d.items()}])
@pytest.mark.parametrize("image_channels", [1, 3])
def test_a_dcgan_discriminator_is_named(tmp_path: Path, wrap: Any, image_channels: int) -> None:
    torch.save(wrap(discriminator_state(image_channels)), tmp_path / "netD.pth")
    with pytest.raises(CheckpointError, match="discriminator, not a"):
        read_generator(tmp_path / "netD.pth")


def test_truncation_pulls_z_towards_zero(tmp_path: Path) -> None:
    torch.save(example_generator(10, [8, 4], 3).state_dict(), tmp_path / "g.pth")
    generator, _ = read_generator(tmp_path / "g.pth")
    z = torch.randn(2, 10)
    assert torch.equal(generator.mapping(z, truncation_psi=0.5)[:, 0], z * 0.5)
    assert torch.equal(generator.w_avg, torch.zeros(10))
