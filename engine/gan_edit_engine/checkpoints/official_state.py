"""Bare state dicts under StyleGAN2's official names, as small training scripts save them."""

from __future__ import annotations

from gan_edit_engine.checkpoints import stylegan2_names
from gan_edit_engine.checkpoints.errors import MalformedError
from gan_edit_engine.checkpoints.modules import GeneratorParts, named_arrays
from gan_edit_engine.checkpoints.state_dicts import StateDict, state_dicts


def recognizes(content: object) -> bool:
    """Whether there is a flat state dict of a StyleGAN2 in ``content``."""
    return _find(content) is not None


def _find(content: object) -> StateDict | None:
    return next((state for state in state_dicts(content) if "synthesis.b4.const" in state), None)


def generator(content: object) -> GeneratorParts:
    """The StyleGAN2 in a state dict, which cannot tell whether activations were clamped: they are not.

    Nor the mapping network's learning rate multiplier and activation, which are the usual ones.
    """
    state = _find(content)
    if state is None:
        raise MalformedError("it holds no StyleGAN2")
    arrays = named_arrays(state)
    config = stylegan2_names.generator_config(arrays)
    stylegan2_names.add_generator_filters(arrays, config)
    return GeneratorParts(config, arrays, sample_w_avg="mapping.w_avg" not in arrays)
