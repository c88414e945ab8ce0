"""Generators of each family, small enough to compute in a moment."""

from __future__ import annotations

import torch

from gan_edit_engine.generators import Generator, build
from gan_edit_engine.generators.dcgan import DCGANConfig
from gan_edit_engine.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from gan_edit_engine.generators.stylegan3 import LayerSpec, StyleGAN3, StyleGAN3Config


def stylegan3_layer(name: str, size: int, out: int, torgb: bool = False, from_size: int | None = None) -> LayerSpec:
    """Twofold up- and downsampling with 12 taps each: padding 11 + 10 for a 3x3 kernel (StyleGAN3, appendix C.3)."""
    taps = 1 if torgb else 12
    factor = 1 if torgb else 2
    kernel = 1 if torgb else 3
    below = size if from_size is None else from_size
    total = (size - 1) * factor + 1 - (below + kernel - 1) * factor + 2 * taps - 2
    before = (total + factor) // 2
    return LayerSpec(
        name, 8, out, below, size, factor, taps, factor, taps, False, (before, total - before), kernel, torgb, 256.0
    )


def small_stylegan3(**changes: object) -> StyleGAN3:
    torch.manual_seed(0)
    fields = {"z_dim": 6, "c_dim": 0, "w_dim": 10, "resolution": 16, "image_channels": 3, "mapping_layers": 2,
              "input_channels": 8, "input_size": 16, "input_sampling_rate": 16.0, "input_bandwidth": 2.0,
              "layers": (stylegan3_layer("L0", 16, 8), stylegan3_layer("L1", 16, 3, torgb=True))}  # fmt: skip
    generator = build(StyleGAN3Config(**{**fields, **changes})).requires_grad_(False)
    generator.synthesis.input.freqs.normal_()
    generator.synthesis.input.affine.bias.copy_(torch.tensor([1.0, 0, 0, 0]))
    taps = torch.hann_window(14)[1:13]
    for spec in generator.config.layers:
        if not spec.is_torgb:
            layer = generator.synthesis.get_submodule(spec.name)
            layer.up_filter.copy_(taps / taps.sum())
            layer.down_filter.copy_(taps / taps.sum())
    return generator


def small_stylegan2(**changes: object) -> StyleGAN2:
    torch.manual_seed(0)
    fields = {"z_dim": 8, "w_dim": 8, "resolution": 16, "channel_base": 128, "channel_max": 8, "mapping_layers": 1}
    return build(StyleGAN2Config(**{**fields, **changes})).requires_grad_(False).eval()


def small_dcgan(**changes: object) -> Generator:
    torch.manual_seed(0)
    fields = {"z_dim": 8, "channels": (16, 8, 8)}
    return build(DCGANConfig(**{**fields, **changes})).requires_grad_(False).eval()
