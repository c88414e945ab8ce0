"""The project's own model format: one safetensors file whose header holds the architecture and where it comes from.

Every header value is a string (the safetensors rule). ``architecture`` names the family, the fields of the family's
configuration follow under their own names (StyleGAN2's ``architecture`` as ``synthesis_architecture``); the rest is
free text: name, domain, align_points (JSON), provenance, licence, sha256 of the file it was imported from.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from gan_edit_engine.checkpoints.errors import DAMAGE, CheckpointError, one_line
from gan_edit_engine.checkpoints.foreign import HEAD, check_head, check_regular
from gan_edit_engine.generators import CONFIGS, Config, Generator, build_with_weights
from gan_edit_engine.generators.base import MAX_LAYERS
from gan_edit_engine.generators.stylegan3 import LayerSpec
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
    return json.dumps(value, default=dataclasses.asdict)  # only StyleGAN3's layers are not JSON already


def decode_config(header: dict[str, str]) -> Config:
    """The configuration in a header; ValueError when the family is unknown or a field does not parse."""
    family = header.get("architecture")
    if family == "encoder" or "discriminator" in header:
        raise ValueError(f"it is {'an encoder' if family == 'encoder' else 'a discriminator'}, not a generator")
    if family not in CONFIGS:
        raise ValueError(f"its header names the architecture {family!r}; known: {', '.join(CONFIGS)}")
    values: dict[str, Any] = {}
    for field in dataclasses.fields(CONFIGS[family]):
        key = HEADER_NAMES.get(field.name, field.name)
        if key in header:
            values[field.name] = _decode_field(key, str(field.type), header[key])
    return CONFIGS[family](**values)


def _decode_field(key: str, annotation: str, text: str) -> object:
    if annotation == "str":
        return text
    if text == "none" and "None" in annotation:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"its header entry {key} is not a value: {text[:40]!r}") from None
    if annotation == "tuple[LayerSpec, ...]":
        return _decode_layers(value)
    numbers = value if isinstance(value, list) else [value]
    if not all(isinstance(n, (int, float)) and abs(n) <= MAX_HEADER_INT for n in numbers) or len(numbers) > 64:
        raise ValueError(f"its header entry {key} is out of range: {text[:40]!r}")
    kind = {"int": int, "bool": bool, "int | None": int}.get(annotation)
    if kind and type(value) is not kind:
        raise ValueError(f"its header entry {key} must be {annotation}, not {text[:40]!r}")
    return tuple(value) if isinstance(value, list) else value


def _decode_layers(value: object) -> tuple[LayerSpec, ...]:
    if not isinstance(value, list) or len(value) > MAX_LAYERS or not all(isinstance(layer, dict) for layer in value):
        raise ValueError("its header does not list StyleGAN3 layers")
    try:
        return tuple(LayerSpec(**layer) for layer in value)
    except TypeError:
        raise ValueError("its header lists a StyleGAN3 layer with unknown or missing fields") from None


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
