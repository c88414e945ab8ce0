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
from gan_edit_engine.anatomy import Anatomy, StayWhole, places
from gan_edit_engine.invert import synthesise
from gan_edit_engine.latents import Statistics, map_to_w, random_z
from gan_edit_engine.losses import area_averaged
from gan_edit_engine.optimize import Step, adam, late_decay
from gan_edit_engine.precision import dtype_of
from gan_edit_engine.terms import FollowPaint, Look, StayLikely, Term, total
from gan_edit_protocol.settings import ImagineSettings

LOOKED_AT_ONCE = 8
"""Random images; a cancellation waits no longer."""
_SIDE = 64  # pixels: the synthesis's running images of a smaller side have other colours than the whole image
_TRUNCATION_PSI = 0.7  # of the random images: most of them are well drawn
_WHOLE = 100.0  # times the prior's weight: what it costs that eyes go
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
    generator: generators.Generator,
    statistics: Statistics,
    asked: Asked,
    settings: ImagineSettings,
    steps: int,
    precision: str = "float32",
) -> Generator[Step, None, list[Imagined]]:
    """Likely images that follow the paint, one from each of K different starts.

    Yields a Step for each of `looks_of` the settings, then for each of ``steps``. K is the number of candidates, or of
    samples where there are fewer.
    """
    side, looks = min(_SIDE, generator.resolution), looks_of(settings)
    follow = _follow(asked, settings.scribble_weight, side)
    starts, believable = yield from _starts(generator, statistics, follow, settings, side)
    move = torch.zeros([len(starts), statistics.basis.shape[1]], device=starts.device).requires_grad_()

    def moved() -> Tensor:
        return _spread(generator, starts + move @ statistics.basis.T)

    def evaluate(_share: float) -> tuple[Tensor, Tensor]:
        ws = moved()
        images = synthesise(generator, ws, {}, dtype_of(precision), side)
        return total([follow, *believable], Look(images, ws, move)), images

    for step in adam([move], evaluate, steps, _RATE, late_decay):
        yield Step(looks + step.index, looks + steps, step.loss / len(starts), step.image)
    found = []
    with torch.no_grad():
        for ws in moved().contiguous().split(1):
            image = synthesise(generator, ws, {})
            found.append(Imagined(ws, image, _loss(believable, image, ws)))
    return found


@torch.no_grad()
def _starts(
    generator: generators.Generator, statistics: Statistics, follow: Term, settings: ImagineSettings, side: int
) -> Generator[Step, None, tuple[Tensor, list[Term]]]:
    """w [K, w_dim] of the random images that lose least, the best first; and the terms of what is believable."""
    z = random_z(generator, settings.samples, settings.seed, statistics.mean.device)
    w = torch.lerp(statistics.mean, map_to_w(generator, z, settings.class_label), _TRUNCATION_PSI)
    colours: list[float] = []
    seen, best = [], (math.inf, w)
    for number, some in enumerate(w.split(LOOKED_AT_ONCE), start=1):
        ws = _spread(generator, some)
        images = synthesise(generator, ws, {}, side=side)
        seen.append(places(generator, ws))
        for image, one in zip(images.split(1), ws.split(1), strict=True):
            colours.append(_loss([follow], image, one))
            best = min(best, (colours[-1], image), key=lambda pair: pair[0])
        yield Step(number, looks_of(settings), *best)
    features = torch.cat(seen)
    likely = StayLikely(settings.prior_weight, statistics)
    whole = StayWhole(_WHOLE * settings.prior_weight, generator, Anatomy.of(features))
    losses = [
        colour + likely.weight * statistics.gaussian_distance(latent).item() + whole.weight * odd
        for colour, latent, odd in zip(colours, w, whole.of(features).tolist(), strict=True)
    ]
    likeliest = sorted(range(len(losses)), key=losses.__getitem__)[: settings.candidates]
    return w[likeliest], [likely, whole]


def _follow(asked: Asked, weight: float, side: int) -> FollowPaint:
    painted = area_averaged(asked.painted, side, side)
    paint = area_averaged(asked.paint * asked.painted, side, side) / painted.clamp_min(1e-4)
    return FollowPaint(weight, paint, painted)


def _loss(terms: list[Term], image: Tensor, ws: Tensor) -> float:
    return total(terms, Look(image, ws, ws[:, 0])).item()


def _spread(generator: generators.Generator, w: Tensor) -> Tensor:
    return w[:, None].expand(-1, generator.num_ws, -1)
