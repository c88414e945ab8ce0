"""Training of a DCGAN generator: how it begins, and what differs from StyleGAN2's training.

The generator is that of Radford et al. 2016, "Unsupervised Representation Learning with Deep Convolutional Generative
Adversarial Networks"; what judges it is the projected discriminator of the other trainings, not theirs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_edit_engine.generators import Generator
from gan_edit_engine.generators.dcgan import DCGAN, DCGANConfig
from gan_edit_engine.training.samples import fixed_latents
from gan_edit_engine.training.trainer import Trainer

# Weights begin at a standard deviation of .02, those of the batch normalisations around 1 (section 4 of the paper).
INITIAL_STD = 0.02
# The statistics of the kept model come from so many samples, in batches large enough to be typical.
STATISTICS_BATCHES = 16
STATISTICS_BATCH = 128


def new_dcgan(config: DCGANConfig, seed: int) -> DCGAN:
    """Random weights that depend on the seed alone."""
    torch.manual_seed(seed)
    generator = DCGAN(config)
    for module in generator.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, 0.0, INITIAL_STD)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, INITIAL_STD)
    return generator


class DCGANTrainer(Trainer):
    """A `Trainer` of a DCGAN; in training its batch normalisations use each batch's own statistics."""

    def _set_precision(self) -> None:
        """Nothing to set: the samples are drawn under autocast. This layout is the fast one for bf16."""
        self.generator.to(memory_format=torch.channels_last)

    def _samples(self) -> Tensor:
        with torch.autocast(self.photos.device.type, dtype=torch.bfloat16, enabled=self.settings.bf16):
            return super()._samples().float()

    def model(self) -> Generator:
        set_batch_statistics(self.average)
        return self.average


@torch.no_grad()
def set_batch_statistics(generator: Generator) -> None:
    """Set the running statistics of all batch normalisations to those of 2,048 samples of fixed z.

    An average of weights from different times matches no statistics that were gathered on the way.
    """
    norms = [module for module in generator.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's way of saying: the plain mean over all batches
    generator.train()
    latents = fixed_latents(STATISTICS_BATCHES * STATISTICS_BATCH, generator.z_dim, seed=0)
    for z in latents.to(generator.w_avg.device).split(STATISTICS_BATCH):
        generator(z)
    generator.eval()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
