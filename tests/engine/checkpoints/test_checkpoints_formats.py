"""Every public format, written here from a small generator and read back: the images must be the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from snapshots import (
    nvidia_pickle,
    rosinality_file,
    small_discriminator,
    small_stylegan2,
    small_stylegan3,
    stylegan2_attributes,
    stylegan3_attributes,
    tensorflow_pickle,
    whole_module,
)
from torch import nn

from gan_edit_engine.checkpoints import CheckpointError, read_discriminator, read_generator, safetensors_file
from gan_edit_engine.generators import Generator


def write(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "model.pkl"
    path.write_bytes(content)
    return path


def assert_same_images(read: Generator, written: Generator) -> None:
    z = torch.randn(3, written.z_dim, generator=torch.Generator().manual_seed(1))
    c = torch.eye(written.c_dim)[[0, 1, 0]] if written.c_dim else None
    torch.testing.assert_close(read(z, c), written(z, c), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(read(z, c, truncation_psi=0.5), written(z, c, truncation_psi=0.5), atol=1e-5, rtol=1e-5)


VARIANTS: list[dict[str, Any]] = [
    {},
    {"architecture": "resnet"},
    {"architecture": "orig"},
    {"c_dim": 2},
    {"use_noise": False},
    {"conv_clamp": 0.4},
    {"image_channels": 1},
    {"resample_filter": (1, 2, 1)},
    {"resample_filter": (0.1, 0.2, -0.1, 0.3, 1, 1, 0.3, -0.1, 0.2, 0.1)},
    {"mapping_layers": 8, "resolution": 8},
    {"w_dim": 9},
    {"layer_features": 7, "mapping_layers": 3},
    {"layer_features": 7, "mapping_layers": 1},
    {"c_dim": 2, "embed_features": 4},
    {"c_dim": 2, "embed_features": 4, "layer_features": 11, "w_dim": 7},
    {"mapping_lr_multiplier": 1.0},
    {"mapping_lr_multiplier": 0.002, "mapping_layers": 8},
    {"mapping_activation": "linear"},
    {"mapping_lr_multiplier": 0.1, "mapping_activation": "linear", "c_dim": 2, "embed_features": 3, "z_dim": 8},
]


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
@pytest.mark.parametrize("form", ["snapshot", "whole module", "whole module, old stream"])
def test_every_stylegan2_survives_nvidias_formats(tmp_path: Path, changes: dict[str, Any], form: str) -> None:
    generator = small_stylegan2(**changes)
    attributes = stylegan2_attributes(changes.get("conv_clamp"), generator.config)
    if form == "snapshot":
        content = nvidia_pickle(generator, attributes, None)
    else:
        content = whole_module(generator, attributes, legacy="old" in form)
    read, _ = read_generator(write(tmp_path, content))
    assert read.config.architecture == generator.config.architecture
    assert_same_images(read, generator)


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_every_stylegan2_survives_the_projects_own_format(tmp_path: Path, changes: dict[str, Any]) -> None:
    generator = small_stylegan2(**changes)
    safetensors_file.write(tmp_path / "m.safetensors", generator, {"name": "m"})
    read, header = read_generator(tmp_path / "m.safetensors")
    assert read.config == generator.config
    assert header["name"] == "m"
    assert_same_images(read, generator)


def test_half_precision_files_are_read_as_float32(tmp_path: Path) -> None:
    generator = small_stylegan2()
    safetensors_file.write(tmp_path / "m.safetensors", generator, {}, dtype=torch.float16)
    read, _ = read_generator(tmp_path / "m.safetensors")
    assert {p.dtype for p in read.parameters()} == {torch.float32}
    z = torch.randn(1, 5)
    assert (read(z) - generator(z)).abs().max() < 0.05


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_other_precisions_become_float32(tmp_path: Path, dtype: torch.dtype) -> None:
    generator = small_stylegan2()
    state = {name: value.to(dtype) for name, value in generator.state_dict().items()}
    torch.save(state, tmp_path / "m.pt")
    read, _ = read_generator(tmp_path / "m.pt")
    for name, value in read.state_dict().items():
        assert torch.equal(value, state[name].float())


def test_stylegan3_survives_a_snapshot_and_the_projects_own_format(tmp_path: Path) -> None:
    generator = small_stylegan3()
    read, header = read_generator(write(tmp_path, nvidia_pickle(generator, stylegan3_attributes(generator), None)))
    assert read.config == generator.config
    assert_same_images(read, generator)
    safetensors_file.write(tmp_path / "m.safetensors", read, header)
    assert read_generator(tmp_path / "m.safetensors")[0].config == generator.config


class XlMapping(nn.Module):
    """Gives StyleGAN-XL's mapping the look-up table as the plain torch module that its files hold."""

    def __init__(self, mapping: nn.Module) -> None:
        super().__init__()
        table = nn.Embedding(*mapping.embed.weight.shape)
        table.weight = mapping.embed.weight
        for name, child in mapping.named_children():
            self.add_module(name, table if name == "embed" else child)
        self.register_buffer("w_avg", mapping.w_avg)


def test_a_stylegan_xl_pickle_with_its_class_table_is_read(tmp_path: Path) -> None:
    generator = small_stylegan3(c_dim=3, embedding_count=4, embedding_features=7)
    attributes = stylegan3_attributes(generator, dill=True)
    official = nn.Module()
    official.synthesis, official.mapping = generator.synthesis, XlMapping(generator.mapping)
    read, _ = read_generator(write(tmp_path, nvidia_pickle(official, attributes, None)))
    assert read.config == generator.config
    assert_same_images(read, generator)


@pytest.mark.parametrize("c_dim", [0, 3])
def test_the_discriminator_of_a_snapshot_gives_the_same_logits(tmp_path: Path, c_dim: int) -> None:
    discriminator = small_discriminator(c_dim=c_dim, cmap_dim=8, mapping_layers=2, conv_clamp=0.7)
    attributes = stylegan2_attributes(0.7)
    path = write(tmp_path, nvidia_pickle(small_stylegan2(), attributes, discriminator))
    image, c = torch.randn(4, 3, 16, 16), torch.eye(3)[[0, 1, 2, 0]] if c_dim else None
    torch.testing.assert_close(read_discriminator(path)(image, c), discriminator(image, c))


def test_tensorflow_networks_are_turned_into_torchs_order(tmp_path: Path) -> None:
    generator, discriminator = small_stylegan2(), small_discriminator()
    path = write(tmp_path, tensorflow_pickle(generator, discriminator))
    assert_same_images(read_generator(path)[0], generator)
    image = torch.randn(4, 3, 16, 16)
    torch.testing.assert_close(read_discriminator(path)(image), discriminator(image))


def test_a_tensorflow_model_keeps_its_mapping_networks_options(tmp_path: Path) -> None:
    generator = small_stylegan2(layer_features=7, mapping_lr_multiplier=1.0, mapping_activation="linear")
    arguments = {"mapping_fmaps": 7, "mapping_lrmul": 1.0, "mapping_nonlinearity": "linear"}
    path = write(tmp_path, tensorflow_pickle(generator, small_discriminator(), **arguments))
    assert_same_images(read_generator(path)[0], generator)


def test_a_stylegan3_keeps_its_mapping_networks_learning_rate(tmp_path: Path) -> None:
    generator = small_stylegan3(mapping_lr_multiplier=0.1, c_dim=2)
    read, header = read_generator(write(tmp_path, nvidia_pickle(generator, stylegan3_attributes(generator), None)))
    assert_same_images(read, generator)
    safetensors_file.write(tmp_path / "m.safetensors", read, header)
    assert_same_images(read_generator(tmp_path / "m.safetensors")[0], generator)


def test_a_header_of_the_first_release_has_the_usual_mapping_network(tmp_path: Path) -> None:
    generator = small_stylegan2()
    safetensors_file.write(tmp_path / "new.safetensors", generator, {})
    header = safetensors_file.read_header(tmp_path / "new.safetensors")
    new = ("embed_features", "layer_features", "mapping_lr_multiplier", "mapping_activation")
    save_file(generator.state_dict(), tmp_path / "old.safetensors", {k: v for k, v in header.items() if k not in new})
    read, _ = read_generator(tmp_path / "old.safetensors")
    assert read.config == generator.config
    assert_same_images(read, generator)


def test_a_tensorflow_model_keeps_its_clamp_and_filter(tmp_path: Path) -> None:
    generator = small_stylegan2(conv_clamp=0.5, resample_filter=(1, 2, 1))
    content = tensorflow_pickle(generator, small_discriminator(), conv_clamp=0.5, resample_kernel=[1, 2, 1])
    assert_same_images(read_generator(write(tmp_path, content))[0], generator)


@pytest.mark.parametrize(
    "arguments", [{"mapping_nonlinearity": "relu"}, {"nonlinearity": "relu"}, {"resample_kernel": "soft"}]
)
def test_a_tensorflow_model_that_computes_something_else_is_refused(tmp_path: Path, arguments: dict[str, Any]) -> None:
    content = tensorflow_pickle(small_stylegan2(), small_discriminator(), **arguments)
    with pytest.raises(CheckpointError, match="not supported|not a filter"):
        read_generator(write(tmp_path, content))


@pytest.mark.parametrize("c_dim", [0, 2])
def test_a_snapshot_without_a_mean_w_gets_one(tmp_path: Path, c_dim: int) -> None:
    generator = small_stylegan2(c_dim=c_dim)
    del generator.mapping.w_avg
    read, _ = read_generator(write(tmp_path, nvidia_pickle(generator, stylegan2_attributes(None), None)))
    z, c = torch.randn(20_000, 5), torch.eye(2)[torch.arange(20_000) % 2] if c_dim else None
    w = read.mapping.to_w(z, c)
    assert ((w.mean(dim=0) - read.w_avg).abs() < 6 * w.std(dim=0) / 20_000**0.5).all()


@pytest.mark.parametrize("trained", [False, True])
def test_rosinality_files_are_renamed(tmp_path: Path, trained: bool) -> None:
    generator, discriminator = small_stylegan2(), small_discriminator()
    path = write(tmp_path, rosinality_file(generator, discriminator, trained))
    read, _ = read_generator(path)
    ws = generator.mapping(torch.randn(2, 5))
    torch.testing.assert_close(read.synthesis(ws), generator.synthesis(ws), atol=1e-5, rtol=1e-5)
    assert torch.equal(read.w_avg, generator.w_avg) != trained
    image = torch.randn(4, 3, 16, 16)
    torch.testing.assert_close(read_discriminator(path)(image), discriminator(image))


@pytest.mark.parametrize(
    "wrap", [lambda s: s, lambda s: {"state_dict": s}, lambda s: {f"module.{k}": v for k, v in s.items()}]
)
def test_a_bare_state_dict_is_read(tmp_path: Path, wrap: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    generator = small_stylegan2(architecture="resnet")
    torch.save(wrap(generator.state_dict()), tmp_path / "m.pt")
    assert_same_images(read_generator(tmp_path / "m.pt")[0], generator)


@pytest.mark.parametrize(
    ("module", "attribute", "value", "reason"),
    [
        ("mapping.fc1", "bias_gain", 0.1, "learning rate multiplier"),
        ("mapping.fc1", "activation", "linear", "activation"),
        ("mapping.fc0", "bias_gain", 0.0, "learning rate multiplier"),
        ("mapping.fc0", "bias_gain", "much", "mapping bias gain is not a number"),
        ("mapping.fc0", "activation", "relu", "activation"),
        ("synthesis.b4.conv1", "conv_clamp", "big", "conv_clamp is not a number"),
        ("synthesis.b4.conv1", "conv_clamp", float("nan"), "conv_clamp is not a number"),
    ],
)
def test_a_generator_that_computes_something_else_is_refused(
    tmp_path: Path, module: str, attribute: str, value: object, reason: str
) -> None:
    attributes = stylegan2_attributes(None)
    attributes.setdefault(module, {})[attribute] = value
    with pytest.raises(CheckpointError, match=reason):
        read_generator(write(tmp_path, nvidia_pickle(small_stylegan2(), attributes, None)))


@pytest.mark.parametrize(
    ("module", "attribute", "value", "reason"),
    [
        ("synthesis", "layer_names", "L0_8_4", "not listed"),
        ("synthesis.L0_8_4", "padding", [1, 2, 3, 4], "padding that is not square"),
        ("synthesis.L0_8_4", "up_factor", 10**6, "impossible up_factor"),
        ("synthesis.L0_8_4", "down_taps", 0.5, "down_taps is not"),
        ("synthesis.input", "size", np.array([8, 9]), "not square"),
        ("synthesis.L1_8_3", "out_size", 9, "gives 8 pixels, not 9"),
        ("synthesis.input", "size", 9, "do not follow each other"),
        ("", "z_dim", None, "z_dim is not a number"),
    ],
)
def test_a_stylegan3_of_impossible_geometry_is_refused(
    tmp_path: Path, module: str, attribute: str, value: object, reason: str
) -> None:
    generator = small_stylegan3()
    attributes = stylegan3_attributes(generator)
    attributes[module][attribute] = value
    path = write(tmp_path, nvidia_pickle(generator, attributes, None))
    with pytest.raises(CheckpointError, match=reason):
        read_generator(path)
