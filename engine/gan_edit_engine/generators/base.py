"""What every generator family offers to the rest of the engine: a mapping from z to w+, and a synthesis from w+."""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# "const": the noise stored in the checkpoint; "none": zeros; "random": drawn anew from torch's global generator;
# a mapping: noise name -> tensor that broadcasts to [N, 1, H, W] (names left out get none).
Noise = str | Mapping[str, Tensor]


class Generator(nn.Module):
    """A pre-trained generator G(z, c) = synthesis(mapping(z, c)).

    Attributes set by every family:
        family: its name, as in files; config: the family's frozen configuration dataclass.
        spaces: the latent spaces offered, best for inversion last: ("z",) or ("z", "w", "w+").
        z_dim, c_dim, w_dim: sizes of the input latent, of the one-hot class vector (0: unconditional) and of w.
        num_ws: how many w vectors the synthesis takes (1 for DCGAN).
        w_slope: below 0, of the leaky ReLU that the mapping ends in; 1 where it ends in none.
        resolution: side of the square image in pixels; image_channels: 1 or 3.
        mapping: module (z [N, z_dim], c [N, c_dim] | None, truncation_psi, truncation_cutoff) -> ws [N, num_ws, w_dim].
        synthesis: module (ws [N, num_ws, w_dim], noise) -> image [N, image_channels, H, W], nominally in -1..1.
    """

    family: ClassVar[str]
    spaces: ClassVar[tuple[str, ...]]
    z_dim: int
    c_dim: int
    w_dim: int
    num_ws: int
    w_slope: float = 1.0
    resolution: int
    image_channels: int
    config: Any
    mapping: nn.Module
    synthesis: nn.Module

    @property
    def has_w(self) -> bool:
        """Whether z is mapped to a latent of its own; else z is in its place."""
        return "w" in self.spaces

    @property
    @abstractmethod
    def w_avg(self) -> Tensor:
        """The mean of w, [w_dim]; zeros where the family has no w (DCGAN)."""

    def noise_consts(self) -> dict[str, Tensor]:
        """The stored noise maps by name, each [H, W]; empty where the family has no noise."""
        return {}

    def noise_names(self) -> tuple[str, ...]:
        """Names that a noise mapping given to the synthesis may hold, coarse to fine."""
        return tuple(self.noise_consts())

    @contextmanager
    def computing_in(self, dtype: torch.dtype) -> Iterator[None]:
        """Feature maps in ``dtype`` inside, in float32 again behind it; families that know no other ignore it."""
        yield

    @property
    def residual_shape(self) -> tuple[int, int, int] | None:
        """[C, S, S] of the feature maps that `adding` may add to; None where the family adds nothing."""
        return None

    @contextmanager
    def adding(self, residual: Tensor | None) -> Iterator[None]:
        """Inside, ``residual`` [1, *residual_shape] is added to the feature maps of that size, if there is one.

        It holds what no latent can say of one photo. ValueError when it does not fit.
        """
        if residual is not None:
            raise ValueError(f"A {self.family} takes no feature residual.")
        yield

    def features(self, ws: Tensor, noise: Noise = "const") -> Iterator[Tensor]:
        """Feature maps [N, C, S, S] that the image is drawn from, coarse to fine, computed as asked for."""
        yield from ()

    def features_within(self, ws: Tensor, largest: int, noise: Noise = "const") -> Iterator[Tensor]:
        """Those of the `features` that are at most ``largest`` pixels wide."""
        return itertools.takewhile(lambda x: x.shape[-1] <= largest, self.features(ws, noise))

    def images(self, ws: Tensor, noise: Noise = "const") -> Iterator[Tensor]:
        """The images [N, image_channels, S, S] that the synthesis has on its way, coarse to fine.

        They are computed as asked for. The last is the image itself, and in most families the only one.
        """
        yield self.synthesis(ws, noise=noise)

    def cheap_side(self, least: int) -> int:
        """The smallest side, of at least ``least`` pixels, at which `small_image` costs less than the whole image.

        The resolution, where it costs as much at any side.
        """
        return self.resolution

    def seen_ws(self, side: int) -> int:
        """How many vectors of ws, the first ones, the `small_image` of that side depends on."""
        return self.num_ws

    def small_image(self, ws: Tensor, side: int, noise: Noise = "const") -> Tensor:
        """An image [N, image_channels, side, side] of what the synthesis draws, as cheap as the family can.

        By default the whole image, each pixel the mean of an area; ``side`` divides the resolution.
        """
        image: Tensor = self.synthesis(ws, noise=noise)
        return F.avg_pool2d(image, self.resolution // side)

    def small_image_and_features(self, ws: Tensor, side: int, noise: Noise = "const") -> tuple[Tensor, list[Tensor]]:
        """`small_image`, and those of the `features` that are no larger."""
        return self.small_image(ws, side, noise), [*self.features_within(ws, side, noise)]

    def forward(
        self,
        z: Tensor,
        c: Tensor | None = None,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
        noise: Noise = "const",
    ) -> Tensor:
        """Image [N, image_channels, H, W] of z [N, z_dim] and, for a conditional model, c [N, c_dim]."""
        ws = self.mapping(z, c, truncation_psi=truncation_psi, truncation_cutoff=truncation_cutoff)
        return self.synthesis(ws, noise=noise)


# Far above any published model; keeps a damaged file from making us build a million modules.
MAX_LAYERS = 64


def check_layers(count: int, what: str) -> None:
    """Raise ValueError unless a network may have ``count`` layers."""
    if not 1 <= count <= MAX_LAYERS:
        raise ValueError(f"the {what} cannot have {count} layers (1 to {MAX_LAYERS})")


def check_positive(**sizes: int) -> None:
    """Raise ValueError naming the first size that is below 1."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} must be at least 1, not {size}")


def normalize_second_moment(x: Tensor, eps: float = 1e-8) -> Tensor:
    """Scale each row of x [N, D] to a mean square of 1 (StyleGAN, Karras et al. 2019, pixel norm of the latent)."""
    return x * (x.square().mean(dim=1, keepdim=True) + eps).rsqrt()


def truncate(ws: Tensor, w_avg: Tensor, psi: float, cutoff: int | None) -> Tensor:
    """Pull the first ``cutoff`` vectors (all when None) of ws [N, num_ws, w_dim] towards w_avg; psi 1 keeps."""
    if psi == 1:
        return ws
    head = w_avg + psi * (ws[:, :cutoff] - w_avg)
    return head if cutoff is None else torch.cat([head, ws[:, cutoff:]], dim=1)


def check_labels(c: Tensor | None, c_dim: int, batch: int) -> Tensor | None:
    """c if it is [batch, c_dim], None for an unconditional model (c_dim 0); ValueError otherwise."""
    if c_dim == 0:
        return None
    if c is None:
        raise ValueError(f"This model is conditional: it needs class vectors c of shape [{batch}, {c_dim}].")
    if c.shape != (batch, c_dim):
        raise ValueError(f"Class vectors must be [{batch}, {c_dim}], not {list(c.shape)}.")
    return c


def check_ws(ws: Tensor, num_ws: int, w_dim: int) -> None:
    """Raise ValueError unless ws is [N, num_ws, w_dim]."""
    if ws.ndim != 3 or tuple(ws.shape[1:]) != (num_ws, w_dim):
        raise ValueError(f"ws must be [N, {num_ws}, {w_dim}], not {list(ws.shape)}.")
