"""Where a search begins: among random latents, at an encoder's answer, or at a latent that is known."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gan_edit_engine import generators
from gan_edit_engine.inversion.subject import Inversion, Subject, psnr, synthesise
from gan_edit_engine.library.encoders import ModelEncoder


@dataclass(frozen=True)
class FromSamples:
    """At random latents, as many of them and by as many tries as the settings say.

    ``best``: at the one of them whose pixels come closest, instead of at their mean.
    """

    best: bool = False


@dataclass(frozen=True)
class FromEncoder:
    """At the encoder's answer to the photo, which may be ``known`` already."""

    encoder: ModelEncoder
    known: Inversion | None = None

    @torch.no_grad()
    def answer(self, generator: generators.Generator, subject: Subject) -> Inversion:
        """The latent that the encoder gives, as near to the subject as it is."""
        if self.known is not None:
            return self.known
        ws = self.encoder.network(subject.image.expand(-1, 3, -1, -1))
        image = synthesise(generator, ws)
        return Inversion(ws, image, psnr(image, subject))


@dataclass(frozen=True)
class FromLatent:
    """At a latent that the job brings along, with its noise and residual: ``kept`` as it is, or searched on from."""

    inversion: Inversion
    kept: bool = False


Start = FromSamples | FromEncoder | FromLatent
