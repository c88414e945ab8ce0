"""The project's own file of an encoder: its learnt weights in half precision, its configuration in the header."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from safetensors.torch import save_file

from gan_edit_engine.checkpoints import safetensors_file
from gan_edit_engine.checkpoints.errors import CheckpointError
from gan_edit_engine.generators import check_state
from gan_edit_engine.networks.encoder import Encoder, EncoderConfig
from gan_edit_engine.system.atomic_write import replacing

ARCHITECTURE = "encoder"
GENERATOR_DIGEST = "generator_sha256"
"""Header entry: `weights_digest` of the generator that the encoder was trained for."""

USUAL_UNLIKENESS = "usual_unlikeness"
"""Header entry: `Encoder.unlikeness` of its answers and photos that no training saw, which 98 of 100 do not exceed."""


def save_encoder(path: Path, encoder: Encoder, header: dict[str, str]) -> None:
    """Write the learnt weights in half precision, with the configuration and ``header``, whole or not at all."""
    tensors = {name: value.half().contiguous() for name, value in encoder.state_dict().items()}
    config = {name: repr(value) for name, value in asdict(encoder.config).items()}
    with replacing(path) as part:
        save_file(tensors, part, metadata={**header, **config, "architecture": ARCHITECTURE})


def load_encoder(path: Path) -> tuple[Encoder, dict[str, str]]:
    """A frozen float32 encoder and its header; CheckpointError when the file is damaged or something else."""
    header = safetensors_file.read_header(path)
    if header.get("architecture") != ARCHITECTURE:
        raise CheckpointError(path, "it holds no encoder")
    try:
        config = EncoderConfig(int(header["num_ws"]), int(header["w_dim"]), float(header["w_std"]))
        encoder = Encoder(config)
        state = safetensors_file.read_tensors(path)
        if not any(name.startswith("look.") for name in state):
            hint = "Train one anew (scripts/train_encoder.py), or set start to mean."
            raise CheckpointError(path, "it holds an encoder of an earlier version of GAN Edit", hint)
        check_state(encoder.state_dict(), state)
    except (KeyError, ValueError) as error:
        raise CheckpointError(path, str(error).rstrip(".")) from None
    encoder.load_state_dict({name: value.float() for name, value in state.items()})
    return encoder.requires_grad_(False).eval(), header
