"""What the StyleGAN families have in common: the network that maps z to w, and a generator that begins with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from gan_edit_engine.generators.base import (
    Generator,
    check_labels,
    check_layers,
    normalize_second_moment,
    truncate,
)
from gan_edit_engine.generators.layers import (
    LRELU_SLOPE,
    MAPPING_ACTIVATIONS,
    MAPPING_LR_MULTIPLIER,
    FullyConnected,
    add_dense_layers,
    run_dense_layers,
)

MAX_LR_MULTIPLIER = 100.0


@dataclass(frozen=True)
class MappingConfig:
    """Shape of a mapping network: z [z_dim] and a class [c_dim, 0: none] to ``num_ws`` times w [w_dim].

    ``embed_features``: width of the class features, ``layer_features``: of all layers but the last; None: ``w_dim``.
    """

    z_dim: int
    c_dim: int
    w_dim: int
    num_ws: int
    layers: int
    embed_features: int | None = None
    layer_features: int | None = None
    lr_multiplier: float = MAPPING_LR_MULTIPLIER
    activation: str = MAPPING_ACTIVATIONS[0]

    def __post_init__(self) -> None:
        check_layers(self.layers, "mapping network")
        if not 0 < self.lr_multiplier <= MAX_LR_MULTIPLIER:
            raise ValueError(f"a mapping network cannot have the learning rate multiplier {self.lr_multiplier}")
        if self.activation not in MAPPING_ACTIVATIONS:
            raise ValueError(f"its mapping network's activation is {self.activation[:40]!r}, which is not supported")


class MappingNetwork(nn.Module):
    """z (and class) to w, repeated num_ws times; official keys: ``w_avg``, ``embed.*``, ``fc{i}.*``.

    The class vectors are embedded, normalised and joined to z.
    """

    w_avg: Tensor

    def __init__(self, config: MappingConfig) -> None:
        super().__init__()
        self.z_dim, self.c_dim, self.num_ws, self.num_layers = config.z_dim, config.c_dim, config.num_ws, config.layers
        embedded = (config.embed_features or config.w_dim) if config.c_dim else 0
        widths = [config.z_dim + embedded, *[config.layer_features or config.w_dim] * (config.layers - 1), config.w_dim]
        add_dense_layers(self, widths, config.lr_multiplier, config.activation)
        if config.c_dim:
            self.embed = FullyConnected(config.c_dim, embedded)
        self.register_buffer("w_avg", torch.zeros(config.w_dim))

    def to_w(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """w [N, w_dim] of z [N, z_dim] and c [N, c_dim]; ValueError on wrong sizes or missing c."""
        if z.ndim != 2 or z.shape[1] != self.z_dim:
            raise ValueError(f"z must be [N, {self.z_dim}], not {list(z.shape)}.")
        x = normalize_second_moment(z.to(self.w_avg.dtype))
        c = check_labels(c, self.c_dim, len(z))
        if c is not None:
            x = torch.cat([x, normalize_second_moment(self.embed_class(c.to(x.dtype)))], dim=1)
        return run_dense_layers(self, x, self.num_layers)

    def embed_class(self, c: Tensor) -> Tensor:
        """Features of the class vectors c [N, c_dim], before normalisation."""
        return self.embed(c)

    def center(self, c: Tensor | None) -> Tensor:
        """The mean that truncation pulls towards; broadcasts to [N, num_ws, w_dim]."""
        return self.w_avg

    def forward(
        self,
        z: Tensor,
        c: Tensor | None = None,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
    ) -> Tensor:
        """ws [N, num_ws, w_dim]; truncation pulls towards the mean w (psi 1: none, 0: the mean)."""
        ws = self.to_w(z, c)[:, None].repeat(1, self.num_ws, 1)
        return truncate(ws, self.center(c), truncation_psi, truncation_cutoff)


class MappedConfig(Protocol):
    """What a StyleGAN's configuration says of the generator as a whole."""

    @property
    def resolution(self) -> int:
        """Side of the image in pixels."""

    @property
    def image_channels(self) -> int:
        """1 or 3."""

    @property
    def mapping(self) -> MappingConfig:
        """Of its mapping network."""


class MappedGenerator(Generator):
    """A generator with a mapping network. ``mapping`` and ``synthesis`` hold the official parameter names, so that a
    state dict loads as it is.
    """

    spaces = ("z", "w", "w+")
    mapping: MappingNetwork

    def __init__(self, config: MappedConfig, mapping: MappingNetwork) -> None:
        super().__init__()
        self.config, sizes = config, config.mapping
        self.z_dim, self.c_dim, self.w_dim, self.num_ws = sizes.z_dim, sizes.c_dim, sizes.w_dim, sizes.num_ws
        self.resolution, self.image_channels = config.resolution, config.image_channels
        self.w_slope = LRELU_SLOPE if sizes.activation == "lrelu" else 1.0
        self.mapping = mapping

    @property
    def w_avg(self) -> Tensor:
        return self.mapping.center(None)
