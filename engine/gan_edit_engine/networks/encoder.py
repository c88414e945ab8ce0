"""A network that looks at a photo and gives a w+ latent near it: where an inversion may start."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_edit_engine.networks.efficientnet_lite0 import LITE0_CHANNELS, EfficientNetLite0, at_lite0_side

SCALES = LITE0_CHANNELS[1:4]  # strides 4, 8 and 16: maps of side 32, 16 and 8
WIDTHS = (64, 128, 192)
BOTTLENECK = 128
HIDDEN = 512
DELTA_RANK = 64
LRELU_SLOPE = 0.2
MAX_SIZE = 1024
_COMPARED = 3  # of the frozen network's maps: stride 16


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

    The maps of EfficientNet-lite0's first blocks, which are trained further, are gathered to 4 x 4 positions. One w
    serves all layers; each layer's deviation from it is drawn from a few shared directions, which keeps the answer near
    W, where edits behave (Tov et al. 2021, "Designing an Encoder for StyleGAN Image Manipulation").
    """

    w_avg: Tensor

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        frozen = EfficientNetLite0().to(memory_format=torch.channels_last)
        self.look = copy.deepcopy(frozen).learning(len(SCALES) + 1)
        ins = [0, *WIDTHS[:-1]]
        self.gather = nn.ModuleList(
            nn.Conv2d(features + below, width, 3, stride=2, padding=1)
            for features, below, width in zip(SCALES, ins, WIDTHS, strict=True)
        )
        self.narrow = nn.Conv2d(WIDTHS[-1], BOTTLENECK, 3, padding=1)
        self.hidden = nn.Linear(BOTTLENECK * 16, HIDDEN)
        self.to_w = nn.Linear(HIDDEN, config.w_dim)
        self.to_deltas = nn.Linear(HIDDEN, config.num_ws * DELTA_RANK)
        self.directions = nn.Linear(DELTA_RANK, config.w_dim, bias=False)
        nn.init.zeros_(self.to_deltas.weight)
        nn.init.zeros_(self.to_deltas.bias)
        self.register_buffer("w_avg", torch.zeros(config.w_dim))
        self.frozen = frozen

    @property
    def answer_shape(self) -> tuple[int, int]:
        """(num_ws, w_dim) of an answer."""
        return self.config.num_ws, self.config.w_dim

    @torch.no_grad()
    def unlikeness(self, images: Tensor, others: Tensor) -> Tensor:
        """How little images [N, 3, R, R] in -1..1 and others look alike, one by one: [N] from 0, the same, to 2.

        One less the cosine between the frozen network's features at stride 16, the mean of all places.
        """
        one, other = (self.frozen.features(_seen(each), _COMPARED + 1)[-1] for each in (images, others))
        return 1 - F.cosine_similarity(one, other, dim=1).mean(dim=(1, 2))

    def forward(self, photo: Tensor) -> Tensor:
        maps = self.look.features(_seen(photo), len(SCALES) + 1)[1:]
        x = maps[0][:, :0]
        for conv, features in zip(self.gather, maps, strict=True):
            x = F.leaky_relu(conv(torch.cat([features, x], dim=1)), LRELU_SLOPE)
        x = F.leaky_relu(self.narrow(x), LRELU_SLOPE)
        x = F.leaky_relu(self.hidden(x.flatten(1)), LRELU_SLOPE)
        deltas = self.directions(self.to_deltas(x).unflatten(1, (self.config.num_ws, DELTA_RANK)))
        return self.w_avg + self.config.w_std * (self.to_w(x)[:, None] + deltas)


def _seen(images: Tensor) -> Tensor:
    return at_lite0_side(images).contiguous(memory_format=torch.channels_last)
