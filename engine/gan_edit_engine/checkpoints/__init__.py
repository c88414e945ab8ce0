"""Readers of model files, one module per file family; nothing in a file is ever executed.

`read_generator` and `read_discriminator` take any supported file and tell the family by its content.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor

from gan_edit_engine.checkpoints import dcgan, nvidia, official_state, rosinality, safetensors_file, tensorflow
from gan_edit_engine.checkpoints.containers import load_plain
from gan_edit_engine.checkpoints.errors import DAMAGE, CheckpointError, MalformedError, one_line
from gan_edit_engine.checkpoints.foreign import check_regular
from gan_edit_engine.checkpoints.modules import GeneratorParts, to_tensors
from gan_edit_engine.checkpoints.other_networks import other_network
from gan_edit_engine.generators import Discriminator, Generator, build_with_weights, discriminator_with_weights
from gan_edit_engine.generators.mapping import MappingNetwork

__all__ = ["CheckpointError", "read_discriminator", "read_generator"]

# In the order in which they are asked; each name is what `gan-edit models info` prints as the format.
READERS: dict[str, ModuleType] = {
    "NVIDIA PyTorch snapshot": nvidia,
    "TensorFlow StyleGAN2 pickle": tensorflow,
    "rosinality checkpoint": rosinality,
    "StyleGAN2 state dict": official_state,
    "DCGAN state dict": dcgan,
}
W_AVG_SAMPLES = 100_000
W_AVG_BATCH = 10_000
W_AVG_SEED = 0


def read_generator(path: Path) -> tuple[Generator, dict[str, str]]:
    """The generator in a file of any supported format, with header entries that describe it.

    The generator is frozen, in eval mode, float32 on the CPU. Raises CheckpointError naming the file and the reason.
    """
    if _is_safetensors(path):
        return safetensors_file.read(path)
    try:
        name, reader, content = _identify(path)
        parts: GeneratorParts = reader.generator(content)
        state = to_tensors(parts.arrays)
        if parts.sample_w_avg:
            state["mapping.w_avg"] = torch.zeros(parts.config.w_dim)  # type: ignore[union-attr]
        generator = build_with_weights(parts.config, state)
        if parts.sample_w_avg:
            generator.w_avg.copy_(sample_w_avg(generator))
    except DAMAGE as error:
        raise CheckpointError(path, one_line(error)) from None
    header = safetensors_file.encode_config(generator.family, generator.config)
    return generator, {**header, "format": name}


def read_discriminator(path: Path) -> Discriminator:
    """The StyleGAN2 discriminator in a training snapshot, frozen, float32 on the CPU.

    Raises CheckpointError naming the file and the reason, also when it holds no discriminator.
    """
    if _is_safetensors(path):
        raise CheckpointError(path, "it holds no discriminator", "Give the training snapshot it was imported from.")
    try:
        _, reader, content = _identify(path)
        if not hasattr(reader, "discriminator"):
            raise MalformedError("it holds no discriminator")
        parts = reader.discriminator(content)
        return discriminator_with_weights(parts.config, to_tensors(parts.arrays))
    except DAMAGE as error:
        raise CheckpointError(path, one_line(error)) from None


def _is_safetensors(path: Path) -> bool:
    check_regular(path)
    try:
        with path.open("rb") as file:
            return safetensors_file.is_safetensors(file.read(16))
    except OSError as error:
        raise CheckpointError(path, f"it cannot be opened ({error.strerror})") from None


def _identify(path: Path) -> tuple[str, ModuleType, object]:
    content = load_plain(path)
    for name, reader in READERS.items():
        if reader.recognizes(content):
            return name, reader, content
    if other := other_network(content):
        raise MalformedError(other)
    raise MalformedError(f"its content is of no known model family ({_describe(content)})")


def _describe(content: object) -> str:
    if isinstance(content, dict):
        keys = [str(key)[:30] for key in list(content)[:6]]
        return f"a dictionary with {', '.join(keys) or 'no entries'}"
    return f"of Python type {type(content).__name__}"


def sample_w_avg(generator: Generator) -> Tensor:
    """The mean of w over random z (and classes), [w_dim], always the same for the same weights."""
    assert isinstance(generator.mapping, MappingNetwork)
    seeded = torch.Generator().manual_seed(W_AVG_SEED)
    z = torch.randn(W_AVG_SAMPLES, generator.z_dim, generator=seeded)
    c = None
    if generator.c_dim:
        c = torch.eye(generator.c_dim)[torch.randint(generator.c_dim, (W_AVG_SAMPLES,), generator=seeded)]
    parts = zip(z.split(W_AVG_BATCH), [None] * len(z) if c is None else c.split(W_AVG_BATCH), strict=False)
    return torch.stack([generator.mapping.to_w(*part).mean(dim=0) for part in parts]).mean(dim=0)
