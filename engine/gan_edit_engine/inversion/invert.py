"""Inversion: the latent whose image is the photo's crop, w* = argmin L(G(w), x).

The loss is pixel plus perceptual plus a prior on the latent; in w+ the search goes through W first, so that it settles
among typical images before the layers separate (Abdal et al., Image2StyleGAN, 2019; Karras et al., StyleGAN2, 2020).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator
from functools import cache, partial

import torch
from torch import Tensor

from gan_edit_engine import generators
from gan_edit_engine.inversion.axes import search_coordinates
from gan_edit_engine.inversion.coarse_to_fine import coarse_to_fine
from gan_edit_engine.inversion.latents import check_space, label, map_to_w, random_z
from gan_edit_engine.inversion.losses import pixel_loss, renormalise_noise
from gan_edit_engine.inversion.optimize import LBFGS, Adam, Plateau, Search, Step, over, ramped, steady, until
from gan_edit_engine.inversion.perceptual import Perceptual
from gan_edit_engine.inversion.prepared import Prepared, Projector
from gan_edit_engine.inversion.residual import Residual
from gan_edit_engine.inversion.search_size import judged_side, lacking, projection_sides
from gan_edit_engine.inversion.start import FromEncoder, FromLatent, FromSamples, Start
from gan_edit_engine.inversion.subject import Drawing, Inversion, NoiseMaps, Subject, psnr, synthesise
from gan_edit_engine.inversion.terms import (
    BeNoise,
    BeNormal,
    Look,
    LookAlike,
    LookAlikeInStyle,
    ReproducePixels,
    StayLikely,
    StayNearMean,
    Term,
    total,
)
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.settings import ProjectSettings

_CANDIDATES_AT_ONCE = 8  # images; a cancellation waits no longer


def invert(
    projector: Projector[ProjectSettings], subject: Subject, given: FromLatent | None = None
) -> Generator[Step, None, Inversion]:
    """Yields a Step per optimisation step, and one that takes none for each look at candidates; returns the Inversion.

    ``given``: the latent that the search begins at, if not where the projector's do.
    Raises GanEditError when the model does not have the space or the class, settings exclude each other, ``given``
    cannot be the start of a search in that space, or the optimisation finds no image.
    """
    start = projector.start(given)
    check_search(projector.generator, projector.settings, given=not isinstance(start, FromSamples))
    return (yield from _Inverting(projector, subject, start).run())


def check_search(generator: generators.Generator, settings: ProjectSettings, given: bool) -> None:
    """GanEditError when a search by ``settings`` cannot be made; ``given``: it is to start from a latent in w+."""
    check_space(generator, settings.space)
    if settings.optimize_noise and settings.optimizer == "lbfgs":
        raise GanEditError(
            "bad_setting",
            "L-BFGS cannot search the noise maps.",
            "Choose the optimizer adam, or turn optimize_noise off.",
        )
    if given and settings.space == "z" and generator.has_w:
        raise GanEditError(
            "bad_latent", "A search in z cannot start from a latent in w+.", "Choose the space w or w+ for it."
        )
    if settings.residual and (generator.residual_shape is None or settings.optimizer == "lbfgs"):
        raise GanEditError(
            "bad_setting",
            "A residual of the features is searched in StyleGAN2 models and by Adam only.",
            "Turn the setting residual off.",
        )


def stop_condition(subject: Subject, settings: ProjectSettings) -> Callable[[Step], bool]:
    """Whether a Step is the last: its image is as close as the settings want, or the loss has stopped falling."""
    plateau = Plateau(settings.patience)

    def reached(step: Step) -> bool:
        close = settings.stop_psnr > 0 and psnr(step.image, subject) >= settings.stop_psnr
        return plateau(step) or close

    return reached


def image_terms(
    perceptual: Perceptual, subject: Subject, settings: ProjectSettings, side: int | None = None
) -> list[Term]:
    """What the image is asked for: to be the subject, to its pixels and to the perceptual network.

    ``side``: that of the images, if not the subject's.
    """
    seen = subject if side is None else subject.at(side)
    terms: list[Term] = [ReproducePixels(settings.pixel_weight, seen, settings.pixel_loss)]
    content, style = settings.perceptual_weight, settings.style_weight
    if style:
        targets = coarse_to_fine(perceptual, subject, settings, side)
        terms.append(LookAlikeInStyle(content, style, perceptual, targets))
    elif content:
        terms.append(LookAlike(content, perceptual, coarse_to_fine(perceptual, subject, settings, side)))
    return terms


def latent_term(prepared: Prepared[ProjectSettings]) -> Term:
    """What the latent is asked for: to be one of the model's own."""
    settings = prepared.settings
    if settings.space == "z":
        return BeNormal(settings.prior_weight)
    if settings.prior == "gaussian" and prepared.generator.has_w:
        return StayLikely(settings.prior_weight, prepared.statistics)
    return StayNearMean(settings.prior_weight, prepared.statistics)


def _as_it_is(ws: Tensor) -> Tensor:
    return ws


class _Inverting:
    """One inversion: its start, its passes through the spaces, and what is optimised on the way."""

    def __init__(self, projector: Projector[ProjectSettings], subject: Subject, start: Start) -> None:
        self._projector, self._subject = projector, subject
        self._generator, self._settings = projector.generator, projector.settings
        self._perceptual, self._device = projector.perceptual, subject.image.device
        self._sides = projection_sides(projector.generator, projector.perceptual, projector.settings)
        self._image_terms = cache(partial(image_terms, projector.perceptual, subject, projector.settings))
        self._latent_term = latent_term(projector)
        self._lacking: dict[int, Tensor] = {}
        self._lacking_since = -1.0  # the share of the steps at which that was found
        self._best = isinstance(start, FromSamples) and start.best
        self._given = self._latent_of(start)
        self._noise = self._given.noise if self._given is not None else {}
        if self._settings.optimize_noise:
            self._noise = {n: m.clone().requires_grad_() for n, m in (self._noise or self._fresh_noise()).items()}
        self._given_residual = self._given.residual if self._given is not None else None
        self._residual: Residual | None = None
        if self._settings.residual:
            self._residual = Residual(self._generator, projector.statistics, self._given_residual)
        self._taken = 0

    def _latent_of(self, start: Start) -> Inversion | None:
        if isinstance(start, FromEncoder):
            return start.answer(self._generator, self._subject)
        return start.inversion if isinstance(start, FromLatent) else None

    def run(self) -> Generator[Step, None, Inversion]:
        settings = self._settings
        if self._given is not None and settings.space == "w+":
            return self._finish((yield from self._minimise(self._given.ws, settings.steps, _as_it_is, last=True)))
        start = yield from self._start()
        if settings.space == "z":
            z = yield from self._minimise(start, settings.steps - self._taken, self._from_z, last=True)
            return dataclasses.replace(self._finish(self._from_z(z)), z=z)
        w_steps = settings.steps if settings.space == "w" else round(settings.steps * settings.w_fraction)
        in_w = settings.space == "w"
        w = yield from self._minimise(start[:, None], max(0, w_steps - self._taken), self._expanded, last=in_w)
        if in_w:
            return self._finish(self._expanded(w))
        ws = yield from self._minimise(self._expanded(w).clone(), settings.steps - w_steps, _as_it_is, last=True)
        return self._finish(ws)

    def _from_z(self, z: Tensor) -> Tensor:
        c = label(self._generator, len(z), self._settings.class_label, self._device)
        ws: Tensor = self._generator.mapping(z, c)
        return ws

    def _expanded(self, w: Tensor) -> Tensor:
        return w.expand(-1, self._generator.num_ws, -1)

    def _minimise(
        self,
        start: Tensor,
        steps: int,
        to_ws: Callable[[Tensor], Tensor],
        with_noise: bool = True,
        last: bool = False,
    ) -> Generator[Step, None, Tensor]:
        """Optimise a latent from ``start``; yields the Steps, returns the latent.

        ``with_noise``: and the noise maps and the features' residual, where the settings want that. ``last``: there is
        nothing to come that would make up for what small images lack.
        """
        settings = self._settings
        coordinates, latent = search_coordinates(start, self._projector.axes, settings.optimizer)
        noises = self._seen_noises(self._sides.at(1.0)) if with_noise and settings.optimize_noise else []
        residual = [self._residual.parameter] if with_noise and self._residual is not None else []
        before = self._taken

        def evaluate(taken: int) -> tuple[Tensor, Tensor]:
            share = (before + taken) / settings.steps
            side = self._sides.at(share)
            here = self._seen(latent(), side)
            ws = to_ws(here)
            if last:
                self._look_at_the_whole(ws, share)
            image = synthesise(self._generator, ws, self._drawing(self._projector.dtype, side))
            terms = [*self._image_terms(side), self._latent_term]
            if noises:
                terms.append(BeNoise(settings.noise_weight, self._seen_noises(side)))
            return total(terms, Look(image, here, share=share)), image

        parameters = [coordinates, *noises, *residual]
        search: Search
        if settings.optimizer == "lbfgs":
            search = LBFGS(parameters, evaluate)
        else:
            rate = over(steps, settings.learning_rate, ramped if settings.schedule == "ramped" else steady)
            search = Adam(parameters, evaluate, rate, lambda: renormalise_noise(noises))
        for step in until(search.run(steps), stop_condition(self._subject, settings)):
            self._taken += step.taken
            yield step
        return latent().detach()

    def _seen(self, latent: Tensor, side: int) -> Tensor:
        """The latent, of which layers that an image of that side does not show stay where they are."""
        seen = self._generator.seen_ws(side)
        if latent.ndim < 3 or latent.shape[1] <= seen:
            return latent
        return torch.cat([latent[:, :seen], latent[:, seen:].detach()], dim=1)

    def _seen_noises(self, side: int) -> list[Tensor]:
        return [noise for noise in self._noise.values() if noise.shape[-1] <= side]

    def _look_at_the_whole(self, ws: Tensor, share: float) -> None:
        """Find out what small images lack, at the first step that asks, and again where they are to be seen finely."""
        sides = self._sides
        if self._lacking_since < 0 or self._lacking_since < sides.fine_from <= share:
            drawing = self._drawing(self._projector.dtype)
            self._lacking = lacking(self._generator, ws, drawing, [side for _, side in sides.stages])
            self._lacking_since = share

    def _start(self) -> Generator[Step, None, Tensor]:
        """z [1, z_dim] or w [1, w_dim] to begin with."""
        settings = self._settings
        if self._given is not None:
            return self._given.ws.mean(1)
        starts = []
        for restart in range(settings.restarts):
            starts.append((yield from self._sampled(settings.seed + restart)))
        # Successive halving: all starts are followed for a while, the better half for as long again, until one is left.
        rounds = max(1, (len(starts) - 1).bit_length())
        budget = round(settings.steps * settings.w_fraction / 2) // rounds
        while len(starts) > 1:
            followed: list[tuple[float, int, Tensor]] = []
            for start in starts:
                # Where there are more starts than steps to share out, the first rounds only look at them.
                latent = yield from self._follow(start, budget // len(starts))
                loss, image = self._look(latent)
                yield Step(loss, image, taken=0)
                followed.append((loss, len(followed), latent))
            starts = [latent for _, _, latent in sorted(followed, key=lambda f: f[:2])[: (len(starts) + 1) // 2]]
        return starts[0]

    def _follow(self, start: Tensor, steps: int) -> Generator[Step, None, Tensor]:
        # The noise maps are shared: were they searched here, each start would be measured with other ones.
        if self._settings.space == "z":
            return (yield from self._minimise(start, steps, self._from_z, with_noise=False))
        latent = yield from self._minimise(start[:, None], steps, self._expanded, with_noise=False)
        return latent[:, 0]

    def _sampled(self, seed: int) -> Generator[Step, None, Tensor]:
        settings, generator = self._settings, self._generator
        z = random_z(generator, settings.init_samples, seed, self._device)
        with torch.no_grad():
            latents = z if settings.space == "z" else map_to_w(generator, z, settings.class_label)
        if not self._best:
            return latents.mean(0, keepdim=True)
        losses: list[float] = []
        for some in latents.split(_CANDIDATES_AT_ONCE):
            images = self._images_of(some)
            losses += self._pixel_losses(images)
            yield Step(min(losses), images[:1], taken=0)
        return latents[min(range(len(losses)), key=losses.__getitem__)][None]

    @torch.no_grad()
    def _images_of(self, latents: Tensor) -> Tensor:
        """The images [N, C, S, S] of z or w [N, dim], as small as one can tell them apart."""
        ws = self._from_z(latents) if self._settings.space == "z" else self._expanded(latents[:, None])
        return synthesise(self._generator, ws, self._drawing(side=judged_side(self._generator, self._perceptual)))

    def _drawing(self, dtype: torch.dtype = torch.float32, side: int | None = None) -> Drawing:
        """With noise and residual as they are now."""
        residual = self._given_residual if self._residual is None else self._residual.values()
        return Drawing(self._noise, residual, dtype, side, self._lacking)

    def _pixel_losses(self, images: Tensor) -> list[float]:
        """What tells candidates apart without asking the perceptual network about each."""
        subject, norm = self._subject.at(images.shape[-1]), self._settings.pixel_loss
        return [pixel_loss(image[None], subject.image, subject.weight, norm).item() for image in images]

    @torch.no_grad()
    def _look(self, latent: Tensor) -> tuple[float, Tensor]:
        """What the image of z or w [1, dim] loses, the prior aside, and that image."""
        image = self._images_of(latent)
        return total(self._image_terms(image.shape[-1]), Look(image, latent)).item(), image

    def _fresh_noise(self) -> NoiseMaps:
        random = torch.Generator().manual_seed(self._settings.seed)
        return {
            name: torch.randn(stored.shape, generator=random).to(self._device)
            for name, stored in self._generator.noise_consts().items()
        }

    @torch.no_grad()
    def _finish(self, ws: Tensor) -> Inversion:
        noise = {name: value.detach() for name, value in self._noise.items()}
        residual = self._drawing().residual
        # In the precision in which it is kept, so that the first edit and the next give the same image.
        residual = None if residual is None else residual.half().float()
        image = synthesise(self._generator, ws.detach(), Drawing(noise, residual))
        near = psnr(image, self._subject)
        return Inversion(ws.detach().contiguous(), image, near, self._taken, noise, residual=residual)
