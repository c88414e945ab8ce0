"""Small checkpoints in each public format, written from our own generators.

The official code is not needed to read its files, and not to write them either: stand-in modules with the official
names let Python's pickle write the same globals. This keeps the readers tested where the golden files are absent.
"""

from __future__ import annotations

import argparse
import io
import pickle
import sys
import types
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gan_edit_engine.generators import build
from gan_edit_engine.generators.discriminator import Discriminator, DiscriminatorConfig
from gan_edit_engine.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from gan_edit_engine.generators.stylegan3 import LayerSpec, StyleGAN3, StyleGAN3Config

_TWO_MAPPING_LAYERS = StyleGAN2Config(mapping_layers=2)
SOURCE = "raise RuntimeError('the embedded source was executed')"


def small_stylegan2(**changes: Any) -> StyleGAN2:
    """A random StyleGAN2 of 16 pixels whose every weight differs from its initial value."""
    torch.manual_seed(3)
    config = {"z_dim": 5, "w_dim": 6, "resolution": 16, "channel_base": 128, "channel_max": 8, "mapping_layers": 2}
    generator = build(StyleGAN2Config(**{**config, **changes})).requires_grad_(False)
    for name, parameter in generator.named_parameters():
        if name.endswith(("bias", "noise_strength")):
            parameter.add_(torch.randn_like(parameter) * 0.3)
    generator.mapping.w_avg.normal_()
    return generator


def small_stylegan3(**changes: Any) -> StyleGAN3:
    """A random StyleGAN3 of 8 pixels: one filtered layer and ToRGB."""
    torch.manual_seed(4)
    body = LayerSpec("L0_8_4", 4, 4, 8, 8, 2, 4, 2, 4, False, (1, 0), 3, False, 256.0)
    torgb = LayerSpec("L1_8_3", 4, 3, 8, 8, 1, 1, 1, 1, False, (0, 0), 1, True, 256.0)
    config = {"z_dim": 5, "c_dim": 0, "w_dim": 6, "resolution": 8, "image_channels": 3, "mapping_layers": 2,
              "input_channels": 4, "input_size": 8, "input_sampling_rate": 8.0, "input_bandwidth": 2.0,
              "layers": (body, torgb)}  # fmt: skip
    generator = build(StyleGAN3Config(**{**config, **changes})).requires_grad_(False)
    for name in ("freqs", "phases"):
        generator.synthesis.input.get_buffer(name).normal_()
    for name in ("up_filter", "down_filter"):
        generator.synthesis.get_submodule("L0_8_4").get_buffer(name).uniform_()
    generator.mapping.w_avg.normal_()
    return generator


def small_discriminator(**changes: Any) -> Discriminator:
    """A random residual discriminator of 16 pixels."""
    torch.manual_seed(5)
    config = {"resolution": 16, "channel_base": 128, "channel_max": 8}
    return Discriminator(DiscriminatorConfig(**{**config, **changes})).requires_grad_(False)


@contextmanager
def official_modules() -> Iterator[None]:
    """Stand-ins for the official packages, importable while the block runs (pickle checks what it writes)."""
    modules = {}
    for name, members in {
        "torch_utils": [],
        "torch_utils.persistence": [_reconstruct_persistent_obj],
        "dnnlib": [],
        "dnnlib.util": [EasyDict],
        "dnnlib.tflib": [],
        "dnnlib.tflib.network": [Network],
        "dill": [],
        "dill._dill": [_create_array],
    }.items():
        modules[name] = types.ModuleType(name)
        for member in members:
            member.__module__ = name
            setattr(modules[name], member.__name__, member)
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            del sys.modules[name]


class EasyDict(dict):  # type: ignore[type-arg]
    """Stand-in for dnnlib's dictionary."""


class Network:
    """Stand-in for a TensorFlow network; its state is all that a file holds of it."""


def _reconstruct_persistent_obj(meta: object) -> None:
    """Stand-in for the official hook, which would execute the embedded source."""


def _create_array(*_: object) -> None:
    """Stand-in for dill's maker of numpy arrays."""


class DillArray:
    """Pickles as dill writes a numpy array."""

    def __init__(self, array: np.ndarray) -> None:
        self.parts = array.__reduce__()

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return _create_array, (*self.parts, None)


class PersistentObject:
    """Pickles as one of NVIDIA's persistent objects."""

    def __init__(self, class_name: str, state: dict[str, Any]) -> None:
        meta = {"type": "class", "version": 6, "module_src": SOURCE, "class_name": class_name, "state": state}
        self.meta = EasyDict(meta)

    def __reduce__(self) -> tuple[Any, tuple[Any]]:
        return _reconstruct_persistent_obj, (self.meta,)


def persistent(
    module: nn.Module, attributes: dict[str, dict[str, Any]], path: str = ""
) -> PersistentObject | nn.Embedding:
    """``module`` as a tree of persistent objects with extra attributes by full submodule name.

    torch's own look-up table stays what it is: StyleGAN-XL's files hold one as an ordinary torch module.
    """
    if isinstance(module, nn.Embedding):
        return module
    prefix = f"{path}." if path else ""
    children = {n: persistent(c, attributes, prefix + n) for n, c in module.named_children()}
    state = {
        "training": False,
        "_parameters": OrderedDict(module._parameters),
        "_buffers": OrderedDict(module._buffers),
        "_modules": OrderedDict(children),
        "_non_persistent_buffers_set": set(),
        **attributes.get(path, {}),
    }
    return PersistentObject(type(module).__name__, state)


def mapping_attributes(config: StyleGAN2Config | StyleGAN3Config) -> dict[str, dict[str, Any]]:
    """What official dense layers carry besides weights."""
    activation = getattr(config, "mapping_activation", "lrelu")
    options = {"bias_gain": config.mapping_lr_multiplier, "activation": activation}
    return {f"mapping.fc{i}": dict(options) for i in range(config.mapping_layers)}


def stylegan2_attributes(
    clamp: float | None, config: StyleGAN2Config = _TWO_MAPPING_LAYERS
) -> dict[str, dict[str, Any]]:
    """What the reader needs besides weights."""
    return {
        **mapping_attributes(config),
        "synthesis.b4.conv1": {"conv_clamp": clamp},
        "b4.conv": {"conv_clamp": clamp},
    }


def stylegan3_attributes(generator: StyleGAN3, dill: bool = False) -> dict[str, dict[str, Any]]:
    """The geometry that official StyleGAN3 modules carry; sizes are numpy arrays, as numpy or as dill writes them."""

    def side(size: int) -> np.ndarray | DillArray:
        array = np.array([size, size])
        return DillArray(array) if dill else array

    config = generator.config
    found: dict[str, dict[str, Any]] = {
        "": {"z_dim": config.z_dim, "w_dim": config.w_dim, "c_dim": config.c_dim},
        "synthesis": {"layer_names": [spec.name for spec in config.layers], "output_scale": config.output_scale},
        "synthesis.input": {
            "size": side(config.input_size),
            "sampling_rate": np.float64(config.input_sampling_rate),
            "bandwidth": np.float64(config.input_bandwidth),
        },
        **mapping_attributes(config),
    }
    for spec in config.layers:
        values = {n: getattr(spec, n) for n in ("up_factor", "up_taps", "down_factor", "down_taps", "down_radial")}
        sizes = {"in_size": side(spec.in_size), "out_size": side(spec.out_size)}
        rest = {"padding": [*spec.padding, *spec.padding], "is_torgb": spec.is_torgb, "conv_clamp": spec.conv_clamp}
        found[f"synthesis.{spec.name}"] = {**values, **sizes, **rest}
    return found


def nvidia_pickle(
    generator: nn.Module, attributes: dict[str, dict[str, Any]], discriminator: nn.Module | None
) -> bytes:
    """A snapshot {G_ema[, D]} as stylegan2-ada-pytorch, stylegan3 and StyleGAN-XL write it."""
    with official_modules():
        content = {"training_set_kwargs": EasyDict(path="x"), "G_ema": persistent(generator, attributes)}
        if discriminator is not None:
            content["D"] = persistent(discriminator, attributes)
        return pickle.dumps(content, protocol=4)


def whole_module(generator: nn.Module, attributes: dict[str, dict[str, Any]], legacy: bool = False) -> bytes:
    """A module saved by torch.save, as pivotal tuning does."""
    buffer = io.BytesIO()
    with official_modules():
        torch.save(persistent(generator, attributes), buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


def tensorflow_pickle(generator: StyleGAN2, discriminator: Discriminator, **arguments: Any) -> bytes:
    """The triple (G, D, Gs) of TensorFlow networks; ``arguments`` are those that Gs was made with."""
    mapping, synthesis, top = [], [], []
    for name, value in generator.state_dict().items():
        owner, variable = _tensorflow_generator(name, value.numpy())
        {"mapping": mapping, "synthesis": synthesis, "": top, "skip": []}[owner].append(variable)
    found = [_tensorflow_discriminator(name, value.numpy()) for name, value in discriminator.state_dict().items()]
    components = {"mapping": _network([*mapping]), "synthesis": _network([*synthesis])}
    networks = (_network([]), _network([v for v in found if v[0]]), _network(top, components, arguments))
    with official_modules():
        return pickle.dumps(networks, protocol=4)


def _network(
    variables: list[tuple[str, np.ndarray]],
    components: dict[str, Network] | None = None,
    arguments: dict[str, Any] | None = None,
) -> Network:
    network = Network()
    network.__dict__ = {"version": 5, "static_kwargs": EasyDict(arguments or {}), "build_module_src": SOURCE}
    network.__dict__ |= {"components": EasyDict(components or {}), "variables": variables}
    return network


def _tensorflow_generator(name: str, value: np.ndarray) -> tuple[str, tuple[str, np.ndarray]]:
    """(network, (TensorFlow name, value)) of an official PyTorch weight; the inverse of the reader's conversion."""
    parts = name.split(".")
    if name == "mapping.w_avg":
        return "", ("dlatent_avg", value)
    if parts[0] == "mapping":
        return "mapping", (f"Dense{parts[1][2:]}/{parts[2]}", value.T if parts[2] == "weight" else value)
    if parts[-1] == "resample_filter":
        return "skip", ("", value)
    resolution = int(parts[1][1:])
    if parts[2] == "const":
        return "synthesis", ("4x4/Const/const", value[None])
    if parts[-1] == "noise_const":
        index = 2 * int(np.log2(resolution)) - (5 if parts[2] == "conv0" else 4)
        return "synthesis", (f"noise{index}", value[None, None])
    layer = {"conv0": "Conv0_up", "conv1": "Conv" if resolution == 4 else "Conv1", "torgb": "ToRGB"}[parts[2]]
    kind = {"affine.weight": "mod_weight", "affine.bias": "mod_bias"}.get(".".join(parts[3:]), parts[3])
    if kind == "weight":
        value = value.transpose(2, 3, 1, 0)
        value = value[::-1, ::-1] if layer == "Conv0_up" else value
    converted = {"mod_weight": value.T, "mod_bias": value - 1}.get(kind, value)
    return "synthesis", (f"{resolution}x{resolution}/{layer}/{kind}", np.array(converted, order="C"))


def _tensorflow_discriminator(name: str, value: np.ndarray) -> tuple[str, np.ndarray]:
    block, layer, kind = name.split(".")
    if kind == "resample_filter":
        return "", value
    names = {
        "fromrgb": "FromRGB",
        "conv0": "Conv0",
        "conv1": "Conv1_down",
        "skip": "Skip",
        "conv": "Conv",
        "fc": "Dense0",
    }
    converted = value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T
    owner = "Output" if layer == "out" else f"{block[1:]}x{block[1:]}/{names[layer]}"
    return f"{owner}/{kind}", np.array(converted, order="C")


def rosinality_file(generator: StyleGAN2, discriminator: Discriminator | None, trained: bool) -> bytes:
    """{g_ema, latent_avg}, or with ``trained`` what training saves: no mean w, but d and a Namespace."""
    state = {}
    for name, value in generator.state_dict().items():
        new_name, new_value = _rosinality_generator(name, value)
        state[new_name] = new_value
    content: dict[str, Any] = {"g_ema": {name: value for name, value in state.items() if name}}
    if trained:
        content |= {"args": argparse.Namespace(size=16), "g_optim": {"state": {}}, "ada_aug_p": 0.0}
    else:
        content["latent_avg"] = generator.w_avg
    if discriminator is not None:
        found = [
            _rosinality_discriminator(n, v, discriminator.config.resolution)
            for n, v in discriminator.state_dict().items()
        ]
        content["d"] = {name: value for name, value in found if name}
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def _rosinality_generator(name: str, value: Tensor) -> tuple[str, Tensor]:
    parts = name.split(".")
    if parts[0] == "mapping":
        return (f"style.{int(parts[1][2:]) + 1}.{parts[2]}", value) if parts[1] != "w_avg" else ("", value)
    if parts[2] == "const":
        return "input.input", value[None]
    resolution = int(parts[1][1:])
    index = 2 * int(np.log2(resolution)) - 6
    if parts[-1] == "resample_filter":
        return f"convs.{index}.conv.blur.kernel" if parts[2] == "conv0" else "", value
    if parts[-1] == "noise_const":
        return f"noises.noise_{index + (1 if parts[2] == 'conv0' else 2)}", value[None, None]
    kind = ".".join(parts[3:])
    if parts[2] == "torgb":
        owner = "to_rgb1" if resolution == 4 else f"to_rgbs.{index // 2}"
    else:
        owner = "conv1" if resolution == 4 else f"convs.{index + int(parts[2] == 'conv1')}"
    new = {"weight": "conv.weight", "affine.weight": "conv.modulation.weight", "affine.bias": "conv.modulation.bias"}
    new |= {"noise_strength": "noise.weight", "bias": "bias" if parts[2] == "torgb" else "activate.bias"}
    if kind == "weight" or kind == "noise_strength":
        value = value[None]
    elif kind == "bias" and parts[2] == "torgb":
        value = value.reshape(1, -1, 1, 1)
    return f"{owner}.{new[kind]}", value


def _rosinality_discriminator(name: str, value: Tensor, resolution: int) -> tuple[str, Tensor]:
    block, layer, kind = name.split(".")
    if kind == "resample_filter":
        return "", value
    final = {"conv": "final_conv.{}", "fc": "final_linear.0", "out": "final_linear.1", "fromrgb": "convs.0.{}"}
    if layer in ("fc", "out"):
        return f"{final[layer]}.{kind}", value
    if layer in final:
        return f"{final[layer].format(0 if kind == 'weight' else 1)}.{kind}", value
    index = int(np.log2(resolution // int(block[1:]))) + 1
    place = {"conv0": ("conv1.0", "conv1.1"), "conv1": ("conv2.1", "conv2.2"), "skip": ("skip.1", "skip.1")}[layer]
    return f"convs.{index}.{place[0 if kind == 'weight' else 1]}.{kind}", value
