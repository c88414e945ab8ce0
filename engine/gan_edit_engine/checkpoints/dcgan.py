"""DCGAN state dicts: pytorch/examples (``main.N``) and the course's DCGenerator (``up_convN``)."""

from __future__ import annotations

import numpy as np

from gan_edit_engine.checkpoints.errors import MalformedError
from gan_edit_engine.checkpoints.modules import Arrays, GeneratorParts, named_arrays
from gan_edit_engine.checkpoints.plain_data import Array
from gan_edit_engine.checkpoints.stylegan2_names import shape_of
from gan_edit_engine.generators.dcgan import DCGANConfig

MAX_LAYERS = 9
# Training checkpoints wrap the state dict under one of these names.
WRAPPERS = ("state_dict", "generator", "netG", "model_state_dict", "G")


def recognizes(content: object) -> bool:
    """Whether ``content`` is a DCGAN's state dict, wrapped or from DataParallel or not."""
    state = state_dict(content)
    return "main.0.weight" in state or "up_conv1.0.weight" in state or "up_conv1.1.weight" in state


def state_dict(content: object) -> dict[str, object]:
    """The flat state dict in ``content`` without DataParallel's prefix; empty when there is none."""
    state = _text_keys(content)
    for wrapper in WRAPPERS:
        state = _text_keys(state[wrapper]) if isinstance(state.get(wrapper), dict) else state
    return {key.removeprefix("module."): value for key, value in state.items() if isinstance(value, Array)}


def _text_keys(content: object) -> dict[str, object]:
    return {k: v for k, v in content.items() if isinstance(k, str)} if isinstance(content, dict) else {}


def generator(content: object) -> GeneratorParts:
    """The DCGAN in a state dict; MalformedError when its layers are not a DCGAN generator's."""
    arrays = named_arrays(state_dict(content))
    parts = _transposed(arrays) if "main.0.weight" in arrays else _upsample(arrays)
    return GeneratorParts(parts.config, {f"synthesis.{name}": value for name, value in parts.arrays.items()})


def _transposed(arrays: Arrays) -> GeneratorParts:
    convolutions = [3 * i for i in range(MAX_LAYERS + 1) if f"main.{3 * i}.weight" in arrays]
    shapes = [shape_of(arrays, f"main.{i}.weight", 4) for i in convolutions]
    if len(shapes) < 2 or any(shape[2:] != (4, 4) for shape in shapes):
        raise MalformedError("it is not a DCGAN of 4x4 transposed convolutions")
    if any(later[0] != earlier[1] for earlier, later in zip(shapes, shapes[1:], strict=False)):
        raise MalformedError("it is not a DCGAN generator: its layers do not follow each other")
    biased = [f"main.{i}.bias" in arrays for i in convolutions]
    config = DCGANConfig(
        z_dim=shapes[0][0],
        channels=tuple(shape[1] for shape in shapes[:-1]),
        image_channels=shapes[-1][1],
        variant="transposed",
        norm="batch" if "main.1.running_mean" in arrays else "instance",
        bias=_bias(biased),
    )
    counted = _with_batch_counts(arrays, [f"main.{i + 1}" for i in convolutions[:-1]], config.norm)
    return GeneratorParts(config, counted)


def _upsample(arrays: Arrays) -> GeneratorParts:
    """The course's blocks: the convolution is at 0 in a padded first block, at 1 behind an upsampling."""
    names = [name for i in range(1, MAX_LAYERS + 1) if (name := _conv_name(arrays, i))]
    shapes = [shape_of(arrays, f"{name}.weight", 4) for name in names]
    if len(shapes) < 2 or any(shape[2:] != (3, 3) for shape in shapes[1:]):
        raise MalformedError("it is not the course's DCGenerator of 3x3 convolutions")
    kernel = shapes[0][2]
    if (names[0] == "up_conv1.1") != (kernel == 3):
        raise MalformedError(f"the first layer of its DCGenerator has an unknown form (kernel {kernel})")
    norms = [_norm_name(name) for name in names[:-1]]
    config = DCGANConfig(
        z_dim=shapes[0][1],
        channels=tuple(shape[0] for shape in shapes[:-1]),
        image_channels=shapes[-1][0],
        variant="upsample",
        norm="batch" if f"{norms[0]}.running_mean" in arrays else "instance",
        first_kernel=kernel,
        bias=_bias([f"{name}.bias" in arrays for name in names]),
    )
    return GeneratorParts(config, _with_batch_counts(arrays, norms, config.norm))


def _conv_name(arrays: Arrays, block: int) -> str:
    """Name of the convolution in up_conv{block}, "" when there is no such block."""
    for index in (0, 1):
        name = f"up_conv{block}.{index}"
        if f"{name}.weight" in arrays and arrays[f"{name}.weight"].ndim == 4:
            return name
    return ""


def _norm_name(convolution: str) -> str:
    block, _, index = convolution.rpartition(".")
    return f"{block}.{int(index) + 1}"


def _bias(biased: list[bool]) -> str:
    if all(biased):
        return "all"
    if not any(biased):
        return "none"
    if biased[-1] and not any(biased[:-1]):
        return "last"
    raise MalformedError("its DCGAN has biases on some layers only")


def _with_batch_counts(arrays: Arrays, norms: list[str], norm: str) -> Arrays:
    """Files older than PyTorch 0.4.1 lack num_batches_tracked, which evaluation does not use."""
    if norm != "batch":
        return arrays
    counts = {f"{name}.num_batches_tracked": np.zeros((), dtype=np.int64) for name in norms}
    return {**counts, **arrays}
