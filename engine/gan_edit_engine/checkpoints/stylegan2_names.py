"""StyleGAN2's architecture read off its weights' official names and shapes."""

from __future__ import annotations

import numpy as np

from gan_edit_engine.checkpoints.errors import MalformedError
from gan_edit_engine.checkpoints.modules import Arrays
from gan_edit_engine.generators.discriminator import DiscriminatorConfig
from gan_edit_engine.generators.layers import MAPPING_ACTIVATIONS, MAPPING_LR_MULTIPLIER, make_filter
from gan_edit_engine.generators.stylegan2 import StyleGAN2Config

DEFAULT_FILTER = (1.0, 3.0, 3.0, 1.0)
RESOLUTIONS = tuple(2**i for i in range(3, 11))


def shape_of(arrays: Arrays, name: str, dimensions: int) -> tuple[int, ...]:
    """Shape of a weight that must be there; MalformedError otherwise."""
    if name not in arrays:
        raise MalformedError(f"the weight {name} is missing")
    if arrays[name].ndim != dimensions:
        raise MalformedError(f"the weight {name} has {arrays[name].ndim} dimensions instead of {dimensions}")
    return arrays[name].shape


def count_layers(arrays: Arrays, prefix: str) -> int:
    """How many of prefix0.weight, prefix1.weight, ... there are."""
    count = 0
    while f"{prefix}{count}.weight" in arrays:
        count += 1
    return count


def channel_rule(widths: dict[int, int]) -> tuple[int, int]:
    """(channel_base, channel_max) such that min(base // r, max) is the width at each resolution r."""
    resolution = max(widths)
    channel_max = max(widths.values())
    narrow = [r for r, width in widths.items() if width < channel_max]
    base_at = min(narrow) if narrow else resolution
    return widths[base_at] * base_at, channel_max


def filter_taps(f: np.ndarray | None) -> tuple[float, ...]:
    """The 1-D taps of a stored filter, which is 2-D (the outer product, sum 1) or 1-D."""
    if f is None:
        return DEFAULT_FILTER
    if f.ndim not in (1, 2) or not 1 <= f.shape[0] <= 64 or f.shape[0] != f.shape[-1]:
        raise MalformedError("its resampling filter is not a filter")
    taps = f if f.ndim == 1 else f.sum(axis=0)
    return tuple(float(tap) for tap in taps)


def generator_config(
    arrays: Arrays,
    conv_clamp: float | None = None,
    mapping_lr_multiplier: float = MAPPING_LR_MULTIPLIER,
    mapping_activation: str = MAPPING_ACTIVATIONS[0],
) -> StyleGAN2Config:
    """The configuration that fits the weights of a generator; MalformedError when they are not a StyleGAN2's.

    Weights do not show what the other arguments say: files with nothing but weights have the usual ones.
    """
    present = [r for r in (4, *RESOLUTIONS) if f"synthesis.b{r}.conv1.weight" in arrays]
    if len(present) < 2:
        raise MalformedError("it has no StyleGAN2 synthesis blocks")
    resolution = present[-1]
    widths = {r: shape_of(arrays, f"synthesis.b{r}.conv1.weight", 4)[0] for r in present}
    channel_base, channel_max = channel_rule(widths)
    layers = count_layers(arrays, "mapping.fc")
    layer_features, fc0_inputs = shape_of(arrays, "mapping.fc0.weight", 2)
    w_dim = shape_of(arrays, f"mapping.fc{layers - 1}.weight", 2)[0]
    conditional = "mapping.embed.weight" in arrays
    embed_features, c_dim = shape_of(arrays, "mapping.embed.weight", 2) if conditional else (0, 0)
    return StyleGAN2Config(
        z_dim=fc0_inputs - embed_features,
        c_dim=c_dim,
        w_dim=w_dim,
        resolution=resolution,
        image_channels=shape_of(arrays, f"synthesis.b{resolution}.torgb.weight", 4)[0],
        channel_base=channel_base,
        channel_max=channel_max,
        mapping_layers=layers,
        architecture=_architecture(arrays, resolution),
        conv_clamp=conv_clamp,
        use_noise="synthesis.b4.conv1.noise_const" in arrays,
        resample_filter=filter_taps(arrays.get("synthesis.b4.resample_filter")),
        embed_features=None if embed_features in (0, w_dim) else embed_features,
        layer_features=None if layers == 1 or layer_features == w_dim else layer_features,
        mapping_lr_multiplier=mapping_lr_multiplier,
        mapping_activation=mapping_activation,
    )


def _architecture(arrays: Arrays, resolution: int) -> str:
    if f"synthesis.b{resolution}.skip.weight" in arrays:
        return "resnet"
    return "skip" if "synthesis.b4.torgb.weight" in arrays else "orig"


def discriminator_config(arrays: Arrays, conv_clamp: float | None = None, group_size: int = 4) -> DiscriminatorConfig:
    """The configuration that fits the weights of a residual discriminator; MalformedError when there is none."""
    present = [r for r in RESOLUTIONS if f"b{r}.conv0.weight" in arrays]
    if not present or f"b{present[-1]}.skip.weight" not in arrays:
        raise MalformedError("it has no residual StyleGAN2 discriminator")
    resolution = present[-1]
    widths = {r: shape_of(arrays, f"b{r}.conv0.weight", 4)[0] for r in present}
    widths[4] = shape_of(arrays, "b4.conv.weight", 4)[0]
    channel_base, channel_max = channel_rule(widths)
    conditional = "mapping.embed.weight" in arrays
    return DiscriminatorConfig(
        resolution=resolution,
        c_dim=shape_of(arrays, "mapping.embed.weight", 2)[1] if conditional else 0,
        image_channels=shape_of(arrays, f"b{resolution}.fromrgb.weight", 4)[1],
        channel_base=channel_base,
        channel_max=channel_max,
        conv_clamp=conv_clamp,
        cmap_dim=shape_of(arrays, "b4.out.weight", 2)[0],
        mapping_layers=count_layers(arrays, "mapping.fc"),
        group_size=group_size,
        resample_filter=filter_taps(arrays.get(f"b{resolution}.conv1.resample_filter")),
    )


def add_generator_filters(arrays: Arrays, config: StyleGAN2Config) -> None:
    """Add the filter buffers that official files store per layer and others leave out."""
    f = make_filter(config.resample_filter).numpy()
    for r in config.block_resolutions:
        owners = ["", "conv1."] + (["conv0."] if r > 4 else []) + (["skip."] if _has_skip(config, r) else [])
        for owner in owners:
            arrays.setdefault(f"synthesis.b{r}.{owner}resample_filter", f)


def _has_skip(config: StyleGAN2Config, resolution: int) -> bool:
    return config.architecture == "resnet" and resolution > 4


def fit_discriminator_filters(arrays: Arrays, config: DiscriminatorConfig) -> Arrays:
    """The arrays with one filter per convolution and none elsewhere (official files also keep one per block)."""
    f = make_filter(config.resample_filter).numpy()
    fitted = {name: value for name, value in arrays.items() if not name.endswith("resample_filter")}
    convolutions = [n.removesuffix(".weight") for n, v in fitted.items() if n.endswith(".weight") and v.ndim == 4]
    for name in convolutions:
        fitted[f"{name}.resample_filter"] = arrays.get(f"{name}.resample_filter", f)
    return fitted
