"""Inversion: the latent whose image is the photo's crop, w* = argmin L(G(w), x).

The loss is pixel plus perceptual plus a prior on the latent; in w+ the search goes through W first, so that it settles
among typical images before the layers separate (Abdal et al., Image2StyleGAN, 2019; Karras et al., StyleGAN2, 2020).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gan_edit_engine import generators
from gan_edit_engine.latents import Statistics, check_space, label, map_to_w, random_z
from gan_edit_engine.losses import noise_regularity, pixel_loss, weighted_mean
from gan_edit_engine.optimize import Plateau, Step, adam, lbfgs, ramped, until
from gan_edit_engine.perceptual import Perceptual
from gan_edit_protocol.settings import ProjectSettings

NoiseMaps = dict[str, Tensor]


@dataclass(frozen=True)
class Subject:
    """What is to be reproduced: image [1, C, R, R] in −1..1 and where it counts, weight [1, 1, R, R] in 0..1."""

    image: Tensor
    weight: Tensor


@dataclass(frozen=True)
class Inversion:
    """A latent ws [1, num_ws, w_dim], its image [1, C, R, R] and how close that is to the subject (dB, peak 2).

    ``noise``: the optimised noise maps [H, W] by name, which belong to the latent; empty for the model's own.
    """

    ws: Tensor
    image: Tensor
    psnr: float
    steps: int = 0
    noise: NoiseMaps = field(default_factory=dict)


def invert(
    generator: generators.Generator,
    statistics: Statistics,
    perceptual: Perceptual,
    subject: Subject,
    settings: ProjectSettings,
) -> Generator[Step, None, Inversion]:
    """Yields a Step per optimisation step; returns the :class:`Inversion`.

    Raises GanEditError when the model does not have the space or the class, or the optimisation finds no image.
    """
    check_space(generator, settings.space)
    search = _Search(generator, Objective(generator, statistics, perceptual, subject, settings), subject, settings)
    return (yield from search.run())


def psnr(image: Tensor, subject: Subject) -> float:
    """Peak signal-to-noise ratio in dB of images in −1..1 (peak to peak 2) where the subject counts."""
    error = weighted_mean((image.clamp(-1, 1) - subject.image).square(), subject.weight)
    return (10 * torch.log10(4 / error.clamp_min(1e-10))).item()


def synthesise(generator: generators.Generator, ws: Tensor, noise: NoiseMaps) -> Tensor:
    """The image [N, C, R, R] of ws with the given noise maps, or with the model's own when there are none."""
    image: Tensor = generator.synthesis(ws, noise=noise or "const")
    return image


class Objective:
    """The weighted sum of the settings' terms, as a function of an image and the latent that made it."""

    def __init__(
        self,
        generator: generators.Generator,
        statistics: Statistics,
        perceptual: Perceptual,
        subject: Subject,
        settings: ProjectSettings,
    ) -> None:
        self._has_w = "w" in generator.spaces
        self._statistics, self._settings = statistics, settings
        self._perceptual, self._subject = perceptual, subject
        self._features = perceptual.target(subject.image, subject.weight, style=settings.style_weight > 0)

    def look(self, image: Tensor) -> Tensor:
        """The image's terms: pixel, perceptual and style loss."""
        settings, subject = self._settings, self._subject
        loss = settings.pixel_weight * pixel_loss(image, subject.image, subject.weight, settings.pixel_loss)
        if settings.style_weight:
            content, style = self._perceptual.compare(image, self._features)
            loss = loss + settings.perceptual_weight * content + settings.style_weight * style
        elif settings.perceptual_weight:
            loss = loss + settings.perceptual_weight * self._perceptual.loss(image, self._features)
        return loss

    def prior(self, latent: Tensor) -> Tensor:
        """The latent's own term; ``latent`` is z where that is searched, else w or w+."""
        if self._settings.space == "z":
            return self._settings.prior_weight * latent.square().mean()
        if self._settings.prior == "gaussian" and self._has_w:
            return self._settings.prior_weight * self._statistics.gaussian_distance(latent)
        return self._settings.prior_weight * self._statistics.distance(latent)


class _Search:
    """One inversion: its start, its passes through the spaces, and what is optimised on the way."""

    def __init__(
        self, generator: generators.Generator, objective: Objective, subject: Subject, settings: ProjectSettings
    ) -> None:
        self._generator, self._objective = generator, objective
        self._subject, self._settings = subject, settings
        self._device = subject.image.device
        self._noise = self._fresh_noise() if settings.optimize_noise else {}
        self._taken = 0

    def run(self) -> Generator[Step, None, Inversion]:
        settings = self._settings
        start = yield from self._start()
        if settings.space == "z":
            latent = yield from self._minimise(start, settings.steps, self._from_z)
            return self._finish(self._from_z(latent))
        w_steps = settings.steps if settings.space == "w" else round(settings.steps * settings.w_fraction)
        w = yield from self._minimise(start[:, None], max(0, w_steps - self._taken), self._spread)
        if settings.space == "w":
            return self._finish(self._spread(w))
        ws = yield from self._minimise(self._spread(w).clone(), settings.steps - w_steps, lambda ws: ws)
        return self._finish(ws)

    def _from_z(self, z: Tensor) -> Tensor:
        c = label(self._generator, 1, self._settings.class_label, self._device)
        ws: Tensor = self._generator.mapping(z, c)
        return ws

    def _spread(self, w: Tensor) -> Tensor:
        return w.expand(-1, self._generator.num_ws, -1)

    def _minimise(self, start: Tensor, steps: int, to_ws: Callable[[Tensor], Tensor]) -> Generator[Step, None, Tensor]:
        """Optimise a latent from ``start``; yields Steps numbered within the whole inversion, returns the latent."""
        settings = self._settings
        latent = start.detach().clone().requires_grad_()

        def evaluate() -> tuple[Tensor, Tensor]:
            image = synthesise(self._generator, to_ws(latent), self._noise)
            loss = self._objective.look(image) + self._objective.prior(latent)
            if self._noise and settings.optimizer == "adam":
                loss = loss + settings.noise_weight * noise_regularity(self._noise.values())
            return loss, image

        if settings.optimizer == "lbfgs":
            taken = lbfgs([latent], evaluate, steps)
        else:
            schedule = ramped if settings.schedule == "ramped" else lambda t: 1.0
            noises = list(self._noise.values())
            taken = adam([latent, *noises], evaluate, steps, settings.learning_rate, schedule, self._tame_noise)
        yield from self._number(until(taken, self._stop(Plateau(settings.patience))))
        return latent.detach()

    def _number(self, steps: Iterator[Step]) -> Iterator[Step]:
        before = self._taken
        for step in steps:
            self._taken = before + step.index
            yield Step(min(self._taken, self._settings.steps), self._settings.steps, step.loss, step.image)

    def _stop(self, plateau: Plateau) -> Callable[[Step], bool]:
        def reached(step: Step) -> bool:
            wanted = self._settings.stop_psnr
            return plateau(step) or (wanted > 0 and psnr(step.image, self._subject) >= wanted)

        return reached

    def _start(self) -> Generator[Step, None, Tensor]:
        """z [1, z_dim] or w [1, w_dim] to begin with."""
        settings = self._settings
        starts = [self._starting_latent(settings.seed + restart) for restart in range(settings.restarts)]
        # Successive halving: all starts are followed for a while, the better half for as long again, until one is left.
        rounds = max(1, (len(starts) - 1).bit_length())
        budget = round(settings.steps * settings.w_fraction / 2) // rounds
        while len(starts) > 1:
            followed: list[tuple[float, int, Tensor]] = []
            for start in starts:
                latent = yield from self._follow(start, max(1, budget // len(starts)))
                followed.append((self._loss_of(latent), len(followed), latent))
            starts = [latent for _, _, latent in sorted(followed, key=lambda f: f[:2])[: (len(starts) + 1) // 2]]
        return starts[0]

    def _follow(self, start: Tensor, steps: int) -> Generator[Step, None, Tensor]:
        if self._settings.space == "z":
            return (yield from self._minimise(start, steps, self._from_z))
        latent = yield from self._minimise(start[:, None], steps, self._spread)
        return latent[:, 0]

    def _starting_latent(self, seed: int) -> Tensor:
        settings, generator = self._settings, self._generator
        z = random_z(generator, settings.init_samples, seed, self._device)
        with torch.no_grad():
            latents = z if settings.space == "z" else map_to_w(generator, z, settings.class_label)
            if settings.start == "mean":
                return latents.mean(0, keepdim=True)
            losses = [self._loss_of(latents[i : i + 1]) for i in range(len(latents))]
        return latents[min(range(len(losses)), key=losses.__getitem__)][None]

    @torch.no_grad()
    def _loss_of(self, latent: Tensor) -> float:
        """What the image of z or w [1, dim] loses, the prior aside."""
        ws = self._from_z(latent) if self._settings.space == "z" else self._spread(latent[:, None])
        return self._objective.look(synthesise(self._generator, ws, self._noise)).item()

    def _fresh_noise(self) -> NoiseMaps:
        random = torch.Generator().manual_seed(self._settings.seed)
        return {
            name: torch.randn(stored.shape, generator=random).to(self._device).requires_grad_()
            for name, stored in self._generator.noise_consts().items()
        }

    @torch.no_grad()
    def _tame_noise(self) -> None:
        """Noise back to mean 0 and variance 1 after each step (Karras et al., StyleGAN2, 2020, appendix D)."""
        for noise in self._noise.values():
            noise -= noise.mean()
            noise *= noise.square().mean().rsqrt()

    @torch.no_grad()
    def _finish(self, ws: Tensor) -> Inversion:
        noise = {name: value.detach() for name, value in self._noise.items()}
        image = synthesise(self._generator, ws.detach(), noise)
        return Inversion(ws.detach().contiguous(), image, psnr(image, self._subject), self._taken, noise)
