"""A network that looks at a photo once and gives a w+ latent near it: where an inversion may start."""

from __future__ import annotations

import hashlib
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from gan_edit_engine.atomic_write import replacing
from gan_edit_engine.checkpoints import safetensors_file
from gan_edit_engine.checkpoints.errors import CheckpointError
from gan_edit_engine.feature_networks import LITE0_CHANNELS, EfficientNetLite0
from gan_edit_engine.generators import check_state

# The photo is enlarged to this side for the frozen features, as in the discriminator.
FEATURE_SIDE = 128
SCALES = LITE0_CHANNELS[1:]  # strides 4, 8, 16, 32: maps of side 32, 16, 8 and 4
WIDTHS = (48, 96, 128, 128)
HIDDEN = 384
DELTA_RANK = 64
LRELU_SLOPE = 0.2
MAX_SIZE = 1024
ARCHITECTURE = "encoder"
GENERATOR_DIGEST = "generator_sha256"
"""Header entry: `weights_digest` of the generator that the encoder was trained for."""


@dataclass(frozen=True)
class EncoderConfig:
    """What the encoder must know of its generator."""

    num_ws: int
    w_dim: int
    # The generator's own spread of w (root mean square per dimension), in units of which the network answers.
    w_std: float

    def __post_init__(self) -> None:
        # Read from files: bounds what a header can make us allocate.
        if not (1 <= self.num_ws <= MAX_SIZE and 1 <= self.w_dim <= MAX_SIZE and 0 < self.w_std < math.inf):
            raise ValueError(f"an encoder for {self.num_ws} x {self.w_dim} latents of spread {self.w_std} cannot be")


class Encoder(nn.Module):
    """Photo [N, 3, R, R] in -1..1 -> w+ [N, num_ws, w_dim].

    Frozen EfficientNet-lite0 features are gathered to 4 x 4 positions. One w serves all layers; each layer's deviation
    from it is drawn from a few shared directions, which keeps the answer near W, where edits behave (Tov et al. 2021,
    "Designing an Encoder for StyleGAN Image Manipulation").
    """

    w_avg: Tensor

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        ins = [0, *WIDTHS[:-1]]
        self.gather = nn.ModuleList(
            nn.Conv2d(features + below, width, 3, stride=1 if i == len(SCALES) - 1 else 2, padding=1)
            for i, (features, below, width) in enumerate(zip(SCALES, ins, WIDTHS, strict=True))
        )
        self.hidden = nn.Linear(WIDTHS[-1] * 16, HIDDEN)
        self.to_w = nn.Linear(HIDDEN, config.w_dim)
        self.to_deltas = nn.Linear(HIDDEN, config.num_ws * DELTA_RANK)
        self.directions = nn.Linear(DELTA_RANK, config.w_dim, bias=False)
        nn.init.zeros_(self.to_deltas.weight)
        nn.init.zeros_(self.to_deltas.bias)
        self.register_buffer("w_avg", torch.zeros(config.w_dim))
        self.frozen = EfficientNetLite0().to(memory_format=torch.channels_last)

    @property
    def answer_shape(self) -> tuple[int, int]:
        """(num_ws, w_dim) of an answer."""
        return self.config.num_ws, self.config.w_dim

    def forward(self, photo: Tensor) -> Tensor:
        if photo.shape[-1] != FEATURE_SIDE:
            photo = F.interpolate(photo, size=FEATURE_SIDE, mode="bilinear", align_corners=False)
        maps = self.frozen.features(photo.contiguous(memory_format=torch.channels_last))[1:]
        x = maps[0][:, :0]
        for conv, features in zip(self.gather, maps, strict=True):
            x = F.leaky_relu(conv(torch.cat([features, x], dim=1)), LRELU_SLOPE)
        x = F.leaky_relu(self.hidden(x.flatten(1)), LRELU_SLOPE)
        deltas = self.directions(self.to_deltas(x).unflatten(1, (self.config.num_ws, DELTA_RANK)))
        return self.w_avg + self.config.w_std * (self.to_w(x)[:, None] + deltas)


def weights_digest(network: nn.Module) -> str:
    """SHA-256 of a network's weights in float32, in hexadecimal: names, shapes and values, and nothing of its header.

    A half-precision file and what it was imported to agree, for half-precision numbers are float32 numbers too.
    """
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(f"{name} {tuple(value.shape)}\n".encode())
        digest.update(value.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


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
        check_state(encoder.state_dict(), state)
    except (KeyError, ValueError) as error:
        raise CheckpointError(path, str(error).rstrip(".")) from None
    encoder.load_state_dict({name: value.float() for name, value in state.items()})
    return encoder.requires_grad_(False).eval(), header
