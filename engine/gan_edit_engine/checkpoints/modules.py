"""From plain data to named arrays: pickled module trees, state dicts, and the step to torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from gan_edit_engine.checkpoints.errors import MalformedError
from gan_edit_engine.checkpoints.plain_data import Array, Instance, Persistent
from gan_edit_engine.generators import Config, DiscriminatorConfig

Arrays = dict[str, np.ndarray]
MAX_DEPTH = 16
# Modules, weights and buffers of one network together, and how long their names may be.
MAX_ENTRIES = 50_000
MAX_NAME = 200


@dataclass(frozen=True)
class GeneratorParts:
    """What a reader finds: the architecture and the arrays under official names.

    ``sample_w_avg``: the file holds no mean w, so it has to be sampled.
    """

    config: Config
    arrays: Arrays
    sample_w_avg: bool = False


@dataclass(frozen=True)
class DiscriminatorParts:
    """The discriminator's architecture and arrays under official names."""

    config: DiscriminatorConfig
    arrays: Arrays


@dataclass
class ModuleTree:
    """A pickled module without its code: arrays by full name, and each submodule's attributes by its full name."""

    arrays: Arrays = field(default_factory=dict)
    attributes: dict[str, dict[str, object]] = field(default_factory=dict)

    def attribute(self, module: str, name: str, default: object = None) -> object:
        """An attribute of a submodule ("" is the root); ``default`` where either is missing."""
        return self.attributes.get(module, {}).get(name, default)


def module_state(module: object) -> dict[str, object] | None:
    """The attributes of a pickled module, or None when ``module`` is not one."""
    if isinstance(module, (Persistent, Instance)) and "_modules" in module.state:
        return module.state
    return None


def flatten(module: object) -> ModuleTree:
    """Walk ``_modules``; MalformedError when it is no module, deeper or larger than any model, or contains itself."""
    tree, entries = ModuleTree(), 0
    pending: list[tuple[str, object, int]] = [("", module, 0)]
    while pending:
        name, current, depth = pending.pop()
        state = module_state(current)
        if state is None:
            raise MalformedError(f"its part {name or 'G'!r} is not a pickled module")
        parameters, buffers, children = (
            _dictionary(state.get(kind), name) for kind in ("_parameters", "_buffers", "_modules")
        )
        entries += 1 + len(parameters) + len(buffers) + len(children)
        if depth > MAX_DEPTH or entries > MAX_ENTRIES:
            raise MalformedError("its modules are nested in each other more deeply than in any model")
        tree.attributes[name] = state
        prefix = f"{name}." if name else ""
        tree.arrays.update({**named_arrays(parameters, prefix), **named_arrays(buffers, prefix)})
        for child, value in children.items():
            if value is not None:
                pending.append((f"{prefix}{child}", value, depth + 1))
    return tree


def _dictionary(value: object, name: str) -> dict[str, object]:
    if value is None:
        return {}
    if not isinstance(value, dict) or len(value) > MAX_ENTRIES:
        raise MalformedError(f"its part {name or 'G'!r} is damaged")
    if not all(isinstance(key, str) and len(key) <= MAX_NAME for key in value):
        raise MalformedError(f"its part {name or 'G'!r} is damaged")
    return value


def named_arrays(values: Mapping[str, object], prefix: str = "") -> Arrays:
    """The arrays among ``values`` with ``prefix`` before their names; None entries are skipped."""
    return {f"{prefix}{name}": value.numpy() for name, value in values.items() if isinstance(value, Array)}


def to_tensors(arrays: Arrays) -> dict[str, Tensor]:
    """Copies as torch tensors, floating point as float32; the file's budget bounds them (`Array.numpy`)."""
    return {name: _tensor(array) for name, array in arrays.items()}


def _tensor(array: np.ndarray) -> Tensor:
    dtype = np.float32 if array.dtype.kind == "f" else np.int64
    return torch.from_numpy(np.array(array, dtype=dtype, order="C"))


def integer(value: object, name: str, minimum: int = 0, maximum: int = 1 << 20) -> int:
    """``value`` as an int within bounds; MalformedError naming it otherwise."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not minimum <= value <= maximum:
        raise MalformedError(f"its {name} is not a number from {minimum} to {maximum}")
    if value != int(value):
        raise MalformedError(f"its {name} is not a whole number")
    return int(value)


def number(value: object, name: str) -> float:
    """``value`` as a finite float; MalformedError naming it otherwise."""
    if not isinstance(value, (int, float)) or not abs(value) <= 1e6:
        raise MalformedError(f"its {name} is not a number")
    return float(value)


def optional_number(value: object, name: str) -> float | None:
    """``value`` as a finite float or None; MalformedError naming it otherwise."""
    return None if value is None else number(value, name)
