"""At what size a search draws the model's images, which of a large model cost minutes at full size.

A StyleGAN2 of the skip architecture has a whole image after each of its blocks, and what a search asks for shows in a
small one. What that lacks of the whole, its colours most of all, is drawn once and added: the additive correction of a
model of lower fidelity (Alexandrov et al., "Approximation and Model Management in Aerodynamic Optimization with
Variable-Fidelity Models", 2001).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from gan_edit_engine import generators
from gan_edit_engine.inversion.losses import area_averaged
from gan_edit_engine.inversion.perceptual import Perceptual
from gan_edit_engine.inversion.subject import Drawing, drawn_with
from gan_edit_protocol.settings import ProjectSettings

SettingsT = TypeVar("SettingsT", bound=ProjectSettings)

SMALL = 128
"""Pixels a side, the default model's: images that are not larger are searched at their full size."""
LARGE = 512
"""Pixels a side from which on a model is large: each look at it is dear."""
_TINY = 64  # pixels a side: enough to explore a large model by, and for the first of a projection's coarse steps
_TINY_SHARE = 0.85  # of those steps
_FEWER = 4  # times fewer looks at a large model
_SLOWER = 3  # times fewer steps in one that has no small images


def search_side(generator: generators.Generator, wanted: int = 0) -> int:
    """The side at which a search that wants to see at least ``wanted`` pixels draws the generator's images."""
    return generator.cheap_side(max(SMALL, wanted))


def judged_side(generator: generators.Generator, perceptual: Perceptual, wanted: int = 0) -> int:
    """As `search_side`, and large enough for the perceptual network: a discriminator takes whole images only."""
    return search_side(generator, perceptual.side_seen(generator.resolution, wanted))


def looks_at(generator: generators.Generator, usual: int) -> int:
    """How many looks at the generator tell what it is like, where ``usual`` do of one that is not large."""
    return usual if generator.resolution < LARGE else max(1, usual // _FEWER)


def explored_side(generator: generators.Generator) -> int:
    """The side at which a generator's images are asked what changes them."""
    return generator.cheap_side(SMALL if generator.resolution < LARGE else _TINY)


def affordable(generator: generators.Generator, settings: SettingsT) -> SettingsT:
    """The settings with fewer steps, where those that the quality stands for would each draw a large image whole.

    Who asks for another number of steps gets it.
    """
    if generator.resolution < LARGE or search_side(generator) < generator.resolution:
        return settings
    usual = settings.QUALITIES[settings.quality]
    kept = {name: steps for name, steps in usual.items() if getattr(settings, name) == steps}
    fewer: dict[str, Any] = {name: max(1, steps // _SLOWER) for name, steps in kept.items()}
    return dataclasses.replace(settings, **fewer)


@dataclass(frozen=True)
class Sides:
    """Those of a projection's images: each side [px] up to a share of the steps, 0..1, the last for all that are left.

    ``fine_from``: the share from which on the images are seen at their finest.
    """

    stages: tuple[tuple[float, int], ...]
    fine_from: float

    def at(self, share: float) -> int:
        """The side when this ``share`` of the steps lies behind."""
        return next((side for until, side in self.stages if share < until), self.stages[-1][1])


def coarse_share(settings: ProjectSettings) -> float:
    """Of the steps, in which the perceptual network sees images at half the size."""
    # A change of the loss in mid-search would look like a plateau, or hide one.
    return 0.0 if settings.patience or settings.optimizer == "lbfgs" else settings.coarse_fraction


def projection_sides(generator: generators.Generator, perceptual: Perceptual, settings: ProjectSettings) -> Sides:
    """As large as the perceptual network is to see the images, where that is cheaper than the whole."""
    seen, until = min(settings.perceptual_side, generator.resolution), coarse_share(settings)
    fine, coarse = (judged_side(generator, perceptual, wanted) for wanted in (seen, seen // 2))
    if not until:
        return Sides(((1.0, fine),), 0.0)
    first = coarse if coarse == generator.resolution else min(coarse, explored_side(generator))
    return Sides(((_TINY_SHARE * until, first), (until, coarse), (1.0, coarse if until == 1 else fine)), until)


@torch.no_grad()
def lacking(
    generator: generators.Generator, ws: Tensor, drawing: Drawing, sides: Iterable[int], whole: Tensor | None = None
) -> dict[int, Tensor]:
    """What the small images of ws [1, num_ws, w_dim] lack, by their side: [1, C, side, side] each.

    ``whole`` [1, C, R, R]: the image of ws, where it is known.
    """
    wanted, small = {side for side in sides if side < generator.resolution}, {}
    if not wanted:
        return {}
    with drawn_with(generator, drawing):
        for image in generator.images(ws, drawing.noise or "const"):
            small[image.shape[-1]] = image
            if whole is not None and image.shape[-1] >= max(wanted):
                break
    whole = small[generator.resolution] if whole is None else whole
    return {side: area_averaged(whole, side, side) - small[side] for side in wanted}
