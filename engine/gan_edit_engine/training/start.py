"""Where a run begins: a new generator, a trained one, or a trained one grown to a higher resolution."""

from __future__ import annotations

import dataclasses

import torch

from gan_edit_engine.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from gan_edit_engine.training.samples import fixed_latents
from gan_edit_protocol.errors import SettingError

W_AVG_SAMPLES = 10_000


def new_generator(config: StyleGAN2Config, seed: int) -> StyleGAN2:
    """Random weights that depend on the seed alone."""
    torch.manual_seed(seed)
    return StyleGAN2(config)


def grown(trained: StyleGAN2, resolution: int, seed: int) -> StyleGAN2:
    """``trained`` with blocks added up to ``resolution``, giving at first exactly its image, upsampled.

    The new ToRGB layers start at zero, so that the new blocks join in as they learn (the skip architecture of
    StyleGAN2 makes that sum; Karras et al. 2020, section 4). SettingError for another architecture or a lower
    resolution.
    """
    config = trained.config
    if config.architecture != "skip" or resolution < config.resolution:
        raise SettingError(f"A {config.architecture} generator of {config.resolution} px cannot grow to {resolution}.")
    bigger = new_generator(dataclasses.replace(config, resolution=resolution), seed)
    bigger.load_state_dict(trained.state_dict(), strict=False)
    with torch.no_grad():
        for name, block in bigger.synthesis.blocks():
            if int(name[1:]) > config.resolution and block.torgb is not None:
                block.torgb.weight.zero_()
    return bigger


@torch.no_grad()
def set_w_avg(generator: StyleGAN2) -> None:
    """Set the mapping's ``w_avg`` to the mean w of ten thousand fixed z (unconditional generators)."""
    z = fixed_latents(W_AVG_SAMPLES, generator.z_dim, seed=0).to(generator.mapping.w_avg.device)
    generator.mapping.w_avg.copy_(generator.mapping.to_w(z).mean(dim=0))
