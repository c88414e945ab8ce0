"""What the official code computed from networks whose weights it drew with a seed: small enough to lie in tests/data.

A file ``official_NAME.npz`` holds the seed, the architecture, what was not drawn (biases, noise strengths, the mean w,
filters), inputs, and outputs. The weights themselves are drawn again here, in the order in which the constructors of
the official code draw theirs.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gan_edit_engine.generators import Generator, build
from gan_edit_engine.generators.stylegan2 import StyleGAN2Config
from gan_edit_engine.generators.stylegan3 import LayerSpec, StyleGAN3Config

DATA = Path(__file__).resolve().parents[1] / "data"
STYLEGAN2 = ("sg2ada_resnet_32", "sg2ada_auto_cond_32_full", "sg3_sg2_32")
STYLEGAN3 = ("sg3t_32", "sg3r_32")
ROSINALITY = "rosinality_trained_32"
NAMES = (*STYLEGAN2, *STYLEGAN3, ROSINALITY)
Config = StyleGAN2Config | StyleGAN3Config


@dataclasses.dataclass(frozen=True)
class Official:
    """A generator with official weights, and what the official code computed: z, c, w, wplus, img … [1, …]."""

    generator: Generator
    numbers: dict[str, Tensor]


def official(name: str) -> Official:
    with np.load(DATA / f"official_{name}.npz") as arrays:
        found = {key: arrays[key] for key in arrays.files}
    config = _config(json.loads(str(found.pop("config"))))
    seed, sample = int(found.pop("seed")), torch.from_numpy(found.pop("sample"))
    generator = build(config).requires_grad_(False).eval()
    state = {key[len("kept:") :]: found.pop(key) for key in list(found) if key.startswith("kept:")}
    weights = {key: torch.from_numpy(value) for key, value in state.items()} | draw(generator, name, seed)
    generator.load_state_dict(weights)
    drawn = torch.cat([value.flatten()[:1] for value in weights.values()])
    torch.testing.assert_close(drawn, sample, msg="this torch draws other numbers from a seed than the official run")
    return Official(generator, {key: torch.from_numpy(value) for key, value in found.items()})


def draw(generator: Generator, name: str, seed: int) -> dict[str, Tensor]:
    """The weights that the official constructor draws after ``torch.manual_seed(seed)``, under our names."""
    shapes = {key: value.shape for key, value in generator.state_dict().items()}
    random = torch.Generator().manual_seed(seed)
    if name == ROSINALITY:
        order = rosinality_order(generator.config)
    elif isinstance(generator.config, StyleGAN3Config):
        torch.randn(shapes["synthesis.input.freqs"], generator=random)
        torch.rand(shapes["synthesis.input.phases"], generator=random)
        order = stylegan3_order(generator.config)
    else:
        order = stylegan2_order(generator.config)
    drawn = {key: torch.randn(shapes[key], generator=random) for key in order if key in shapes}
    return {key: value * _scale(key, generator.config) for key, value in drawn.items()}


def stylegan2_order(config: StyleGAN2Config) -> Iterator[str]:
    """Names in the order of stylegan2-ada-pytorch; not every network has all of them."""
    for side in _sides(config):
        yield f"synthesis.b{side}.const"
        for layer in ("conv0", "conv1", "torgb", "skip"):
            for kind in ("affine.weight", "weight", "noise_const"):
                yield f"synthesis.b{side}.{layer}.{kind}"
    yield from _mapping(config)


def stylegan3_order(config: StyleGAN3Config) -> Iterator[str]:
    yield "synthesis.input.weight"
    yield "synthesis.input.affine.weight"
    for spec in config.layers:
        yield f"synthesis.{spec.name}.affine.weight"
        yield f"synthesis.{spec.name}.weight"
    yield from _mapping(config)


def rosinality_order(config: StyleGAN2Config) -> Iterator[str]:
    layers = [f"synthesis.b{side}.{layer}" for side in _sides(config) for layer in ("conv0", "conv1", "torgb")][1:]
    yield from _mapping(config)
    yield "synthesis.b4.const"
    first, rest = layers[:2], layers[2:]
    for layer in first:
        yield from (f"{layer}.weight", f"{layer}.affine.weight")
    yield from (f"{layer}.noise_const" for layer in layers)
    for layer in rest:
        yield from (f"{layer}.weight", f"{layer}.affine.weight")


def _scale(key: str, config: Config) -> float:
    if key == "synthesis.input.affine.weight":
        return 0.0  # a StyleGAN3 begins with the same rotation and translation for all latents
    return 1 / config.mapping_lr_multiplier if key.startswith("mapping.fc") else 1.0


def _mapping(config: Config) -> Iterator[str]:
    yield "mapping.embed.weight"
    yield from (f"mapping.fc{number}.weight" for number in range(config.mapping_layers))


def _sides(config: StyleGAN2Config) -> list[int]:
    return [2**exponent for exponent in range(2, config.resolution.bit_length())]


def _config(fields: dict[str, Any]) -> Config:
    if "layers" not in fields:
        return StyleGAN2Config(**{**fields, "resample_filter": tuple(fields["resample_filter"])})
    layers = (LayerSpec(**{**layer, "padding": tuple(layer["padding"])}) for layer in fields["layers"])
    return StyleGAN3Config(**{**fields, "layers": tuple(layers)})
