"""Generator families behind one interface, and the one door through which weights enter them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from gan_edit_engine.generators.base import Generator, Noise
from gan_edit_engine.generators.stylegan2 import StyleGAN2, StyleGAN2Config

Config = StyleGAN2Config
CONFIGS: dict[str, type[Config]] = {"stylegan2": StyleGAN2Config}

__all__ = ["CONFIGS", "Config", "Generator", "Noise", "StateMismatchError", "build", "build_with_weights"]


class StateMismatchError(ValueError):
    """Weights that do not fit the architecture, or are not finite numbers."""


def build(config: Config) -> Generator:
    """A freshly initialised generator of the family that ``config`` belongs to, ready to train."""
    return StyleGAN2(config)


def build_with_weights(config: Config, state: Mapping[str, Tensor]) -> Generator:
    """A frozen float32 generator on the CPU that holds ``state``, whose keys and shapes must match exactly.

    Nothing is allocated from the configuration's sizes: the shapes are compared on torch's meta device first.
    Raises StateMismatchError naming the first key that is missing, unknown, of another shape or not finite.
    """
    with torch.device("meta"):
        generator = build(config)
    check_state(generator.state_dict(), state)
    generator.load_state_dict({name: value.to(torch.float32) for name, value in state.items()}, assign=True)
    return generator.requires_grad_(False).eval()


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
