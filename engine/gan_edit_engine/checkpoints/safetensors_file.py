"""The project's own model format: one safetensors file whose header holds the architecture and where it comes from.

Every header value is a string (the safetensors rule). ``architecture`` names the family, the fields of the family's
configuration follow under their own names (StyleGAN2's ``architecture`` as ``synthesis_architecture``); the rest is
free text: name, domain, align_points (JSON), provenance, licence, sha256 of the file it was imported from.
"""

from __future__ import annotations

import dataclasses
import json
import reprlib
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from gan_edit_engine.checkpoints.errors import DAMAGE, CheckpointError, one_line
from gan_edit_engine.checkpoints.foreign import HEAD, check_head, check_regular
from gan_edit_engine.generators import CONFIGS, Config, Generator, build_with_weights
from gan_edit_engine.generators.base import MAX_LAYERS
from gan_edit_engine.system.atomic_write import replacing

# Header name of a configuration field where the two differ: "architecture" already names the family.
HEADER_NAMES = {"architecture": "synthesis_architecture"}
# Bounds the number of modules that a header can make us build; the weights themselves are bounded by the file.
MAX_HEADER_INT = 1 << 20
# Headers of models have 50 KB; this bounds what a file in the models folder costs everybody who lists them.
MAX_HEADER = 4 << 20


def is_safetensors(head: bytes) -> bool:
    """Whether a file starting with ``head`` (at least 9 bytes) looks like safetensors: header length, then JSON."""
    return len(head) >= 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 100_000_000


def encode_config(family: str, config: Config) -> dict[str, str]:
    """Header entries that `decode_config` turns back into ``config``."""
    header = {"architecture": family}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        text = value if isinstance(value, str) else "none" if value is None else _dumps(value)
        header[HEADER_NAMES.get(field.name, field.name)] = text
    return header


def _dumps(value: object) -> str:
    return json.dumps(value, default=dataclasses.asdict)  # configurations within one


def decode_config(header: dict[str, str]) -> Config:
    """The configuration in a header; ValueError when the family is unknown or a field does not parse."""
    family = header.get("architecture")
    if family == "encoder" or "discriminator" in header:
        raise ValueError(f"it is {'an encoder' if family == 'encoder' else 'a discriminator'}, not a generator")
    if family not in CONFIGS:
        raise ValueError(f"its header names the architecture {family!r}; known: {', '.join(CONFIGS)}")
    values: dict[str, Any] = {}
    kinds = get_type_hints(CONFIGS[family])
    for field in dataclasses.fields(CONFIGS[family]):
        key = HEADER_NAMES.get(field.name, field.name)
        if key in header:
            values[field.name] = _decode_field(key, kinds[field.name], header[key])
    return CONFIGS[family](**values)


def _decode_field(key: str, kind: Any, text: str) -> object:
    if kind is str:
        return text
    if text == "none" and NoneType in get_args(kind):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"its header entry {key} is not a value: {text[:40]!r}") from None
    return _decode_value(key, kind, value)


def _decode_value(key: str, kind: Any, value: object) -> object:
    """``value``, which is JSON, as the type ``kind`` of a configuration's field: a number, a tuple, a dataclass …"""
    if isinstance(kind, UnionType):  # of one type and None
        (one,) = (one for one in get_args(kind) if one is not NoneType)
        return None if value is None else _decode_value(key, one, value)
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(key, kind, value)
    if get_origin(kind) is tuple:
        if not isinstance(value, list) or len(value) > MAX_LAYERS:
            raise ValueError(f"its header entry {key} must be a list of at most {MAX_LAYERS}, not {_shown(value)}")
        first, *others = get_args(kind)
        kinds = [first] * len(value) if others == [...] else [first, *others]
        if len(kinds) != len(value):
            raise ValueError(f"its header entry {key} must be a list of {len(kinds)}, not {_shown(value)}")
        return tuple(_decode_value(key, one, part) for one, part in zip(kinds, value, strict=True))
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise ValueError(f"its header entry {key} must be {kind.__name__}, not {_shown(value)}")
    if isinstance(value, (int, float)) and not abs(value) <= MAX_HEADER_INT:
        raise ValueError(f"its header entry {key} is out of range: {_shown(value)}")
    return value


def _decode_dataclass(key: str, kind: Any, value: object) -> object:
    kinds = get_type_hints(kind)
    if not isinstance(value, dict) or value.keys() != kinds.keys():
        raise ValueError(f"its header entry {key} holds something with unknown or missing fields: {_shown(value)}")
    return kind(**{name: _decode_value(f"{key}.{name}", kinds[name], value[name]) for name in kinds})


def _shown(value: object) -> str:
    return reprlib.repr(value)


def read_header(path: Path) -> dict[str, str]:
    """The header's free-form entries without loading weights; CheckpointError when the file is not safetensors."""
    _check_head(path)
    try:
        with safe_open(path, "pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise CheckpointError(path, _reason(error)) from None


def _check_head(path: Path) -> None:
    check_regular(path)
    try:
        with path.open("rb") as file:
            head, length = file.read(HEAD), path.stat().st_size
    except OSError as error:
        raise CheckpointError(path, f"it cannot be opened ({error.strerror})") from None
    check_head(path, head)
    if is_safetensors(head):
        header = int.from_bytes(head[:8], "little")
        if header > MAX_HEADER:
            raise CheckpointError(path, "its header is larger than any model's")
        if 8 + header > length:
            raise CheckpointError(path, "it is truncated: it ends within its header")


def _reason(error: Exception) -> str:
    if "not fully covered" in str(error):
        return "it is truncated: it ends in the middle of its weights"
    return f"it is not a valid safetensors file ({error})"


def read(path: Path) -> tuple[Generator, dict[str, str]]:
    """The generator and the header of a file of this project; half-precision weights become float32.

    Raises CheckpointError when the file is damaged, of an unknown architecture, or its weights do not fit.
    """
    header = read_header(path)
    try:
        return build_with_weights(decode_config(header), read_tensors(path)), header
    except DAMAGE as error:
        raise CheckpointError(path, one_line(error)) from None


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file on the CPU, by name; CheckpointError when damaged."""
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(path, _reason(error)) from None


def write(path: Path, generator: Generator, header: dict[str, str], dtype: torch.dtype = torch.float32) -> None:
    """Write ``generator`` with its configuration and ``header`` to ``path``, whole or not at all."""
    tensors = {
        name: (value.detach().to(dtype) if value.is_floating_point() else value).cpu().contiguous()
        for name, value in generator.state_dict().items()
    }
    with replacing(path) as part:
        save_file(tensors, part, metadata={**header, **encode_config(generator.family, generator.config)})
