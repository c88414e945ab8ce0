"""Inversion: the latent whose image is the photo's crop, w* = argmin L(G(w), x).

The loss is pixel plus perceptual plus an L2 prior on the latent; in w+ the search goes through W first, so that it
settles among typical images before the layers separate (Abdal et al., Image2StyleGAN, 2019; Karras et al., 2020).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from gan_edit_engine import generators
from gan_edit_engine.latents import Statistics, label, starting_latent
from gan_edit_engine.losses import latent_distance, pixel_loss, weighted_mean
from gan_edit_engine.optimize import Step, adam
from gan_edit_engine.perceptual import Perceptual
from gan_edit_protocol.settings import ProjectSettings


@dataclass(frozen=True)
class Subject:
    """What is to be reproduced: image [1, C, R, R] in −1..1 and where it counts, weight [1, 1, R, R] in 0..1."""

    image: Tensor
    weight: Tensor


@dataclass(frozen=True)
class Inversion:
    """A latent ws [1, num_ws, w_dim], its image [1, C, R, R] and how close that is to the subject (dB, peak 2)."""

    ws: Tensor
    image: Tensor
    psnr: float


def invert(
    generator: generators.Generator,
    statistics: Statistics,
    perceptual: Perceptual,
    subject: Subject,
    settings: ProjectSettings,
) -> Generator[Step, None, Inversion]:
    """Yields a Step per optimisation step; returns the :class:`Inversion`.

    Raises GanEditError when the model does not have the space, or the loss stops being a number.
    """
    loss = _Loss(generator, statistics, perceptual, subject, settings)
    start = starting_latent(generator, settings.space, settings.init_samples, settings.seed, subject.image.device)
    if settings.space == "z":
        latent = start.clone().requires_grad_()
        c = label(generator, 1, latent.device)
        yield from loss.minimise(latent, lambda: generator.mapping(latent, c), settings.steps)
        return _finish(generator, generator.mapping(latent, c), subject)
    w_steps = settings.steps if settings.space == "w" else round(settings.steps * settings.w_fraction)
    w = start[:, None].clone().requires_grad_()
    yield from _renumber(loss.minimise(w, lambda: w.expand(-1, generator.num_ws, -1), w_steps), 0, settings.steps)
    ws = w.detach().repeat(1, generator.num_ws, 1).requires_grad_()
    yield from _renumber(loss.minimise(ws, lambda: ws, settings.steps - w_steps), w_steps, settings.steps)
    return _finish(generator, ws, subject)


def psnr(image: Tensor, subject: Subject) -> float:
    """Peak signal-to-noise ratio in dB of images in −1..1 (peak to peak 2) where the subject counts."""
    error = weighted_mean((image.clamp(-1, 1) - subject.image).square(), subject.weight)
    return (10 * torch.log10(4 / error.clamp_min(1e-10))).item()


class _Loss:
    """The weighted sum of the settings' terms, as a function of the w+ latent."""

    def __init__(
        self,
        generator: generators.Generator,
        statistics: Statistics,
        perceptual: Perceptual,
        subject: Subject,
        settings: ProjectSettings,
    ) -> None:
        self._generator, self._statistics, self._settings = generator, statistics, settings
        self._perceptual, self._subject = perceptual, subject
        self._features = perceptual.target(subject.image, subject.weight)

    def minimise(self, latent: Tensor, to_ws: Callable[[], Tensor], steps: int) -> Iterator[Step]:
        return adam([latent], lambda: self._evaluate(to_ws()), steps, self._settings.learning_rate)

    def _evaluate(self, ws: Tensor) -> tuple[Tensor, Tensor]:
        settings = self._settings
        image = self._generator.synthesis(ws)
        loss = settings.pixel_weight * pixel_loss(image, self._subject.image, self._subject.weight)
        if settings.perceptual_weight:
            loss = loss + settings.perceptual_weight * self._perceptual.loss(image, self._features)
        if settings.prior_weight:
            prior = latent_distance(ws, self._statistics.mean, self._statistics.std)
            loss = loss + settings.prior_weight * prior
        return loss, image


def _renumber(steps: Iterator[Step], done: int, of: int) -> Iterator[Step]:
    for step in steps:
        yield Step(done + step.index, of, step.loss, step.image)


@torch.no_grad()
def _finish(generator: generators.Generator, ws: Tensor, subject: Subject) -> Inversion:
    ws = ws.detach()
    image = generator.synthesis(ws)
    return Inversion(ws, image, psnr(image, subject))
