"""Pickles of stylegan2-ada-pytorch, stylegan3 and StyleGAN-XL: {G, D, G_ema, ...} or one whole module (PTI)."""

from __future__ import annotations

from gan_edit_engine.checkpoints import stylegan2_names
from gan_edit_engine.checkpoints.errors import MalformedError
from gan_edit_engine.checkpoints.modules import (
    DiscriminatorParts,
    GeneratorParts,
    ModuleTree,
    flatten,
    integer,
    module_state,
    number,
    optional_number,
)
from gan_edit_engine.checkpoints.other_networks import DISCRIMINATOR
from gan_edit_engine.checkpoints.plain_data import Array
from gan_edit_engine.generators.base import MAX_LAYERS
from gan_edit_engine.generators.layers import MAPPING_ACTIVATIONS, MAPPING_LR_MULTIPLIER
from gan_edit_engine.generators.stylegan3 import LayerSpec, StyleGAN3Config


def recognizes(content: object) -> bool:
    """Whether ``content`` is a snapshot of one of these code bases."""
    return module_state(_generator_module(content)) is not None


def _generator_module(content: object) -> object:
    """G_ema where there is one: it is the average that the published images come from."""
    if isinstance(content, dict):
        return content.get("G_ema", content.get("G"))
    return content


def generator(content: object) -> GeneratorParts:
    """The generator in a snapshot; MalformedError when it is not a StyleGAN2 or StyleGAN3."""
    tree = flatten(_generator_module(content))
    lr_multiplier, activation = _mapping_options(tree)
    if "synthesis.input.weight" in tree.arrays:
        return _stylegan3(tree, lr_multiplier)
    clamp = optional_number(tree.attribute("synthesis.b4.conv1", "conv_clamp"), "conv_clamp")
    config = stylegan2_names.generator_config(tree.arrays, clamp, lr_multiplier, activation)
    return GeneratorParts(config, tree.arrays, sample_w_avg="mapping.w_avg" not in tree.arrays)


def discriminator(content: object) -> DiscriminatorParts:
    """The discriminator in a snapshot; MalformedError when the file holds none."""
    if not isinstance(content, dict) or module_state(content.get("D")) is None:
        raise MalformedError("it holds no discriminator")
    tree = flatten(content["D"])
    usual = MAPPING_LR_MULTIPLIER, MAPPING_ACTIVATIONS[0]
    if "mapping.fc0.weight" in tree.arrays and _mapping_options(tree) != usual:
        raise MalformedError("its discriminator's mapping network has options that are not supported")
    clamp = optional_number(tree.attribute("b4.conv", "conv_clamp"), "conv_clamp")
    group_size = tree.attribute("b4.mbstd", "group_size", 4)
    # None means the whole batch (stylegan2-ada-pytorch's MinibatchStdLayer).
    group = 1 << 20 if group_size is None else integer(group_size, "group size", 1)
    config = stylegan2_names.discriminator_config(tree.arrays, clamp, group)
    return DiscriminatorParts(config, stylegan2_names.fit_discriminator_filters(tree.arrays, config))


def _mapping_options(tree: ModuleTree) -> tuple[float, str]:
    """(learning rate multiplier, activation) of all layers of the mapping network; fails closed where they differ."""
    if "mapping.fc0.weight" not in tree.arrays:
        raise MalformedError(DISCRIMINATOR if "b4.out.weight" in tree.arrays else "it has no mapping network")
    options = _layer_options(tree, 0, (MAPPING_LR_MULTIPLIER, MAPPING_ACTIVATIONS[0]))
    for i in range(1, stylegan2_names.count_layers(tree.arrays, "mapping.fc")):
        if _layer_options(tree, i, options) != options:
            raise MalformedError("the layers of its mapping network differ in learning rate multiplier or activation")
    return options


def _layer_options(tree: ModuleTree, layer: int, usual: tuple[float, str]) -> tuple[float, str]:
    gain, activation = (
        tree.attribute(f"mapping.fc{layer}", name, value)
        for name, value in zip(("bias_gain", "activation"), usual, strict=True)
    )
    return number(gain, "mapping bias gain"), str(activation)


def _stylegan3(tree: ModuleTree, lr_multiplier: float) -> GeneratorParts:
    names = tree.attribute("synthesis", "layer_names")
    if not isinstance(names, list) or not 1 <= len(names) <= MAX_LAYERS or not all(isinstance(n, str) for n in names):
        raise MalformedError("its StyleGAN3 layers are not listed")
    layers = tuple(_layer(tree, name) for name in names)
    arrays = dict(tree.arrays)
    c_dim = integer(tree.attribute("", "c_dim", 0), "number of classes")
    table = "mapping.embed_proj.weight" in arrays
    if not table and c_dim == 0:
        arrays.pop("mapping.embed.weight", None)  # unconditional StyleGAN-XL keeps a table that it never uses
    count, features = stylegan2_names.shape_of(arrays, "mapping.embed.weight", 2) if table else (0, 0)
    config = StyleGAN3Config(
        z_dim=integer(tree.attribute("", "z_dim"), "z_dim", 1),
        c_dim=c_dim,
        w_dim=integer(tree.attribute("", "w_dim"), "w_dim", 1),
        resolution=layers[-1].out_size,
        image_channels=layers[-1].out_channels,
        mapping_layers=stylegan2_names.count_layers(arrays, "mapping.fc"),
        input_channels=stylegan2_names.shape_of(arrays, "synthesis.input.weight", 2)[0],
        input_size=_side(tree.attribute("synthesis.input", "size"), "input size"),
        input_sampling_rate=number(tree.attribute("synthesis.input", "sampling_rate"), "sampling rate"),
        input_bandwidth=number(tree.attribute("synthesis.input", "bandwidth"), "bandwidth"),
        layers=layers,
        output_scale=number(tree.attribute("synthesis", "output_scale", 0.25), "output scale"),
        embedding_count=count,
        embedding_features=features,
        mapping_lr_multiplier=lr_multiplier,
    )
    return GeneratorParts(config, arrays, sample_w_avg=not table and "mapping.w_avg" not in arrays)


def _side(value: object, name: str) -> int:
    """The side of a square that is stored as one number or as an array [width, height]."""
    if not isinstance(value, Array):
        return integer(value, name, 1)
    sides = value.numpy().reshape(-1).tolist()
    if len(sides) != 2 or sides[0] != sides[1]:
        raise MalformedError(f"its {name} is not square")
    return integer(sides[0], name, 1)


def _layer(tree: ModuleTree, name: str) -> LayerSpec:
    module = f"synthesis.{name}"
    weight = stylegan2_names.shape_of(tree.arrays, f"{module}.weight", 4)

    def count(attribute: str) -> int:
        return integer(tree.attribute(module, attribute), f"{name} {attribute}", 1)

    padding = tree.attribute(module, "padding")
    if not isinstance(padding, list) or len(padding) != 4 or padding[:2] != padding[2:]:
        raise MalformedError(f"its layer {name} has a padding that is not square")
    return LayerSpec(
        name=name,
        in_channels=weight[1],
        out_channels=weight[0],
        in_size=_side(tree.attribute(module, "in_size"), f"{name} size"),
        out_size=_side(tree.attribute(module, "out_size"), f"{name} size"),
        up_factor=count("up_factor"),
        up_taps=count("up_taps"),
        down_factor=count("down_factor"),
        down_taps=count("down_taps"),
        down_radial=tree.attribute(module, "down_radial") is True,
        padding=(_signed(padding[0], name), _signed(padding[1], name)),
        kernel=weight[2],
        is_torgb=tree.attribute(module, "is_torgb") is True,
        conv_clamp=optional_number(tree.attribute(module, "conv_clamp"), "conv_clamp"),
    )


def _signed(value: object, name: str) -> int:
    return integer(value, f"{name} padding", minimum=-4096, maximum=4096)
