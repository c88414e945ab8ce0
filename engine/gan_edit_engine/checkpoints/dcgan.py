"""DCGAN state dicts: pytorch/examples (``main.N``), the course's DCGenerator (``up_convN``), and others of their shape.

Names are free: what counts is which layers there are, in which order, and of which shapes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gan_edit_engine.checkpoints.errors import MalformedError
from gan_edit_engine.checkpoints.modules import Arrays, GeneratorParts, named_arrays
from gan_edit_engine.checkpoints.plain_data import Array
from gan_edit_engine.checkpoints.state_dicts import StateDict, state_dicts
from gan_edit_engine.generators.dcgan import DCGANConfig

Shape = tuple[int, ...]
COLOURS = (1, 3)
# By these names a file is one of the two, whatever is wrong with it.
USUAL_NAMES = ("main.0.weight", "up_conv1.0.weight", "up_conv1.1.weight")
# Below, noise and labels together cannot be told from noise alone; above, noise comes in round numbers.
ANY_NOISE = 64
_LABELS = re.compile(r"label|class|cond|embed", re.IGNORECASE)  # in the name of a module
_CLASSES = re.compile(r"label|classes", re.IGNORECASE)  # in that of a number beside the weights


def recognizes(content: object) -> bool:
    """Whether there is a DCGAN's state dict in ``content``."""
    return _find(content) is not None


def generator(content: object) -> GeneratorParts:
    """The DCGAN in a state dict; MalformedError when its layers are not a DCGAN generator's, or it takes labels."""
    state = _find(content)
    if state is None:
        raise MalformedError("it holds no DCGAN")
    if is_discriminator(state):
        raise MalformedError("it is a DCGAN's discriminator, not a DCGAN generator")
    _check_noise_alone(content, state)
    arrays = named_arrays(state)
    parts = _upsample(arrays) if _upsamples(state) else _transposed(arrays)
    return GeneratorParts(parts.config, {f"synthesis.{name}": value for name, value in parts.arrays.items()})


def is_discriminator(state: StateDict) -> bool:
    """Whether these are a DCGAN discriminator's weights: 4x4 convolutions from an image down to one number."""
    layers = _Layers.of(state)
    shapes = layers.shapes
    ordinary = len(shapes) > 1 and _of_kernel(shapes, 4) and all(a[0] == b[1] for a, b in pairwise(shapes))
    return ordinary and not layers.follow() and shapes[0][1] in COLOURS


def _find(content: object) -> StateDict | None:
    for state in state_dicts(content):
        layers = _Layers.of(state)
        if layers.follow() and _of_kernel(layers.shapes, 4) and layers.shapes[-1][1] in COLOURS:
            return state
        if layers.joined() or _upsamples(state) or any(name in state for name in USUAL_NAMES):
            return state
    return None


@dataclass(frozen=True)
class _Layers:
    """The modules of a state dict by kind, in order: convolutions with their shapes, normalisations, all others."""

    convolutions: list[str]
    shapes: list[Shape]
    norms: list[str]
    others: list[str]

    @classmethod
    def of(cls, state: Mapping[str, Array | np.ndarray]) -> _Layers:
        """As they stand in the file, or by the numbers in their names if only so they follow each other."""
        owners = list(dict.fromkeys(name.rpartition(".")[0] for name in state))
        found = cls._in_order(state, owners)
        return found if found.follow() else cls._in_order(state, sorted(owners, key=_numbers_as_such))

    @classmethod
    def _in_order(cls, state: Mapping[str, Array | np.ndarray], owners: list[str]) -> _Layers:
        found = cls([], [], [], [])
        for owner in owners:
            weight = state.get(f"{owner}.weight")
            if weight is not None and len(weight.shape) == 4:
                found.convolutions.append(owner)
                found.shapes.append(tuple(weight.shape))
            elif f"{owner}.running_mean" in state or (weight is not None and len(weight.shape) == 1):
                found.norms.append(owner)
            else:
                found.others.append(owner)
        return found

    def follow(self) -> bool:
        """Whether each is a transposed convolution [in, out, k, k] of what the one before gives."""
        return len(self.shapes) > 1 and all(a[1] == b[0] for a, b in pairwise(self.shapes))

    def joined(self) -> bool:
        """Whether the third takes what the first two give: one of the noise, one of the labels."""
        if len(self.shapes) < 4 or not _of_kernel(self.shapes, 4):
            return False
        both = self.shapes[0][1] + self.shapes[1][1] == self.shapes[2][0]
        return both and all(a[1] == b[0] for a, b in pairwise(self.shapes[2:]))


def _numbers_as_such(name: str) -> list[tuple[int, str]]:
    return [(int(part[:18]), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]


def _of_kernel(shapes: Sequence[Shape], side: int) -> bool:
    return all(shape[2:] == (side, side) for shape in shapes)


def _check_noise_alone(content: object, state: StateDict) -> None:
    """MalformedError where labels are put in beside noise: what would be drawn without them is of no class at all."""
    layers = _Layers.of(state)
    said = [name for name, count in content.items() if _counts_labels(name, count)] if isinstance(content, dict) else []
    telling = [*said, *(name for name in layers.others if _LABELS.search(name))]
    if telling or layers.joined():
        raise MalformedError(f"it takes labels beside noise, which is not supported ({(telling or ['two inputs'])[0]})")
    size = layers.shapes[0][0] if layers.follow() else 0
    if not _is_noise(size):
        noise = max(filter(_is_noise, range(size)))
        raise MalformedError(
            f"its first layer takes {size} values, as of {noise} of noise and {size - noise} labels: "
            "DCGANs with labels are not supported"
        )


def _counts_labels(name: object, count: object) -> bool:
    return isinstance(name, str) and bool(_CLASSES.search(name)) and type(count) is int and count > 1


def _is_noise(size: int) -> bool:
    return size <= ANY_NOISE or size % 32 == 0 or size % 25 == 0


def _transposed(arrays: Arrays) -> GeneratorParts:
    layers = _Layers.of(arrays)
    shapes = layers.shapes
    if len(shapes) < 2 or not _of_kernel(shapes, 4):
        raise MalformedError("it is not a DCGAN of 4x4 transposed convolutions")
    if not layers.follow():
        raise MalformedError("it is not a DCGAN generator: its layers do not follow each other")
    if layers.others or len(layers.norms) not in (0, len(shapes) - 1):
        other = (layers.others or layers.norms)[-1]
        raise MalformedError(f"it is not a DCGAN generator: it has other layers too ({other[:60]})")
    config = DCGANConfig(
        z_dim=shapes[0][0],
        channels=tuple(shape[1] for shape in shapes[:-1]),
        image_channels=shapes[-1][1],
        variant="transposed",
        norm=_norm(arrays, layers.norms),
        bias=_bias([f"{name}.bias" in arrays for name in layers.convolutions]),
    )
    names = {name: f"main.{3 * i}" for i, name in enumerate(layers.convolutions)}
    names |= {name: f"main.{3 * i + 1}" for i, name in enumerate(layers.norms)}
    return GeneratorParts(config, _with_batch_counts(_renamed(arrays, names), config))


def _upsamples(state: Mapping[str, Array | np.ndarray]) -> bool:
    """Whether these are the course's blocks: the convolution is at 0 in a padded first one, at 1 behind an upsampling.

    Convolutions of 3x3 are in many networks; so each has to be in a block of its own, at its place in it.
    """
    if any(name in state for name in USUAL_NAMES[1:]):
        return True
    layers = _Layers.of(state)
    places = [name.rpartition(".") for name in layers.convolutions]
    shapes = layers.shapes
    if len(shapes) < 2 or len({block for block, _, _ in places}) < len(places) or layers.others:
        return False
    kernel = shapes[0][2]
    first = "1" if kernel == 3 else "0"
    in_place = [index for _, _, index in places] == [first] + ["1"] * (len(places) - 1)
    one_after_another = all(a[0] == b[1] for a, b in pairwise(shapes)) and _of_kernel(shapes[1:], 3)
    ends = kernel in (2, 3, 4) and shapes[0][1] not in COLOURS and shapes[-1][0] in COLOURS
    return in_place and one_after_another and ends


def _upsample(arrays: Arrays) -> GeneratorParts:
    layers = _Layers.of(arrays)
    shapes = layers.shapes
    if len(shapes) < 2 or not _of_kernel(shapes[1:], 3):
        raise MalformedError("it is not the course's DCGenerator of 3x3 convolutions")
    kernel = shapes[0][2]
    if layers.convolutions[0].endswith(".1") != (kernel == 3):
        raise MalformedError(f"the first layer of its DCGenerator has an unknown form (kernel {kernel})")
    config = DCGANConfig(
        z_dim=shapes[0][1],
        channels=tuple(shape[0] for shape in shapes[:-1]),
        image_channels=shapes[-1][0],
        variant="upsample",
        norm=_norm(arrays, layers.norms),
        first_kernel=kernel,
        bias=_bias([f"{name}.bias" in arrays for name in layers.convolutions]),
    )
    names: dict[str, str] = {}
    for i, name in enumerate(layers.convolutions):
        block, _, index = name.rpartition(".")
        names[name] = f"up_conv{i + 1}.{index}"
        names[f"{block}.{int(index) + 1}"] = f"up_conv{i + 1}.{int(index) + 1}"
    return GeneratorParts(config, _with_batch_counts(_renamed(arrays, names), config))


def _renamed(arrays: Arrays, owners: Mapping[str, str]) -> Arrays:
    """Under the names of our own modules; what has none keeps its own, and is refused as unknown."""
    parts = ((*name.rpartition("."), value) for name, value in arrays.items())
    return {f"{owners.get(owner, owner)}.{part}": value for owner, _, part, value in parts}


def _norm(arrays: Arrays, norms: list[str]) -> str:
    return "batch" if norms and f"{norms[0]}.running_mean" in arrays else "instance"


def _bias(biased: list[bool]) -> str:
    if all(biased):
        return "all"
    if not any(biased):
        return "none"
    if biased[-1] and not any(biased[:-1]):
        return "last"
    raise MalformedError("its DCGAN has biases on some layers only")


def _with_batch_counts(arrays: Arrays, config: DCGANConfig) -> Arrays:
    """Files older than PyTorch 0.4.1 lack num_batches_tracked, which evaluation does not use."""
    norms = [name.rpartition(".")[0] for name in arrays if name.endswith(".running_mean")]
    return {**{f"{name}.num_batches_tracked": np.zeros((), dtype=np.int64) for name in norms}, **arrays}
