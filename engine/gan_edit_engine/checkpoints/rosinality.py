"""rosinality's stylegan2-pytorch `.pt`: {g_ema, latent_avg} when converted, {g, d, g_ema, args, ...} from training."""

from __future__ import annotations

import re

import numpy as np

from gan_edit_engine.checkpoints import stylegan2_names
from gan_edit_engine.checkpoints.errors import MalformedError
from gan_edit_engine.checkpoints.modules import Arrays, DiscriminatorParts, GeneratorParts, named_arrays
from gan_edit_engine.checkpoints.plain_data import Array

_LAYER_PARTS = {
    "conv.weight": "weight",
    "conv.modulation.weight": "affine.weight",
    "conv.modulation.bias": "affine.bias",
    "noise.weight": "noise_strength",
    "activate.bias": "bias",
    "bias": "bias",
}
_BLOCK_PARTS = {
    "conv1.0.weight": "conv0.weight",
    "conv1.1.bias": "conv0.bias",
    "conv2.1.weight": "conv1.weight",
    "conv2.2.bias": "conv1.bias",
    "skip.1.weight": "skip.weight",
}
_FINAL_PARTS = {
    "convs.0.0.weight": "fromrgb.weight",
    "convs.0.1.bias": "fromrgb.bias",
    "final_conv.0.weight": "b4.conv.weight",
    "final_conv.1.bias": "b4.conv.bias",
    "final_linear.0.weight": "b4.fc.weight",
    "final_linear.0.bias": "b4.fc.bias",
    "final_linear.1.weight": "b4.out.weight",
    "final_linear.1.bias": "b4.out.bias",
}


def recognizes(content: object) -> bool:
    """Whether ``content`` is one of rosinality's dictionaries."""
    state = content.get("g_ema") if isinstance(content, dict) else None
    return isinstance(state, dict) and any(str(key).startswith(("style.", "input.input")) for key in state)


def generator(content: object) -> GeneratorParts:
    """g_ema under the official names; a file saved by training has no mean w, which is then sampled."""
    source = _state(content, "g_ema")
    arrays = dict(_generator_entry(name, value) for name, value in source.items() if not _is_filter(name))
    assert isinstance(content, dict)
    mean = content.get("latent_avg")
    if isinstance(mean, Array):
        arrays["mapping.w_avg"] = mean.numpy().reshape(-1)
    config = stylegan2_names.generator_config(arrays)
    stylegan2_names.add_generator_filters(arrays, config)
    return GeneratorParts(config, arrays, sample_w_avg="mapping.w_avg" not in arrays)


def discriminator(content: object) -> DiscriminatorParts:
    """d under the official names; MalformedError when the file holds none."""
    source = _state(content, "d")
    blocks = [int(match[1]) for name in source if (match := re.match(r"convs\.(\d{1,2})\.conv1", name))]
    if not blocks:
        raise MalformedError("it holds no discriminator")
    resolution = 2 ** (max(blocks) + 2)
    arrays = {
        _discriminator_name(name, resolution): value for name, value in source.items() if not name.endswith("kernel")
    }
    config = stylegan2_names.discriminator_config(arrays)
    return DiscriminatorParts(config, stylegan2_names.fit_discriminator_filters(arrays, config))


def _state(content: object, key: str) -> Arrays:
    state = content.get(key) if isinstance(content, dict) else None
    if not isinstance(state, dict):
        raise MalformedError(f"it holds no {key}")
    return {name.removeprefix("module."): value for name, value in named_arrays(state).items()}


def _is_filter(name: str) -> bool:
    """Blur and upsampling kernels: always the default filter."""
    return name.endswith(".kernel")


def _generator_entry(name: str, value: np.ndarray) -> tuple[str, np.ndarray]:
    if match := re.fullmatch(r"style\.(\d{1,2})\.(weight|bias)", name):
        return f"mapping.fc{int(match[1]) - 1}.{match[2]}", value
    if name == "input.input":
        return "synthesis.b4.const", _first(value, name)
    if match := re.fullmatch(r"noises\.noise_(\d{1,2})", name):
        index = int(match[1])
        owner = f"b{2 ** ((index + 5) // 2)}.conv{0 if index % 2 else 1}"
        return f"synthesis.{owner}.noise_const", _first(_first(value, name), name)
    owner, part = _owner(name)
    if part not in _LAYER_PARTS:
        raise MalformedError(f"the weight {name[:60]} does not belong to rosinality's generator")
    official = f"synthesis.{owner}.{_LAYER_PARTS[part]}"
    if part == "conv.weight":
        return official, _first(value, name)
    if part == "noise.weight":
        return official, _single(value, name)
    return official, value.reshape(-1) if part in ("bias", "activate.bias") else value


def _owner(name: str) -> tuple[str, str]:
    """(official layer, rest of the name)."""
    if match := re.fullmatch(r"(conv1|to_rgb1)\.(.+)", name):
        return f"b4.{'conv1' if match[1] == 'conv1' else 'torgb'}", match[2]
    if match := re.fullmatch(r"convs\.(\d{1,2})\.(.+)", name):
        index = int(match[1])
        return f"b{2 ** (index // 2 + 3)}.conv{index % 2}", match[2]
    if match := re.fullmatch(r"to_rgbs\.(\d{1,2})\.(.+)", name):
        return f"b{2 ** (int(match[1]) + 3)}.torgb", match[2]
    return "", ""


def _first(value: np.ndarray, name: str) -> np.ndarray:
    if value.ndim < 1 or value.shape[0] != 1:
        raise MalformedError(f"the weight {name[:60]} has the shape {list(value.shape)}")
    return value[0]


def _single(value: np.ndarray, name: str) -> np.ndarray:
    if value.size != 1:
        raise MalformedError(f"the weight {name[:60]} has the shape {list(value.shape)}")
    return value.reshape(())


def _discriminator_name(name: str, resolution: int) -> str:
    if name in _FINAL_PARTS:
        part = _FINAL_PARTS[name]
        return part if part.startswith("b4.") else f"b{resolution}.{part}"
    if match := re.fullmatch(r"convs\.(\d{1,2})\.(.+)", name):
        part = _BLOCK_PARTS.get(match[2], "")
        if part:
            return f"b{resolution // 2 ** (int(match[1]) - 1)}.{part}"
    raise MalformedError(f"the weight {name[:60]} does not belong to rosinality's discriminator")
