"""The project's own file of a StyleGAN2 discriminator: safetensors with the configuration as JSON in the header."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from safetensors.torch import save_file

from gan_edit_engine.checkpoints.errors import DAMAGE, CheckpointError, one_line
from gan_edit_engine.checkpoints.safetensors_file import read_header, read_tensors
from gan_edit_engine.generators import Discriminator, DiscriminatorConfig, discriminator_with_weights
from gan_edit_engine.system.atomic_write import replacing

HEADER_KEY = "discriminator"


def write(path: Path, discriminator: Discriminator) -> None:
    """Write ``discriminator`` to ``path``, whole or not at all."""
    tensors = {name: value.contiguous() for name, value in discriminator.state_dict().items()}
    with replacing(path) as part:
        save_file(tensors, part, metadata={HEADER_KEY: json.dumps(dataclasses.asdict(discriminator.config))})


def read(path: Path) -> Discriminator:
    """The discriminator in ``path``, frozen; CheckpointError when the file is damaged or something else."""
    header = read_header(path)
    try:
        fields = json.loads(header.get(HEADER_KEY, "null"))
        config = DiscriminatorConfig(**{**fields, "resample_filter": tuple(fields["resample_filter"])})
        return discriminator_with_weights(config, read_tensors(path))
    except DAMAGE as error:
        raise CheckpointError(path, f"it is not a discriminator file ({one_line(error)})") from None
