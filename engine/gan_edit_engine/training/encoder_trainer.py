"""Training of an encoder for a frozen generator, on its own samples and on photos.

Samples teach the latent itself; photos teach what samples lack, judged by what the generator makes of the answer
(hybrid training as in idinvert, Zhu et al. 2020, and e4e, Tov et al. 2021).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_edit_engine.generators import Generator, StateMismatchError, check_state
from gan_edit_engine.generators.stylegan2 import StyleGAN2
from gan_edit_engine.inversion.latents import Statistics, statistics
from gan_edit_engine.inversion.perceptual import Perceptual
from gan_edit_engine.networks.encoder import Encoder, EncoderConfig
from gan_edit_engine.training.augment import blur, shaken
from gan_edit_engine.training.pace import Metrics, falling, numbers
from gan_edit_engine.training.photos import draw_photos, flip_randomly
from gan_edit_engine.training.trainer import STEPS_PER_SEED
from gan_edit_protocol.errors import SettingError

ADAM_BETAS = (0.9, 0.99)


@dataclass(frozen=True)
class EncoderSettings:
    """Half of each batch are samples, half photos."""

    batch: int = 16
    seed: int = 0
    rate: float = 1e-3
    # Of the blocks that ImageNet has taught already.
    look_rate: float = 1e-4
    # The rates fall along a cosine to 0 at this many images.
    images: int = 100_000
    latent_weight: float = 0.5
    pixel_weight: float = 2.0
    perceptual_weight: float = 1.0
    # Photos and images are area-averaged down to this side for the perceptual loss: at 128 px VGG costs four times as
    # much, and what it sees more of is detail that an encoder hardly catches.
    perceptual_side: int = 64
    # Share of the photos that are turned, scaled, moved and lit a little otherwise.
    shaken: float = 0.8
    # Pulls each layer's vector towards the mean of all layers, so that answers stay near W.
    spread_weight: float = 0.05
    # Share of the samples whose layers come from two latents: answers in w+ are then learnt too.
    mixing: float = 0.5
    # The generator computes in bfloat16: faster on processors with units for it, far slower on others.
    bf16: bool = False


def new_encoder(generator: Generator, statistics: Statistics) -> Encoder:
    """An untrained encoder for ``generator``; it begins at the mean w."""
    encoder = Encoder(EncoderConfig(generator.num_ws, generator.w_dim, statistics.std))
    encoder.w_avg.copy_(statistics.mean)
    return encoder


class EncoderTrainer:
    """Encoder, optimiser and counters; `step` advances them by one batch, a function of seed and step alone."""

    def __init__(self, settings: EncoderSettings, generator: Generator, perceptual: Perceptual, photos: Tensor) -> None:
        """``generator`` and ``perceptual`` frozen; ``photos`` [P, 3, S, S] uint8 at a side of its images.

        All on one device, where the training runs.
        """
        self.settings, self.generator, self.perceptual, self.photos = settings, generator, perceptual, photos
        torch.manual_seed(settings.seed)
        self.encoder = new_encoder(generator, statistics(generator, photos.device)).to(photos.device)
        if settings.bf16 and isinstance(generator, StyleGAN2):  # the others have one precision
            generator.synthesis.set_compute_dtype(torch.bfloat16)
        look = list(self.encoder.look.parameters())
        new = [p for name, p in self.encoder.named_parameters() if not name.startswith("look.")]
        groups = [{"params": new, "rate": settings.rate}, {"params": look, "rate": settings.look_rate}]
        self.optimizer = torch.optim.Adam(groups, lr=0.0, betas=ADAM_BETAS, fused=True)
        self.steps = 0
        self.images = 0

    def state_dict(self) -> dict[str, Any]:
        """All that `load_state_dict` needs to go on bit-exactly."""
        return {
            "encoder": self.encoder.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "steps": self.steps,
            "images": self.images,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state from `state_dict` of a trainer for the same generator; SettingError if it is of another."""
        try:
            check_state(self.encoder.state_dict(), state["encoder"])
        except StateMismatchError:
            raise SettingError(
                "This run's encoder is of another generator, or of an earlier version of GAN Edit.",
                "Begin a new run in another folder.",
            ) from None
        self.encoder.load_state_dict(state["encoder"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.steps, self.images = state["steps"], state["images"]

    def take_over(self, earlier: Encoder) -> None:
        """Begin with an encoder of a similar generator; SettingError when its answers have another shape."""
        if earlier.answer_shape != self.encoder.answer_shape:
            raise SettingError("The encoder to begin with belongs to a generator of another shape.")
        self.encoder.load_state_dict({**earlier.state_dict(), "w_avg": self.encoder.w_avg})

    def step(self) -> Metrics:
        """One batch."""
        settings = self.settings
        torch.manual_seed(settings.seed * STEPS_PER_SEED + self.steps)
        left = falling(self.images / settings.images)
        for group in self.optimizer.param_groups:
            group["lr"] = group["rate"] * left
        half = settings.batch // 2
        ws, samples = self._samples(half)
        photos = flip_randomly(draw_photos(self.photos, self.steps * half, half, settings.seed))
        otherwise = torch.rand(half, 1, 1, 1, device=photos.device) < settings.shaken
        photos = torch.where(otherwise, shaken(photos), photos)
        seen = torch.cat([degrade(samples), photos])
        losses = self._losses(self.encoder(seen), ws, photos)
        self.optimizer.zero_grad()
        torch.stack([weight * value for weight, value in losses.values()]).sum().backward()
        self.optimizer.step()
        self.steps += 1
        self.images += settings.batch
        return numbers({name: value for name, (_, value) in losses.items()})

    def _losses(self, answers: Tensor, ws: Tensor, photos: Tensor) -> dict[str, tuple[float, Tensor]]:
        """Weight and value of each term; the first answers are for the samples of ``ws``, the others for ``photos``."""
        settings, std = self.settings, self.encoder.config.w_std
        # The samples' answers are judged by their latents alone: their images would cost as much again as the photos',
        # and for the same seconds the photos came out worse (LPIPS .464 instead of .431 after five minutes).
        images = self.generator.small_image(answers[len(ws) :], photos.shape[-1])
        target = self.perceptual.target(photos, torch.ones_like(photos[:, :1]), side=settings.perceptual_side)
        spread = (answers - answers.mean(dim=1, keepdim=True)) / std
        return {
            "latent": (settings.latent_weight, ((answers[: len(ws)] - ws) / std).square().mean()),
            "pixel": (settings.pixel_weight, F.mse_loss(images, photos)),
            "perceptual": (settings.perceptual_weight, self.perceptual.loss(images, target)),
            "spread": (settings.spread_weight, spread.square().mean()),
        }

    @torch.no_grad()
    def _samples(self, count: int) -> tuple[Tensor, Tensor]:
        """Latents [count, num_ws, w_dim], some with the layers of two, and their images."""
        num_ws, device = self.generator.num_ws, self.photos.device
        z = torch.randn(2 * count, self.generator.z_dim, device=device)
        ws, others = self.generator.mapping(z).chunk(2)
        crossover = torch.randint(1, num_ws, (count, 1, 1), device=device)
        mixed = (torch.arange(num_ws, device=device)[None, :, None] >= crossover) & (
            torch.rand(count, 1, 1, device=device) < self.settings.mixing
        )
        ws = torch.where(mixed, others, ws)
        return ws, self.generator.small_image(ws, self.photos.shape[-1]).clamp(-1, 1)


def degrade(images: Tensor) -> Tensor:
    """What photos have and samples lack: softness and sensor noise, in one strength per batch and per image."""
    soft = blur(images, torch.rand(()).item())
    return soft + torch.rand(len(images), 1, 1, 1, device=images.device) * 0.06 * torch.randn_like(soft)
