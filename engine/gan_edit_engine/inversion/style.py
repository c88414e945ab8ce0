"""Style transfer in the generator's space: one latent's picture in another's colours and textures.

The image keeps the features of the first and takes on the Gram matrices of the second (Gatys et al., "Image Style
Transfer Using Convolutional Neural Networks", 2016), as far as the generator makes such images.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Generator

import torch
from torch import Tensor

from gan_edit_engine import generators
from gan_edit_engine.inversion.latents import Statistics
from gan_edit_engine.inversion.losses import area_averaged, latent_distance
from gan_edit_engine.inversion.optimize import Adam, Step, over, ramped
from gan_edit_engine.inversion.perceptual import Perceptual
from gan_edit_engine.inversion.search_size import judged_side, lacking
from gan_edit_engine.inversion.subject import PLAINLY, Drawing, synthesise
from gan_edit_protocol.settings import InterpolateSettings

_RATE = 0.1
_PRIOR_WEIGHT = 0.02  # keeps the latent near the first, as an edit's does


def transfer_style(
    generator: generators.Generator,
    statistics: Statistics,
    perceptual: Perceptual,
    latents: Tensor,
    settings: InterpolateSettings,
) -> Generator[Step, None, Tensor]:
    """Yields a Step per optimisation step; returns w+ [num_ws, w_dim] that starts from the first of ``latents``.

    ``latents`` [2, num_ws, w_dim]: w+ of the content and of the style. Raises GanEditError when the optimisation finds
    no image.
    """
    start = latents[:1]
    side = judged_side(generator, perceptual)
    with torch.no_grad():
        wholes = [synthesise(generator, ws[None]) for ws in latents]
    drawing = Drawing(side=side, lacking=lacking(generator, start, PLAINLY, [side], wholes[0]))
    content, style = (area_averaged(whole, side, side) for whole in wholes)
    everywhere = torch.ones_like(content[:, :1])
    grams = perceptual.target(style, everywhere, style=True).grams
    target = dataclasses.replace(perceptual.target(content, everywhere), grams=grams)
    ws = start.clone().requires_grad_()

    def evaluate(_taken: int) -> tuple[Tensor, Tensor]:
        image = synthesise(generator, ws, drawing)
        kept, styled = perceptual.compare(image, target)
        prior = latent_distance(ws, start, statistics.std)
        return kept + settings.style_weight * styled + _PRIOR_WEIGHT * prior, image

    yield from Adam([ws], evaluate, over(settings.steps, _RATE, ramped)).run(settings.steps)
    return ws.detach()[0]
