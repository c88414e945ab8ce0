"""One training run: its whole state, and the step that advances it.

Everything random in a step comes from torch's global generator, seeded from the run's seed and the step number, so
the state that must be saved is weights, optimisers and counters, and a run continued from it is bit-exact.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_edit_engine.generators import Generator
from gan_edit_engine.generators.stylegan2 import StyleGAN2
from gan_edit_engine.training.augment import blur, diff_augment
from gan_edit_engine.training.discriminators import Discriminator
from gan_edit_engine.training.pace import Metrics, falling, numbers
from gan_edit_engine.training.photos import draw_photos, flip_randomly
from gan_edit_engine.training.settings import TrainingSettings
from gan_edit_engine.training.start import set_w_avg

ADAM_BETAS = (0.0, 0.99)
# The gradient penalty is taken so seldom and counts so much more (lazy regularisation, StyleGAN2 section 3.1).
R1_INTERVAL = 16
# No run has so many steps: the random streams of two seeds never meet.
STEPS_PER_SEED = 10**9


class Trainer:
    """Generator, its average, discriminator and both optimisers; `step` advances them by one batch.

    The class itself trains a StyleGAN2; another family says what it does otherwise (`dcgan`).
    """

    def __init__(
        self, settings: TrainingSettings, generator: Generator, discriminator: Discriminator, photos: Tensor
    ) -> None:
        """``photos`` [P, 3, R, R] uint8; ``generator`` may be new or trained, it is trained further in place.

        The training runs where the photos lie.
        """
        self.settings = settings
        self.photos = photos
        self.generator = generator.to(photos.device).train()
        self._set_precision()
        self.average = copy.deepcopy(generator).eval().requires_grad_(False)
        self.discriminator = discriminator.to(photos.device).train()
        self._learning = [p for p in discriminator.parameters() if p.requires_grad]
        self.generator_optimizer = self._adam(self._trained_parameters())
        self.discriminator_optimizer = self._adam(self._learning)
        self.steps = 0
        self.images = 0

    def _trained_parameters(self) -> list[nn.Parameter]:
        """Those of the generator that learn."""
        return list(self.generator.requires_grad_().parameters())

    def _set_precision(self) -> None:
        assert isinstance(self.generator, StyleGAN2)
        self.generator.synthesis.set_compute_dtype(self.settings.compute_dtype)

    def _samples(self) -> Tensor:
        """One batch of the generator's images [N, 3, R, R], of new random latents."""
        images: Tensor = self.generator(self._latents(), noise="random")
        return images

    def _latents(self) -> Tensor:
        """Random z [N, z_dim] for one batch."""
        return torch.randn(self.settings.batch, self.generator.z_dim, device=self.photos.device)

    def model(self) -> Generator:
        """The averaged generator, ready to be sampled and kept."""
        assert isinstance(self.average, StyleGAN2)
        set_w_avg(self.average)
        return self.average

    @staticmethod
    def _adam(parameters: list[nn.Parameter]) -> torch.optim.Adam:
        return torch.optim.Adam(parameters, lr=0.0, betas=ADAM_BETAS, fused=True)

    def state_dict(self) -> dict[str, Any]:
        """All that `load_state_dict` needs to go on bit-exactly."""
        return {
            "generator": self.generator.state_dict(),
            "average": self.average.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "generator_optimizer": self.generator_optimizer.state_dict(),
            "discriminator_optimizer": self.discriminator_optimizer.state_dict(),
            "steps": self.steps,
            "images": self.images,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state from `state_dict` of a trainer of the same architecture."""
        self.generator.load_state_dict(state["generator"])
        self.average.load_state_dict(state["average"])
        self.discriminator.load_state_dict(state["discriminator"])
        self.generator_optimizer.load_state_dict(state["generator_optimizer"])
        self.discriminator_optimizer.load_state_dict(state["discriminator_optimizer"])
        self.steps = state["steps"]
        self.images = state["images"]

    @property
    def generator_waits(self) -> bool:
        """Whether the discriminator still learns alone."""
        return self.images < self.settings.discriminator_head_start

    def step(self) -> Metrics:
        """One batch: the discriminator first, then the generator on the same samples (they are drawn only once)."""
        batch = self.settings.batch
        torch.manual_seed(self.settings.seed * STEPS_PER_SEED + self.steps)
        self._set_rates()
        photos = flip_randomly(draw_photos(self.photos, self.images, batch, self.settings.seed))
        with torch.set_grad_enabled(not self.generator_waits):
            samples = self._samples()
            sample_features = self.discriminator.features(self._seen(samples))
        found = self._discriminator_step(photos, [f.detach() for f in sample_features])
        if not self.generator_waits:
            found |= self._generator_step(samples, sample_features)
            self._update_average()
        self.steps += 1
        self.images += batch
        return numbers(found)

    def _set_rates(self) -> None:
        settings = self.settings
        share = min(1.0, self.images / settings.rates_end) if settings.rates_end else 0.0
        left = falling(share)
        for group in self.discriminator_optimizer.param_groups:
            group["lr"] = settings.discriminator_rate * left * self._warmth(self.steps)
        own_steps = self.steps - settings.discriminator_head_start // settings.batch
        for group in self.generator_optimizer.param_groups:
            group["lr"] = settings.generator_rate * left * self._warmth(own_steps)

    def _warmth(self, steps: int) -> float:
        """Share of its rate, 0..1, that a player has after so many steps of its own."""
        return max(0.0, min(1.0, (steps + 1) / self.settings.rate_warm_up_steps))

    def _seen(self, images: Tensor) -> Tensor:
        """What the discriminator gets to see of images [N, 3, R, R]."""
        left = max(0.0, 1 - self.images / self.settings.blur_images) if self.settings.blur_images else 0.0
        return diff_augment(blur(images, self.settings.blur_sigma * left), self.settings.augment_probability)

    def _discriminator_step(self, photos: Tensor, sample_features: list[Tensor]) -> dict[str, Tensor]:
        with torch.no_grad():
            photo_features = self.discriminator.features(self._seen(photos))
        real = self.discriminator.judge(photo_features)
        fake = self.discriminator.judge(sample_features)
        losses = [self.discriminator.loss(r, f) for r, f in zip(real, fake, strict=True)]
        found = {"loss_d": torch.stack(losses).detach().mean()}
        if self.settings.r1_weight and self.steps % R1_INTERVAL == 0:
            penalty = self._gradient_penalty(photo_features)
            losses.append(self.settings.r1_weight / 2 * R1_INTERVAL * penalty)
            found["r1"] = penalty.detach()
        self.discriminator_optimizer.zero_grad()
        torch.stack(losses).sum().backward()
        self.discriminator_optimizer.step()
        for i, (r, f) in enumerate(zip(real, fake, strict=True)):
            found |= {f"real_{i}": r.detach().mean(), f"fake_{i}": f.detach().mean()}
        return found

    def _gradient_penalty(self, features: list[Tensor]) -> Tensor:
        """R1 (Mescheder et al. 2018): mean squared gradient of the photos' logits with respect to what is judged."""
        features = [f.detach().requires_grad_() for f in features]
        total = torch.stack([logits.sum() for logits in self.discriminator.judge(features)]).sum()
        gradients = torch.autograd.grad(total, features, create_graph=True)
        return torch.stack([g.square().flatten(1).sum(dim=1).mean() for g in gradients]).sum()

    def _generator_step(self, samples: Tensor, sample_features: list[Tensor]) -> dict[str, Tensor]:
        for parameter in self._learning:
            parameter.requires_grad_(False)
        logits = self.discriminator.judge(sample_features)
        adversarial = torch.stack([self.discriminator.generator_loss(x) for x in logits]).mean()
        penalties = self._penalties(samples)
        loss = len(logits) * adversarial + sum(weight * value for weight, value in penalties.values())
        self.generator_optimizer.zero_grad()
        loss.backward()
        self.generator_optimizer.step()
        for parameter in self._learning:
            parameter.requires_grad_()
        return {"loss_g": adversarial.detach(), **{name: value.detach() for name, (_, value) in penalties.items()}}

    def _penalties(self, samples: Tensor) -> dict[str, tuple[float, Tensor]]:
        """What samples are held to besides the discriminator: weight and value under the name of the metric."""
        return {"out_of_range": (self.settings.range_weight, F.relu(samples.abs() - 1).square().mean())}

    @torch.no_grad()
    def _update_average(self) -> None:
        keep = 0.5 ** (self.settings.batch / self.settings.ema_half_life)
        theirs: list[Tensor] = list(self.generator.parameters())
        ours: list[Tensor] = list(self.average.parameters())
        torch._foreach_lerp_(ours, theirs, 1 - keep)
