"""Every family against what its official code computed, with files written here: nothing outside of the repository."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from golden_outputs import tolerance
from official_numbers import NAMES, ROSINALITY, STYLEGAN2, STYLEGAN3, official
from snapshots import (
    nvidia_pickle,
    rosinality_file,
    small_discriminator,
    stylegan2_attributes,
    stylegan3_attributes,
    tensorflow_pickle,
    whole_module,
)

from gan_edit_engine.checkpoints import read_generator, safetensors_file
from gan_edit_engine.generators import Generator

Write = Callable[[Generator, Path], object]


def snapshot(generator: Generator, path: Path) -> None:
    path.write_bytes(nvidia_pickle(generator, attributes(generator), None))


def module(generator: Generator, path: Path) -> None:
    path.write_bytes(whole_module(generator, attributes(generator)))


def attributes(generator: Generator) -> dict[str, dict[str, object]]:
    if hasattr(generator.config, "layers"):
        return stylegan3_attributes(generator)
    return stylegan2_attributes(generator.config.conv_clamp, generator.config)


def tensorflow(generator: Generator, path: Path) -> None:
    path.write_bytes(tensorflow_pickle(generator, small_discriminator(), conv_clamp=generator.config.conv_clamp))


def rosinality(generator: Generator, path: Path) -> None:
    path.write_bytes(rosinality_file(generator, None, trained=False))


def own(generator: Generator, path: Path) -> None:
    safetensors_file.write(path, generator, {})


FORMATS: list[tuple[str, Write]] = [
    *((name, snapshot) for name in (*STYLEGAN2, *STYLEGAN3)),
    *((name, module) for name in (*STYLEGAN2, *STYLEGAN3)),
    ("sg3_sg2_32", tensorflow),
    (ROSINALITY, rosinality),
    *((name, own) for name in NAMES),
]


@pytest.mark.parametrize(("name", "write"), FORMATS, ids=[f"{name}-{write.__name__}" for name, write in FORMATS])
def test_what_is_read_computes_what_the_official_code_computed(tmp_path: Path, name: str, write: Write) -> None:
    written = official(name)
    path = tmp_path / ("model.safetensors" if write is own else "model.pkl")
    write(written.generator, path)
    read, _ = read_generator(path)
    asked = written.numbers
    z, c, limit = asked["z"], asked.get("c"), tolerance(name)
    near(read.mapping(z, c)[:, 0], asked["w"], 1e-4)
    if "ws_psi06" in asked:
        near(read.mapping(z, c, truncation_psi=0.6), asked["ws_psi06"], 1e-4)
    images = {"img": "const", "img_const": "const", "img_none": "none"}
    for image, noise in images.items():
        if image in asked:
            near(read.synthesis(read.mapping(z, c), noise=noise), asked[image], limit)
    near(read.synthesis(asked["wplus"]), asked["img_wplus"], limit)


def near(got: torch.Tensor, expected: torch.Tensor, limit: float) -> None:
    assert got.shape == expected.shape
    assert (got - expected).abs().max() < limit
