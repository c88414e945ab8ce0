"""Inversion: the latent whose image is the photo's crop, w* = argmin L(G(w), x).

The loss is pixel plus perceptual plus a prior on the latent; in w+ the search goes through W first, so that it settles
among typical images before the layers separate (Abdal et al., Image2StyleGAN, 2019; Karras et al., StyleGAN2, 2020).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gan_edit_engine import generators
from gan_edit_engine.inversion.axes import movable
from gan_edit_engine.inversion.latents import Statistics, check_space, label, map_to_w, random_z
from gan_edit_engine.inversion.losses import (
    area_averaged,
    noise_regularity,
    pixel_loss,
    renormalise_noise,
    weighted_mean,
)
from gan_edit_engine.inversion.optimize import Plateau, Step, minimise, until
from gan_edit_engine.inversion.perceptual import Perceptual, Target
from gan_edit_engine.inversion.precision import dtype_of
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.settings import ProjectSettings

NoiseMaps = dict[str, Tensor]

_RESIDUAL_RATE = 0.5  # standard deviations of the features, relative to the latent's rate
_CANDIDATES_AT_ONCE = 8  # images; a cancellation waits no longer


@dataclass(frozen=True)
class Subject:
    """What is to be reproduced: image [1, C, R, R] in −1..1 and where it counts, weight [1, 1, R, R] in 0..1.

    ``selection`` [1, 1, R, R] in 0..1: what may change in the end; None for everything.
    """

    image: Tensor
    weight: Tensor
    selection: Tensor | None = None


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


def invert(
    generator: generators.Generator,
    statistics: Statistics,
    perceptual: Perceptual,
    subject: Subject,
    settings: ProjectSettings,
    given: Inversion | None = None,
) -> Generator[Step, None, Inversion]:
    """Yields a Step per optimisation step, and one of index 0 for each look at candidates; returns the Inversion.

    ``given``: the latent to start from, with its noise, instead of those that the settings name.
    Raises GanEditError when the model does not have the space or the class, settings exclude each other, ``given``
    cannot be the start of a search in that space, or the optimisation finds no image.
    """
    check_search(generator, settings, given is not None)
    objective = Objective(generator, statistics, perceptual, subject, settings)
    return (yield from _Search(generator, objective, subject, settings, given, statistics).run())


def check_search(generator: generators.Generator, settings: ProjectSettings, given: bool) -> None:
    """GanEditError when a search by ``settings`` cannot be made; ``given``: it is to start from a latent in w+."""
    check_space(generator, settings.space)
    if settings.optimize_noise and settings.optimizer == "lbfgs":
        raise GanEditError(
            "bad_setting",
            "L-BFGS cannot search the noise maps.",
            "Choose the optimizer adam, or turn optimize_noise off.",
        )
    if given and settings.space == "z" and "w" in generator.spaces:
        raise GanEditError(
            "bad_latent", "A search in z cannot start from a latent in w+.", "Choose the space w or w+ for it."
        )
    if settings.residual and (generator.residual_shape is None or settings.optimizer == "lbfgs"):
        raise GanEditError(
            "bad_setting",
            "A residual of the features is searched in StyleGAN2 models and by Adam only.",
            "Turn the setting residual off.",
        )


def psnr(image: Tensor, subject: Subject) -> float:
    """Peak signal-to-noise ratio in dB of images in −1..1 (peak to peak 2) where the subject counts."""
    error = weighted_mean((image.clamp(-1, 1) - subject.image).square(), subject.weight)
    return (10 * torch.log10(4 / error.clamp_min(1e-10))).item()


def stop_condition(subject: Subject, settings: ProjectSettings) -> Callable[[Step], bool]:
    """Whether a Step is the last: its image is as close as the settings want, or the loss has stopped falling."""
    plateau = Plateau(settings.patience)

    def reached(step: Step) -> bool:
        close = settings.stop_psnr > 0 and psnr(step.image, subject) >= settings.stop_psnr
        return plateau(step) or close

    return reached


def synthesise(
    generator: generators.Generator,
    ws: Tensor,
    noise: NoiseMaps,
    dtype: torch.dtype = torch.float32,
    side: int | None = None,
    residual: Tensor | None = None,
) -> Tensor:
    """The image [N, C, R, R] of ws with the given noise maps, or with the model's own when there are none.

    Computed in ``dtype`` where the family can, given in float32. ``side``: a small image of that side instead.
    ``residual``: of the features, if any.
    """
    with generator.computing_in(dtype), generator.adding(residual):
        if side is not None and side < generator.resolution:
            return generator.small_image(ws, side, noise or "const")
        image: Tensor = generator.synthesis(ws, noise=noise or "const")
    return image


@torch.no_grad()
def without_residual(generator: generators.Generator, inversion: Inversion, where: Tensor) -> Inversion:
    """The inversion with its residual faded out as far as ``where`` [1, 1, R, R] says, 0..1; as it is without one.

    What changes in a place is the latent's to say: the residual would draw the photo there again.
    """
    if inversion.residual is None:
        return inversion
    side = inversion.residual.shape[-1]
    residual = inversion.residual * (1 - area_averaged(where, side, side).clamp(0, 1))
    image = synthesise(generator, inversion.ws, inversion.noise, residual=residual)
    return dataclasses.replace(inversion, residual=residual, image=image)


@dataclass(frozen=True)
class Looks:
    """The perceptual target at two sizes: ``coarse`` before ``coarse_until`` of the steps, ``fine`` from there on."""

    coarse: Target
    fine: Target
    coarse_until: float

    def at(self, share: float) -> Target:
        """The target at this ``share`` of the steps, 0..1."""
        return self.coarse if share < self.coarse_until else self.fine


def looks_of(
    perceptual: Perceptual, settings: ProjectSettings, image: Tensor, weight: Tensor, style: bool = False
) -> Looks:
    """What an image is to look like, ``image`` [1, C, R, R] where ``weight`` [1, 1, R, R] counts.

    At first at half the size: shape and colours settle there at a quarter of the network's cost.
    """
    side = min(settings.perceptual_side, image.shape[-1])
    fine = perceptual.target(image, weight, style, side)
    # A change of the loss in mid-search would look like a plateau, or hide one.
    coarse_until = 0.0 if settings.patience or settings.optimizer == "lbfgs" else settings.coarse_fraction
    if not coarse_until or perceptual.side_seen(image.shape[-1], side // 2) == fine.side:
        return Looks(fine, fine, 0.0)
    return Looks(perceptual.target(image, weight, style, side // 2), fine, coarse_until)


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
        self._perceptual, self.subject = perceptual, subject
        self._looks = looks_of(perceptual, settings, subject.image, subject.weight, style=settings.style_weight > 0)

    def look(self, image: Tensor, share: float = 1.0) -> Tensor:
        """The image's terms: pixel, perceptual and style loss, as they are at this ``share`` of the steps."""
        settings, subject = self._settings, self.subject
        loss = settings.pixel_weight * pixel_loss(image, subject.image, subject.weight, settings.pixel_loss)
        if settings.style_weight:
            content, style = self._perceptual.compare(image, self._looks.at(share))
            loss = loss + settings.perceptual_weight * content + settings.style_weight * style
        elif settings.perceptual_weight:
            loss = loss + settings.perceptual_weight * self._perceptual.loss(image, self._looks.at(share))
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
        self,
        generator: generators.Generator,
        objective: Objective,
        subject: Subject,
        settings: ProjectSettings,
        given: Inversion | None,
        statistics: Statistics,
    ) -> None:
        self._generator, self._objective = generator, objective
        self._subject, self._settings, self._given = subject, settings, given
        self._axes = statistics.axes_for(settings)
        self._device = subject.image.device
        self._noise = given.noise if given is not None else {}
        if settings.optimize_noise:
            self._noise = {n: m.clone().requires_grad_() for n, m in (self._noise or self._fresh_noise()).items()}
        self._residual = _Residual(generator, statistics, given) if settings.residual else None
        self._given_residual = given.residual if given is not None else None
        self._taken = 0

    def run(self) -> Generator[Step, None, Inversion]:
        settings = self._settings
        if self._given is not None and settings.space == "w+":
            return self._finish((yield from self._minimise(self._given.ws, settings.steps, lambda ws: ws)))
        start = yield from self._start()
        if settings.space == "z":
            z = yield from self._minimise(start, settings.steps - self._taken, self._from_z)
            return dataclasses.replace(self._finish(self._from_z(z)), z=z)
        w_steps = settings.steps if settings.space == "w" else round(settings.steps * settings.w_fraction)
        w = yield from self._minimise(start[:, None], max(0, w_steps - self._taken), self._spread)
        if settings.space == "w":
            return self._finish(self._spread(w))
        ws = yield from self._minimise(self._spread(w).clone(), settings.steps - w_steps, lambda ws: ws)
        return self._finish(ws)

    def _from_z(self, z: Tensor) -> Tensor:
        c = label(self._generator, len(z), self._settings.class_label, self._device)
        ws: Tensor = self._generator.mapping(z, c)
        return ws

    def _spread(self, w: Tensor) -> Tensor:
        return w.expand(-1, self._generator.num_ws, -1)

    def _minimise(
        self, start: Tensor, steps: int, to_ws: Callable[[Tensor], Tensor], with_noise: bool = True
    ) -> Generator[Step, None, Tensor]:
        """Optimise a latent from ``start``; yields Steps numbered within the whole inversion, returns the latent.

        ``with_noise``: and the noise maps and the features' residual, where the settings want that.
        """
        settings = self._settings
        moved, latent = movable(start, self._axes, settings.optimizer)
        noises = list(self._noise.values()) if with_noise and settings.optimize_noise else []
        residual = [self._residual.moved] if with_noise and self._residual is not None else []
        before = self._taken

        def evaluate(share: float) -> tuple[Tensor, Tensor]:
            here = latent()
            dtype = dtype_of(settings.precision)
            image = synthesise(self._generator, to_ws(here), self._noise, dtype, residual=self._added())
            share = (before + share * steps) / settings.steps
            loss = self._objective.look(image, share) + self._objective.prior(here)
            if noises:
                loss = loss + settings.noise_weight * noise_regularity(noises)
            return loss, image

        taken = minimise([moved, *noises, *residual], evaluate, steps, settings, lambda: renormalise_noise(noises))
        yield from self._number(until(taken, stop_condition(self._subject, settings)))
        return latent().detach()

    def _number(self, steps: Iterator[Step]) -> Iterator[Step]:
        before = self._taken
        for step in steps:
            self._taken = before + step.index
            yield Step(min(self._taken, self._settings.steps), self._settings.steps, step.loss, step.image)

    def _start(self) -> Generator[Step, None, Tensor]:
        """z [1, z_dim] or w [1, w_dim] to begin with."""
        settings = self._settings
        if self._given is not None:
            return self._given.ws.mean(1)
        starts = []
        for restart in range(settings.restarts):
            starts.append((yield from self._starting_latent(settings.seed + restart)))
        # Successive halving: all starts are followed for a while, the better half for as long again, until one is left.
        rounds = max(1, (len(starts) - 1).bit_length())
        budget = round(settings.steps * settings.w_fraction / 2) // rounds
        while len(starts) > 1:
            followed: list[tuple[float, int, Tensor]] = []
            for start in starts:
                # Where there are more starts than steps to share out, the first rounds only look at them.
                latent = yield from self._follow(start, budget // len(starts))
                loss, image = self._look(latent)
                yield Step(min(self._taken, settings.steps), settings.steps, loss, image)
                followed.append((loss, len(followed), latent))
            starts = [latent for _, _, latent in sorted(followed, key=lambda f: f[:2])[: (len(starts) + 1) // 2]]
        return starts[0]

    def _follow(self, start: Tensor, steps: int) -> Generator[Step, None, Tensor]:
        # The noise maps are shared: were they searched here, each start would be measured with other ones.
        if self._settings.space == "z":
            return (yield from self._minimise(start, steps, self._from_z, with_noise=False))
        latent = yield from self._minimise(start[:, None], steps, self._spread, with_noise=False)
        return latent[:, 0]

    def _starting_latent(self, seed: int) -> Generator[Step, None, Tensor]:
        settings, generator = self._settings, self._generator
        z = random_z(generator, settings.init_samples, seed, self._device)
        with torch.no_grad():
            latents = z if settings.space == "z" else map_to_w(generator, z, settings.class_label)
        if settings.start != "best":
            return latents.mean(0, keepdim=True)
        losses: list[float] = []
        for some in latents.split(_CANDIDATES_AT_ONCE):
            images = self._images_of(some)
            losses += self._pixel_losses(images)
            yield Step(self._taken, settings.steps, min(losses), images[:1])
        return latents[min(range(len(losses)), key=losses.__getitem__)][None]

    @torch.no_grad()
    def _images_of(self, latents: Tensor) -> Tensor:
        """The images [N, C, R, R] of z or w [N, dim]."""
        ws = self._from_z(latents) if self._settings.space == "z" else self._spread(latents[:, None])
        return synthesise(self._generator, ws, self._noise, residual=self._added())

    def _added(self) -> Tensor | None:
        """The residual of the features as it is now."""
        return self._given_residual if self._residual is None else self._residual.values()

    def _pixel_losses(self, images: Tensor) -> list[float]:
        """What tells candidates apart without asking the perceptual network about each."""
        subject, norm = self._subject, self._settings.pixel_loss
        return [pixel_loss(image[None], subject.image, subject.weight, norm).item() for image in images]

    @torch.no_grad()
    def _look(self, latent: Tensor) -> tuple[float, Tensor]:
        """What the image of z or w [1, dim] loses, the prior aside, and that image."""
        image = self._images_of(latent)
        return self._objective.look(image).item(), image

    def _fresh_noise(self) -> NoiseMaps:
        random = torch.Generator().manual_seed(self._settings.seed)
        return {
            name: torch.randn(stored.shape, generator=random).to(self._device)
            for name, stored in self._generator.noise_consts().items()
        }

    @torch.no_grad()
    def _finish(self, ws: Tensor) -> Inversion:
        noise = {name: value.detach() for name, value in self._noise.items()}
        residual = self._added()
        # In the precision in which it is kept, so that the first edit and the next give the same image.
        residual = None if residual is None else residual.half().float()
        image = synthesise(self._generator, ws.detach(), noise, residual=residual)
        near = psnr(image, self._subject)
        return Inversion(ws.detach().contiguous(), image, near, self._taken, noise, residual=residual)


class _Residual:
    """What is added to the model's features while it is searched beside the latent, by the same optimiser."""

    def __init__(self, generator: generators.Generator, statistics: Statistics, given: Inversion | None) -> None:
        assert generator.residual_shape is not None  # `invert` has asked
        shape = [1, *generator.residual_shape]
        with torch.no_grad():
            typical = generator.features(statistics.mean.expand(1, generator.num_ws, -1))
            features = next(maps for maps in typical if maps.shape[-1] == shape[-1])
        # At the latent's rate it would outrun the latent, and say what the latent could have said.
        self._unit = _RESIDUAL_RATE * features.std()
        self._start = torch.zeros_like(features) if given is None or given.residual is None else given.residual
        self.moved = torch.zeros_like(features).requires_grad_()

    def values(self) -> Tensor:
        """[1, C, S, S]."""
        return self._start + self._unit * self.moved
