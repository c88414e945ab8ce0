"""TensorFlow-era StyleGAN2 pickles: (G, D, Gs) of dnnlib networks, each a list of (name, array)."""

from __future__ import annotations

import re

import numpy as np

from gan_edit_engine.checkpoints import stylegan2_names
from gan_edit_engine.checkpoints.errors import MalformedError
from gan_edit_engine.checkpoints.modules import (
    Arrays,
    DiscriminatorParts,
    GeneratorParts,
    integer,
    number,
    optional_number,
)
from gan_edit_engine.checkpoints.plain_data import Array, Instance
from gan_edit_engine.generators.layers import MAPPING_ACTIVATIONS, MAPPING_LR_MULTIPLIER, make_filter

NETWORK = "dnnlib.tflib.network.Network"
MIN_VERSION = 4
# Arguments that would change what is computed; absent means these values.
FIXED_ARGUMENTS = {
    "nonlinearity": "lrelu",
    "normalize_latents": True,
}


def recognizes(content: object) -> bool:
    """Whether ``content`` is the triple (G, D, Gs)."""
    return (
        isinstance(content, (tuple, list))
        and len(content) == 3
        and all(isinstance(network, Instance) and network.name == NETWORK for network in content)
    )


def generator(content: object) -> GeneratorParts:
    """Gs, the averaged generator, under the official PyTorch names."""
    network = _network(content, 2)
    components = network.get("components")
    if not isinstance(components, dict):
        raise MalformedError("its generator has no components")
    variables = _variables(network)
    for name in ("mapping", "synthesis"):
        part = components.get(name)
        if not isinstance(part, Instance):
            raise MalformedError(f"its generator has no {name} network")
        variables.update(_variables(part.state))
    arrays: Arrays = {}
    for name, value in variables.items():
        target = _generator_name(name, value)
        if target is not None:
            arrays[target[0]] = target[1]
    arguments = _arguments(network)
    arrays["synthesis.b4.resample_filter"] = _resample_kernel(arguments)
    lr_multiplier = number(arguments.get("mapping_lrmul", MAPPING_LR_MULTIPLIER), "mapping_lrmul")
    activation = str(arguments.get("mapping_nonlinearity", MAPPING_ACTIVATIONS[0]))
    config = stylegan2_names.generator_config(arrays, _clamp(arguments), lr_multiplier, activation)
    stylegan2_names.add_generator_filters(arrays, config)
    return GeneratorParts(config, arrays, sample_w_avg="mapping.w_avg" not in arrays)


def discriminator(content: object) -> DiscriminatorParts:
    """D under the official PyTorch names; MalformedError unless it is a residual discriminator."""
    network = _network(content, 1)
    arrays: Arrays = {}
    for name, value in _variables(network).items():
        target = _discriminator_name(name)
        if target is not None:
            arrays[target] = _plain(name, value)
    arguments = _arguments(network)
    group_size = integer(arguments.get("mbstd_group_size", 4), "group size", 1)
    config = stylegan2_names.discriminator_config(arrays, _clamp(arguments), group_size)
    return DiscriminatorParts(config, stylegan2_names.fit_discriminator_filters(arrays, config))


def _network(content: object, index: int) -> dict[str, object]:
    if not recognizes(content):
        raise MalformedError("it is not a TensorFlow StyleGAN2 pickle")
    assert isinstance(content, (tuple, list))
    state: dict[str, object] = content[index].state
    if integer(state.get("version"), "network version") < MIN_VERSION:
        raise MalformedError("it was written by StyleGAN1 or older code; only StyleGAN2 (version 4 on) is supported")
    return state


def _arguments(network: dict[str, object]) -> dict[str, object]:
    """The network's keyword arguments; MalformedError when one of them asks for another computation."""
    arguments = network.get("static_kwargs")
    if not isinstance(arguments, dict):
        return {}
    for name, usual in FIXED_ARGUMENTS.items():
        if arguments.get(name, usual) != usual:
            raise MalformedError(f"it was trained with {name} = {str(arguments[name])[:40]}, which is not supported")
    return arguments


def _clamp(arguments: dict[str, object]) -> float | None:
    return optional_number(arguments.get("conv_clamp"), "conv_clamp")


def _resample_kernel(arguments: dict[str, object]) -> np.ndarray:
    kernel = arguments.get("resample_kernel") or stylegan2_names.DEFAULT_FILTER
    if not isinstance(kernel, (list, tuple)) or not all(isinstance(tap, (int, float)) for tap in kernel):
        raise MalformedError("its resampling filter is not a filter")
    if not 1 <= len(kernel) <= 64 or sum(kernel) == 0:
        raise MalformedError("its resampling filter is not a filter")
    return make_filter(tuple(float(tap) for tap in kernel)).numpy()


def _variables(network: dict[str, object]) -> Arrays:
    variables = network.get("variables")
    if not isinstance(variables, list):
        raise MalformedError("a network has no variables")
    found: Arrays = {}
    for entry in variables:
        if not isinstance(entry, (tuple, list)) or len(entry) != 2 or not isinstance(entry[0], str):
            raise MalformedError("a network's variables are not pairs of name and array")
        if isinstance(entry[1], Array):
            found[entry[0]] = entry[1].numpy()
    return found


def _need(value: np.ndarray, name: str, dimensions: int) -> np.ndarray:
    if value.ndim != dimensions:
        raise MalformedError(f"the weight {name} has {value.ndim} dimensions instead of {dimensions}")
    return value


def _plain(name: str, value: np.ndarray) -> np.ndarray:
    """TensorFlow's axis order turned into torch's: conv [k, k, I, O] -> [O, I, k, k], dense [I, O] -> [O, I]."""
    if not name.endswith("weight"):
        return value
    return value.transpose(3, 2, 0, 1) if value.ndim == 4 else _need(value, name, 2).T


def _generator_name(name: str, value: np.ndarray) -> tuple[str, np.ndarray] | None:
    """Official name and converted value of a generator variable; None for bookkeeping variables."""
    if name == "dlatent_avg":
        return "mapping.w_avg", value
    if match := re.fullmatch(r"Dense(\d{1,2})/(weight|bias)", name):
        return f"mapping.fc{match[1]}.{match[2]}", _plain(name, value)
    if match := re.fullmatch(r"LabelEmbed/(weight|bias)", name):
        return f"mapping.embed.{match[1]}", _plain(name, value)
    if name == "LabelConcat/weight":
        raise MalformedError("it is a class-conditional TensorFlow model of 2019, whose labels are not supported")
    if name == "4x4/Const/const":
        return "synthesis.b4.const", _need(value, name, 4)[0]
    if match := re.fullmatch(r"noise(\d{1,2})", name):
        return _noise_name(int(match[1])), _need(value, name, 4)[0, 0]
    if match := re.fullmatch(r"(\d{1,4})x\1/(Conv|Conv0_up|Conv1|ToRGB|Skip)/(\w+)", name):
        return _layer_name(match[1], match[2], match[3], name, value)
    if re.search(r"ToRGB_lod|FromRGB_lod", name):
        raise MalformedError("it is a progressively grown TensorFlow model, which is not supported")
    return None


def _noise_name(index: int) -> str:
    """noise0 belongs to 4x4; then two per resolution: 2*log2(R) - 5 is conv0's, 2*log2(R) - 4 conv1's."""
    resolution = 2 ** ((index + 5) // 2)
    conv = "conv0" if index % 2 else "conv1"
    return f"synthesis.b{resolution}.{conv}.noise_const"


def _layer_name(resolution: str, layer: str, kind: str, name: str, value: np.ndarray) -> tuple[str, np.ndarray] | None:
    official = {"Conv": "conv1", "Conv0_up": "conv0", "Conv1": "conv1", "ToRGB": "torgb", "Skip": "skip"}[layer]
    prefix = f"synthesis.b{resolution}.{official}"
    if kind == "weight":
        value = _need(value, name, 4)
        # Upsampling convolutions are stored mirrored.
        value = value[::-1, ::-1] if layer in ("Conv0_up", "Skip") else value
        return f"{prefix}.weight", value.transpose(3, 2, 0, 1)
    if kind == "mod_weight":
        return f"{prefix}.affine.weight", _need(value, name, 2).T
    if kind == "mod_bias":
        return f"{prefix}.affine.bias", value + 1
    return (f"{prefix}.{kind}", value) if kind in ("bias", "noise_strength") else None


def _discriminator_name(name: str) -> str | None:
    fixed = {"4x4/Conv": "b4.conv", "4x4/Dense0": "b4.fc", "Output": "b4.out", "LabelEmbed": "mapping.embed"}
    owner, _, kind = name.rpartition("/")
    if kind not in ("weight", "bias"):
        return None
    if owner in fixed:
        return f"{fixed[owner]}.{kind}"
    if match := re.fullmatch(r"Mapping(\d{1,2})", owner):
        return f"mapping.fc{match[1]}.{kind}"
    if match := re.fullmatch(r"(\d{1,4})x\1/(FromRGB|Conv0|Conv1_down|Skip)", owner):
        layer = {"FromRGB": "fromrgb", "Conv0": "conv0", "Conv1_down": "conv1", "Skip": "skip"}[match[2]]
        return f"b{match[1]}.{layer}.{kind}"
    return None
