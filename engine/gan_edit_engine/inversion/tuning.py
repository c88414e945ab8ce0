"""Pivotal tuning: the generator itself is bent a little, so that the found latent gives this very photo.

Roich et al., "Pivotal Tuning for Latent-based Editing of Real Images", 2021. The change is of low rank in each
convolution (Hu et al., LoRA, 2021) and kept apart: a small delta for one photo, never a change of the shared model.
"""

from __future__ import annotations

import copy
from collections.abc import Generator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import functional_call

from gan_edit_engine import generators
from gan_edit_engine.inversion.invert import image_terms, stop_condition
from gan_edit_engine.inversion.latents import map_to_w, random_z
from gan_edit_engine.inversion.losses import pixel_loss
from gan_edit_engine.inversion.optimize import Adam, Step, over, ramped, until
from gan_edit_engine.inversion.prepared import Projector
from gan_edit_engine.inversion.subject import Inversion, NoiseMaps, Subject
from gan_edit_engine.inversion.terms import Look, total
from gan_edit_protocol.settings import ProjectSettings

RANK = 8
# Of the way from the pivot to a random latent: there the model must stay as it was. PTI goes a fixed distance of 30 in
# all layers together, which suits the latents of one model; a part of the way suits any.
_LOCAL_WAY = 0.5


@dataclass(frozen=True)
class Delta:
    """For each changed weight [O, I, k, k] its name and two factors, [O, rank] and [rank, I·k·k]."""

    factors: dict[str, tuple[Tensor, Tensor]]

    def weights(self, synthesis: torch.nn.Module) -> dict[str, Tensor]:
        """The changed weights of ``synthesis`` under their names."""
        base = dict(synthesis.named_parameters())
        return {name: base[name] + (a @ b).view_as(base[name]) for name, (a, b) in self.factors.items()}

    def applied(self, generator: generators.Generator) -> generators.Generator:
        """A copy of ``generator`` with the change in it; ``generator`` itself stays as it is."""
        tuned = copy.deepcopy(generator)
        changed = self.weights(generator.synthesis)
        with torch.no_grad():
            for name, weight in tuned.synthesis.named_parameters():
                if name in changed:
                    weight.copy_(changed[name])
        return tuned


def tune(
    projector: Projector[ProjectSettings], subject: Subject, pivot: Inversion, outside: Tensor | None = None
) -> Generator[Step, None, Delta]:
    """Yields a Step per optimisation step; returns the :class:`Delta` that makes the pivot's latent give the subject.

    ``outside`` [1, 1, R, R] in 0..1: where the pivot's image has to stay as it was.
    """
    generator, settings = projector.generator, projector.settings
    terms = image_terms(projector.perceptual, subject, settings)
    delta = _identity(generator.synthesis, settings.seed)
    draws = iter(range(settings.seed + 1, settings.seed + 1 + settings.tuning_steps))

    def image_of(ws: Tensor, noise: NoiseMaps, residual: Tensor | None = None) -> Tensor:
        weights = delta.weights(generator.synthesis)
        with generator.computing_in(projector.dtype), generator.adding(residual):
            image: Tensor = functional_call(generator.synthesis, weights, (ws,), {"noise": noise or "const"})
        return image

    def evaluate(_taken: int) -> tuple[Tensor, Tensor]:
        image = image_of(pivot.ws, pivot.noise, pivot.residual)
        loss = total(terms, Look(image, pivot.ws))
        if outside is not None:
            loss = loss + pixel_loss(image, pivot.image, outside)
        if settings.tuning_locality:
            near = _nearby(generator, pivot.ws, next(draws, settings.seed), settings.class_label)
            with torch.no_grad():
                before = generator.synthesis(near)
            everywhere = torch.ones_like(before[:, :1])
            loss = loss + settings.tuning_locality * pixel_loss(image_of(near, {}), before, everywhere)
        return loss, image

    parameters = [factor for pair in delta.factors.values() for factor in pair]
    search = Adam(parameters, evaluate, over(settings.tuning_steps, settings.tuning_rate, ramped))
    yield from until(search.run(settings.tuning_steps), stop_condition(subject, settings))
    # In the precision in which it is kept, so that the first edit and the next give the same image.
    return Delta(
        {name: (a.detach().half().float(), b.detach().half().float()) for name, (a, b) in delta.factors.items()}
    )


def _identity(synthesis: torch.nn.Module, seed: int) -> Delta:
    """Factors whose product is zero, ready to be trained."""
    random = torch.Generator().manual_seed(seed)
    factors = {}
    for name, weight in synthesis.named_parameters():
        if weight.ndim != 4 or name.endswith("const"):
            continue
        rows, columns = weight.shape[0], weight[0].numel()
        rank = min(RANK, rows, columns)
        b = torch.randn([rank, columns], generator=random).to(weight.device) / rank**0.5
        a = torch.zeros([rows, rank], device=weight.device)
        factors[name] = (a.requires_grad_(), b.requires_grad_())
    return Delta(factors)


@torch.no_grad()
def _nearby(generator: generators.Generator, pivot: Tensor, seed: int, class_label: int) -> Tensor:
    """A latent on the way from the pivot to a random one of the class."""
    w = map_to_w(generator, random_z(generator, 1, seed, pivot.device), class_label)
    return torch.lerp(pivot, w[:, None].expand_as(pivot), _LOCAL_WAY)
