"""Ways between latents, and of putting two or three together. Latents here are [K, ...] of any trailing shape."""

from __future__ import annotations

from collections.abc import Callable, Sized

import torch
from torch import Tensor

from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.settings import InterpolateSettings

Between = Callable[[Tensor, Tensor, float], Tensor]
"""The point at t in 0..1 between two latents."""


def combine(latents: Tensor, settings: InterpolateSettings) -> Tensor:
    """The latents [frames, ...] of the images that the settings ask for.

    GanEditError when there are too few or too many latents for the mode, or the crossover's layer does not exist.
    """
    check_count(latents, settings)
    if settings.mode == "crossover":
        return crossover(latents[0], latents[1], settings.crossover_layer)[None]
    if settings.mode == "transfer":
        return transfer_expression(latents[0], latents[1], latents[2], settings.amount)[None]
    between = spherical if settings.mode == "spherical" else torch.lerp
    return path(latents, settings.frames, settings.loop, between)


def check_count(latents: Sized, settings: InterpolateSettings) -> None:
    """GanEditError when the mode needs more latents [K, ...], or fewer, as it is unclear which are meant."""
    least, most = {"crossover": (2, 2), "style": (2, 2), "transfer": (3, 3)}.get(settings.mode, (2, None))
    if len(latents) < least:
        raise GanEditError(
            "too_few_latents",
            f"The mode {settings.mode} needs {least} latents, {len(latents)} came.",
            "Choose more projected layers or latent files.",
        )
    if most is not None and len(latents) > most:
        raise GanEditError(
            "too_many_latents",
            f"The mode {settings.mode} takes {most} latents, {len(latents)} came.",
            "Choose just those layers or latent files.",
        )


def path(latents: Tensor, frames: int, loop: bool, between: Between = torch.lerp) -> Tensor:
    """``frames`` latents at even distances on the way through all of ``latents``, both ends included.

    A loop goes back to the first latent and ends one step before it, so that its repetition has no pause.
    """
    stops = torch.cat([latents, latents[:1]]) if loop else latents
    legs = len(stops) - 1
    positions = torch.linspace(0, legs, frames + 1)[:-1] if loop else torch.linspace(0, legs, frames)
    found = []
    for position in positions.tolist():
        leg = min(int(position), legs - 1)
        found.append(between(stops[leg], stops[leg + 1], position - leg))
    return torch.stack(found)


def spherical(a: Tensor, b: Tensor, t: float) -> Tensor:
    """The point at ``t`` in 0..1 on the great circle from a to b; right for z, whose samples lie on a sphere.

    Shoemake, "Animating Rotation with Quaternion Curves", 1985.
    """
    cosine = torch.nn.functional.cosine_similarity(a.flatten(), b.flatten(), dim=0).clamp(-1, 1)
    angle = torch.arccos(cosine)
    if angle.sin().abs() < 1e-4:
        return torch.lerp(a, b, t)
    return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)


def crossover(a: Tensor, b: Tensor, layer: int) -> Tensor:
    """w+ [num_ws, w_dim] of ``a`` up to ``layer`` and of ``b`` from there on: a's shape in b's colours.

    Abdal et al., Image2StyleGAN, 2019 ("style transfer"); late layers carry colour.
    """
    if layer > len(a):
        raise GanEditError("bad_setting", f"The model has no layer {layer}.", f"Its layers are 0 to {len(a) - 1}.")
    return torch.cat([a[:layer], b[layer:]])


def transfer_expression(subject: Tensor, neutral: Tensor, expressive: Tensor, amount: float) -> Tensor:
    """``subject`` + amount · (expressive − neutral): Image2StyleGAN's expression transfer, w1 + λ(w3 − w2)."""
    return subject + amount * (expressive - neutral)
