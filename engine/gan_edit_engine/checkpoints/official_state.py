"""Bare state dicts under StyleGAN2's official names, as small training scripts save them."""

from __future__ import annotations

from gan_edit_engine.checkpoints import stylegan2_names
from gan_edit_engine.checkpoints.dcgan import state_dict
from gan_edit_engine.checkpoints.modules import GeneratorParts, named_arrays


def recognizes(content: object) -> bool:
    """Whether ``content`` is a flat state dict of a StyleGAN2."""
    return "synthesis.b4.const" in state_dict(content)


def generator(content: object) -> GeneratorParts:
    """The StyleGAN2 in a state dict, which cannot tell whether activations were clamped: they are not."""
    arrays = named_arrays(state_dict(content))
    config = stylegan2_names.generator_config(arrays)
    stylegan2_names.add_generator_filters(arrays, config)
    return GeneratorParts(config, arrays, sample_w_avg="mapping.w_avg" not in arrays)
