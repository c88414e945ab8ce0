"""Growing a generator without touching what it knows: only the new block learns, and only to add detail.

Trained together, the discriminator of a grown generator wins at once by the sharpness that is missing, and the layers
below drift in answer (docs/training.md). Here they stay as they are, what judges the image sees pieces too small to
tell a good face from a bad one, and the image at half its size must stay what it was.
"""

from __future__ import annotations

import dataclasses

import torch.nn.functional as F
from torch import Tensor, nn

from gan_edit_engine.generators.stylegan2 import StyleGAN2
from gan_edit_engine.inversion.losses import area_averaged
from gan_edit_engine.training.trainer import Trainer
from gan_edit_protocol.errors import SettingError


class DetailTrainer(Trainer):
    """A `Trainer` of the highest block of a StyleGAN2 alone."""

    generator: StyleGAN2

    def _trained_parameters(self) -> list[nn.Parameter]:
        self.generator.requires_grad_(False)
        *_, (_, highest) = self.generator.synthesis.blocks()
        return list(highest.requires_grad_().parameters())

    def initialise_from(self, trained: StyleGAN2) -> None:
        """Take the layers below the highest block from ``trained``, the same generator at half the size, now better.

        SettingError when it is no such generator.
        """
        below = dataclasses.replace(self.generator.config, resolution=self.generator.resolution // 2)
        if trained.config != below:
            hint = f"Name a model of {below.resolution} px of the run that this detail was begun upon."
            raise SettingError("The detail of this run does not fit upon the generator that --init names.", hint)
        for grown_before in (self.generator, self.average):
            grown_before.load_state_dict(trained.state_dict(), strict=False)

    def _samples(self) -> Tensor:
        ws = self.generator.mapping(self._latents())
        *_, self._smaller, image = self.generator.synthesis.images(ws, noise="random")
        assert image is not None
        return image

    def _penalties(self, samples: Tensor) -> dict[str, tuple[float, Tensor]]:
        assert self._smaller is not None
        change = F.mse_loss(area_averaged(samples, *self._smaller.shape[2:]), self._smaller)
        return {**super()._penalties(samples), "half_size_change": (self.settings.half_size_weight, change)}
