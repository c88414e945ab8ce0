"""What is to be reproduced, and the latent that reproduces it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gan_edit_engine import generators
from gan_edit_engine.inversion.losses import area_averaged, weighted_mean

NoiseMaps = dict[str, Tensor]


@dataclass(frozen=True)
class Subject:
    """What is to be reproduced: image [1, C, R, R] in −1..1 and where it counts, weight [1, 1, R, R] in 0..1.

    ``selection`` [1, 1, R, R] in 0..1: what may change in the end; None for everything.
    """

    image: Tensor
    weight: Tensor
    selection: Tensor | None = None

    def at(self, side: int) -> Subject:
        """The subject at a smaller side: each pixel the mean of what counts in its area."""
        if side == self.image.shape[-1]:
            return self
        weight = area_averaged(self.weight, side, side)
        counting = area_averaged(self.image * self.weight, side, side) / weight.clamp_min(1e-6)
        image = torch.where(weight > 0, counting, area_averaged(self.image, side, side))
        selection = None if self.selection is None else area_averaged(self.selection, side, side)
        return Subject(image, weight, selection)


@dataclass(frozen=True)
class Inversion:
    """A latent ws [1, num_ws, w_dim], its image [1, C, R, R] and how close that is to the subject (dB, peak 2).

    ``noise``: the optimised noise maps [H, W] by name, which belong to the latent; empty for the model's own.
    ``z`` [1, z_dim]: where that was searched. ``residual`` [1, C, S, S]: of the model's features, which belongs to the
    latent too, where that was searched.
    """

    ws: Tensor
    image: Tensor
    psnr: float
    steps: int = 0
    noise: NoiseMaps = field(default_factory=dict)
    z: Tensor | None = None
    residual: Tensor | None = None


@dataclass(frozen=True)
class Drawing:
    """How images are drawn while a latent is searched: all of it in ``dtype`` where the family can, given in float32.

    ``noise``: the given maps instead of the model's own; ``residual``: what is added to the features; ``side``: a small
    image of that side instead of the whole; ``lacking``: what is added to one, by its side [1, C, side, side].
    """

    noise: NoiseMaps = field(default_factory=dict)
    residual: Tensor | None = None
    dtype: torch.dtype = torch.float32
    side: int | None = None
    lacking: Mapping[int, Tensor] = field(default_factory=dict)


PLAINLY = Drawing()


@contextmanager
def drawn_with(generator: generators.Generator, drawing: Drawing) -> Iterator[None]:
    """Inside, the generator computes in the drawing's format and with its residual."""
    with generator.computing_in(drawing.dtype), generator.adding(drawing.residual):
        yield


def synthesise(generator: generators.Generator, ws: Tensor, drawing: Drawing = PLAINLY) -> Tensor:
    """The image [N, C, R, R] of ws, drawn so."""
    noise = drawing.noise or "const"
    with drawn_with(generator, drawing):
        if drawing.side is not None and drawing.side < generator.resolution:
            small = generator.small_image(ws, drawing.side, noise)
            return small + drawing.lacking[drawing.side] if drawing.side in drawing.lacking else small
        image: Tensor = generator.synthesis(ws, noise=noise)
    return image


def psnr(image: Tensor, subject: Subject) -> float:
    """Peak signal-to-noise ratio in dB of images in −1..1 (peak to peak 2) where the subject counts, at their size."""
    subject = subject.at(image.shape[-1])
    error = weighted_mean((image.clamp(-1, 1) - subject.image).square(), subject.weight)
    return (10 * torch.log10(4 / error.clamp_min(1e-10))).item()
