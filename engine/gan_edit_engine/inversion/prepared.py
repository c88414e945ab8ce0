"""A model with everything that a search in it needs, made once for a job and handed on whole."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

import torch

from gan_edit_engine import generators
from gan_edit_engine.inversion.axes import Axes
from gan_edit_engine.inversion.latents import Statistics
from gan_edit_engine.inversion.perceptual import Perceptual
from gan_edit_engine.inversion.precision import dtype_of
from gan_edit_engine.inversion.start import FromEncoder, FromLatent, FromSamples, Start
from gan_edit_engine.inversion.subject import Inversion, Subject
from gan_edit_engine.library.encoders import ModelEncoder
from gan_edit_protocol.settings import ProjectSettings

SettingsT_co = TypeVar("SettingsT_co", bound=ProjectSettings, covariant=True)


@dataclass(frozen=True)
class Prepared(Generic[SettingsT_co]):
    """A generator, what is known of its latents, and the settings of a search in it, whose precision is not "auto"."""

    generator: generators.Generator
    statistics: Statistics
    settings: SettingsT_co

    @property
    def dtype(self) -> torch.dtype:
        """What the networks compute in while they search."""
        return dtype_of(self.settings.precision)

    @property
    def axes(self) -> Axes | None:
        """Those along which the search moves; None for the latent's own."""
        return self.statistics.axes_for(self.settings)


@dataclass(frozen=True)
class Projector(Prepared[SettingsT_co]):
    """As :class:`Prepared`, with what a projection needs besides.

    ``encoder``: the one whose answer a search starts from, if any. ``key``: what tells weights from those of
    other models. ``folder``: where projections are kept; None for nowhere. ``answer``: the encoder's to the one subject
    that is searched, where it was asked already.
    """

    perceptual: Perceptual
    encoder: ModelEncoder | None = None
    key: str = ""
    folder: Path | None = None
    answer: Inversion | None = None

    def asked(self, subject: Subject) -> Projector[SettingsT_co]:
        """The same with the encoder's answer to ``subject``, so that it is asked once; without an encoder, itself."""
        if self.encoder is None:
            return self
        return replace(self, answer=FromEncoder(self.encoder).answer(self.generator, subject))

    def start(self, given: FromLatent | None = None) -> Start:
        """Where a search begins: at the latent that is given, else at the encoder's answer, else among samples."""
        if given is not None:
            return given
        if self.encoder is not None:
            return FromEncoder(self.encoder, self.answer)
        return FromSamples(best=self.settings.start == "best")
