"""Whether a model knows what a photo shows: asked of its encoder, before a search that would take long for nothing."""

from __future__ import annotations

import torch
from torch import Tensor

from gan_edit_engine.generators import Generator
from gan_edit_engine.inversion.prepared import Projector
from gan_edit_engine.inversion.subject import Subject
from gan_edit_engine.networks.encoder import Encoder
from gan_edit_protocol.settings import ProjectSettings

_FAR = 1.1
"""Times the usual: beyond that lie 2 of 100 kept-out photos at most, and all that shows something else (measured in
docs/inversion.md)."""
_SELDOM = 0.98  # of the photos that the usual is measured on
_AT_ONCE = 16  # photos
_SEEN = 0.5  # share of the square that the photo must fill to be judged


def is_strange(projector: Projector[ProjectSettings], subject: Subject) -> bool:
    """Whether the ``projector``'s answer to ``subject`` is far less like it than usual; False where nothing tells."""
    encoder, answer = projector.encoder, projector.answer
    if encoder is None or encoder.usual_unlikeness is None or answer is None or float(subject.weight.mean()) < _SEEN:
        return False
    photo, image = (each.expand(-1, 3, -1, -1).clamp(-1, 1) for each in (subject.image, answer.image))
    return float(encoder.network.unlikeness(photo, image)) > _FAR * encoder.usual_unlikeness


@torch.no_grad()
def usual_unlikeness(generator: Generator, encoder: Encoder, photos: Tensor) -> float:
    """What 98 of 100 ``photos`` [N, 3, R, R] in -1..1 do not exceed; they should be none that the encoder has seen."""
    found = [
        encoder.unlikeness(some, generator.synthesis(encoder(some)).expand(-1, 3, -1, -1).clamp(-1, 1))
        for some in photos.split(_AT_ONCE)
    ]
    return float(torch.cat(found).quantile(_SELDOM))
