"""The projection that StyleGAN2's authors publish, as the yardstick for ours; written from its description.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, section 5 and appendix D, with the
constants of the projector in stylegan2-ada-pytorch: one w, 1000 steps of Adam, noise on w that fades, noise maps that
are optimised under a regulariser, and VGG-16 LPIPS as the only image term. Its flaw is kept: the optimised noise maps
are thrown away, and the image is made with the model's own.
"""

from __future__ import annotations

from collections.abc import Generator as Steps

import torch
from torch import Tensor

from gan_edit_engine.inversion.losses import noise_regularity, renormalise_noise
from gan_edit_engine.inversion.optimize import Step, ramped
from gan_edit_engine.inversion.prepared import Projector
from gan_edit_engine.inversion.subject import Drawing, Subject, synthesise
from gan_edit_protocol.settings import ProjectSettings

STEPS = 1000
PEAK_RATE = 0.1
NOISE_ON_W, NOISE_ON_W_UNTIL = 0.05, 0.75  # in spreads of w; share of the steps after which it is gone
REGULARITY_WEIGHT = 1e5


def project_officially(
    projector: Projector[ProjectSettings], subject: Subject, steps: int = STEPS
) -> Steps[Step, None, Tensor]:
    """Yields a Step per step; returns the image [1, C, R, R] that the official code would save.

    ``projector``: its perceptual network is as `load_lpips` gives it; its settings say the precision, and no more.
    Random by torch's global generator.
    """
    generator, statistics, lpips = projector.generator, projector.statistics, projector.perceptual
    w = statistics.mean[None, None].clone().requires_grad_()
    noise = {name: torch.randn_like(stored).requires_grad_() for name, stored in generator.noise_consts().items()}
    optimizer = torch.optim.Adam([w, *noise.values()], betas=(0.9, 0.999))
    target = lpips.target(subject.image, subject.weight)
    # The root of the summed variance over the dimensions, as the official code has it.
    spread = statistics.std * generator.w_dim**0.5
    for index in range(steps):
        t = index / steps
        for group in optimizer.param_groups:
            group["lr"] = PEAK_RATE * ramped(t)
        strength = spread * NOISE_ON_W * max(0.0, 1 - t / NOISE_ON_W_UNTIL) ** 2
        ws = (w + torch.randn_like(w) * strength).expand(-1, generator.num_ws, -1)
        image = synthesise(generator, ws, Drawing(dict(noise), dtype=projector.dtype))
        loss = lpips.loss(image, target) + REGULARITY_WEIGHT * noise_regularity(noise.values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        renormalise_noise(noise.values())
        yield Step(loss.item(), image.detach())
    with torch.no_grad():
        return synthesise(generator, w.expand(-1, generator.num_ws, -1))
