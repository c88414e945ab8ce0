"""Generator families behind one interface, and the one door through which weights enter them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from gan_edit_engine.generators.base import Generator, Noise
from gan_edit_engine.generators.dcgan import DCGAN, DCGANConfig
from gan_edit_engine.generators.discriminator import Discriminator, DiscriminatorConfig
from gan_edit_engine.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from gan_edit_engine.generators.stylegan3 import StyleGAN3, StyleGAN3Config

Config = StyleGAN2Config | StyleGAN3Config | DCGANConfig
_FAMILIES: dict[type[Config], type[Generator]] = {
    StyleGAN2Config: StyleGAN2,
    StyleGAN3Config: StyleGAN3,
    DCGANConfig: DCGAN,
}
CONFIGS: dict[str, type[Config]] = {generator.family: config for config, generator in _FAMILIES.items()}

__all__ = [
    "CONFIGS",
    "Config",
    "Discriminator",
    "DiscriminatorConfig",
    "Generator",
    "Noise",
    "StateMismatchError",
    "build",
    "build_with_weights",
    "discriminator_with_weights",
]

Module = TypeVar("Module", bound=nn.Module)


class StateMismatchError(ValueError):
    """Weights that do not fit the architecture, or are not finite numbers."""


def build(config: Config) -> Generator:
    """A freshly initialised generator of the family that ``config`` belongs to.

    StyleGAN2 and DCGAN are ready to train; StyleGAN3's filters are buffers that only a checkpoint brings.
    """
    return _FAMILIES[type(config)](config)


def build_with_weights(config: Config, state: Mapping[str, Tensor]) -> Generator:
    """A frozen float32 generator on the CPU that holds ``state``, whose keys and shapes must match exactly.

    Nothing is allocated from the configuration's sizes: the shapes are compared on torch's meta device first.
    Raises StateMismatchError naming the first key that is missing, unknown, of another shape or not finite.
    """
    with torch.device("meta"):
        generator = build(config)
    return _fill(generator, state)


def discriminator_with_weights(config: DiscriminatorConfig, state: Mapping[str, Tensor]) -> Discriminator:
    """A frozen float32 discriminator on the CPU that holds ``state``; raises like `build_with_weights`."""
    with torch.device("meta"):
        discriminator = Discriminator(config)
    return _fill(discriminator, state)


def _fill(module: Module, state: Mapping[str, Tensor]) -> Module:
    check_state(module.state_dict(), state)
    floats = {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
    module.load_state_dict(floats, assign=True)
    return module.requires_grad_(False).eval()


def check_state(expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    """Raise StateMismatchError unless ``state`` has the keys and shapes of ``expected`` and finite values."""
    missing = sorted(expected.keys() - state.keys())
    if missing:
        raise StateMismatchError(f"the weight {missing[0]} is missing ({len(missing)} of {len(expected)} are)")
    unknown = sorted(state.keys() - expected.keys())
    if unknown:
        raise StateMismatchError(f"the weight {unknown[0]} does not belong to this architecture")
    for name, value in state.items():
        if value.shape != expected[name].shape:
            raise StateMismatchError(
                f"the weight {name} has shape {list(value.shape)} instead of {list(expected[name].shape)}"
            )
        if not torch.isfinite(value).all():
            raise StateMismatchError(f"the weight {name} holds NaN or infinite values")
