"""What an image is to look like to the perceptual network: at first at half the size, at a quarter of the cost."""

from __future__ import annotations

from dataclasses import dataclass

from gan_edit_engine.inversion.perceptual import Perceptual, Target
from gan_edit_engine.inversion.search_size import coarse_share
from gan_edit_engine.inversion.subject import Subject
from gan_edit_protocol.settings import ProjectSettings


@dataclass(frozen=True)
class CoarseToFine:
    """The perceptual target at two sizes: ``coarse`` before ``coarse_until`` of the steps, ``fine`` from there on."""

    coarse: Target
    fine: Target
    coarse_until: float

    def at(self, share: float) -> Target:
        """The target at this ``share`` of the steps, 0..1."""
        return self.coarse if share < self.coarse_until else self.fine


def coarse_to_fine(
    perceptual: Perceptual, subject: Subject, settings: ProjectSettings, drawn: int | None = None
) -> CoarseToFine:
    """What is to be looked like where the subject counts. Shape and colours settle while it is seen coarsely.

    ``drawn``: the side at which the images are drawn, if not the subject's.
    """
    side, subject = min(settings.perceptual_side, subject.image.shape[-1]), subject.at(drawn or subject.image.shape[-1])
    image, weight, style = subject.image, subject.weight, settings.style_weight > 0
    fine = perceptual.target(image, weight, style, side)
    coarse_until = coarse_share(settings)
    if not coarse_until or perceptual.side_seen(image.shape[-1], side // 2) == fine.side:
        return CoarseToFine(fine, fine, 0.0)
    return CoarseToFine(perceptual.target(image, weight, style, side // 2), fine, coarse_until)
