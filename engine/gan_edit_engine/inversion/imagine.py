"""Images of the model that a scribble alone asks for: argmin ‖M∗G(w) − M∗S‖² (the report), among likely w.

What the colours alone ask for is a smear of them. So the search begins with those of many random images that are most
like the scribble, moves all layers alike along W, and pays for a latent that is less likely than the model's own, and
for eyes that go: a black cat is near, a purple one is not. What no likely image has is left to be painted on it, as on
a photo.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass

import torch
from torch import Tensor

from gan_edit_engine import generators
from gan_edit_engine.inversion.anatomy import Anatomy, StayWhole, places, unit
from gan_edit_engine.inversion.latents import map_to_w, random_z
from gan_edit_engine.inversion.losses import area_averaged
from gan_edit_engine.inversion.optimize import Adam, Step, late_decay, over
from gan_edit_engine.inversion.prepared import Prepared
from gan_edit_engine.inversion.subject import synthesise
from gan_edit_engine.inversion.terms import FollowPaint, Look, StayLikely, Term, total
from gan_edit_protocol.settings import ImagineSettings, ProjectSettings

LOOKED_AT_ONCE = 8
"""Random images; a cancellation waits no longer."""
_SIDE = 64  # pixels: the synthesis's running images of a smaller side have other colours than the whole image
_TRUNCATION_PSI = 0.7  # of the random images: most of them are well drawn
_WHOLE, _OPEN = 16, 64  # pixels of the features that tell whether all is there, and whether painted eyes are open
_USUALLY_WHOLE, _USUALLY_OPEN = 0.1, 0.25  # oddness of images that are well drawn
_TO_BE_WHOLE, _TO_BE_OPEN = 100.0, 50.0  # times the prior's weight
_RATE = 0.2


@dataclass(frozen=True)
class Asked:
    """The ``paint`` [1, C, R, R] in −1..1 that is to be followed as far as ``painted`` [1, 1, R, R] in 0..1."""

    paint: Tensor
    painted: Tensor


@dataclass(frozen=True)
class Imagined:
    """A latent ws [1, num_ws, w_dim], its image [1, C, R, R], and what it loses for being unlikely or odd."""

    ws: Tensor
    image: Tensor
    doubt: float


def looks_of(settings: ImagineSettings) -> int:
    """Steps in which random images are looked at."""
    return -(-settings.samples // LOOKED_AT_ONCE)


def imagine(
    prepared: Prepared[ProjectSettings], asked: Asked, settings: ImagineSettings, steps: int
) -> Generator[Step, None, list[Imagined]]:
    """Likely images that follow the paint, one from each of K different starts.

    Yields a Step for each of `looks_of` the settings, then for each of ``steps``. K is the number of candidates, or of
    samples where there are fewer.
    """
    generator, statistics = prepared.generator, prepared.statistics
    side = min(_SIDE, generator.resolution)
    follow = _follow(asked, settings.scribble_weight, side)
    starts, believable = yield from _starts(prepared, asked, follow, settings, side)
    move = torch.zeros([len(starts), statistics.basis.shape[1]], device=starts.device).requires_grad_()

    def moved() -> Tensor:
        return _expanded(generator, starts + move @ statistics.basis.T)

    def evaluate(_taken: int) -> tuple[Tensor, Tensor]:
        ws = moved()
        with generator.computing_in(prepared.dtype):
            images, features = generator.small_image_and_features(ws, side)
        return total([follow, *believable], Look(images, ws, move, features)), images

    for step in Adam([move], evaluate, over(steps, _RATE, late_decay)).run(steps):
        yield Step(step.loss / len(starts), step.image)
    return [_imagined(generator, believable, ws, side) for ws in moved().detach().contiguous().split(1)]


@torch.no_grad()
def _imagined(generator: generators.Generator, believable: list[Term], ws: Tensor, side: int) -> Imagined:
    _, features = generator.small_image_and_features(ws, side)
    image = synthesise(generator, ws)
    return Imagined(ws, image, total(believable, Look(image, ws, features=features)).item())


@torch.no_grad()
def _starts(
    prepared: Prepared[ProjectSettings], asked: Asked, follow: Term, settings: ImagineSettings, side: int
) -> Generator[Step, None, tuple[Tensor, list[Term]]]:
    """w [K, w_dim] of the random images that lose least, the best first; and the terms of what is believable."""
    generator, statistics = prepared.generator, prepared.statistics
    z = random_z(generator, settings.samples, settings.seed, statistics.mean.device)
    w = torch.lerp(statistics.mean, map_to_w(generator, z, settings.class_label), _TRUNCATION_PSI)
    losses: list[float] = []
    likely = StayLikely(settings.prior_weight, statistics)
    coarse, best = [], (math.inf, w)
    fine = torch.zeros([])  # a scalar, which may be added to on any device
    for some in w.split(LOOKED_AT_ONCE):
        ws = _expanded(generator, some)
        images, features = generator.small_image_and_features(ws, side)
        coarse.append(places(features, _WHOLE))
        fine = fine + places(features, _OPEN).sum(0, keepdim=True)
        for image, one in zip(images.split(1), ws.split(1), strict=True):
            losses.append(total([follow, likely], Look(image, one)).item())
            best = min(best, (losses[-1], image), key=lambda pair: pair[0])
        yield Step(*best)
    seen = torch.cat(coarse)
    whole = Anatomy(_WHOLE, unit(seen.sum(0, keepdim=True)), torch.ones_like(asked.painted), _USUALLY_WHOLE)
    wide_open = Anatomy(_OPEN, unit(fine), asked.painted, _USUALLY_OPEN)
    stay_whole = StayWhole(_TO_BE_WHOLE * settings.prior_weight, whole)
    stay_open = StayWhole(_TO_BE_OPEN * settings.prior_weight, wide_open)
    odd = [stay_whole.weight * each.item() for each in whole.oddness(seen)]
    likeliest = sorted(range(len(losses)), key=lambda number: losses[number] + odd[number])[: settings.candidates]
    return w[likeliest], [likely, stay_whole, stay_open]


def _follow(asked: Asked, weight: float, side: int) -> FollowPaint:
    painted = area_averaged(asked.painted, side, side)
    paint = area_averaged(asked.paint * asked.painted, side, side) / painted.clamp_min(1e-4)
    return FollowPaint(weight, paint, painted)


def _expanded(generator: generators.Generator, w: Tensor) -> Tensor:
    return w[:, None].expand(-1, generator.num_ws, -1)
