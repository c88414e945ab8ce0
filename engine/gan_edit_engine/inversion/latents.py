"""Latents z, w and w+: the model's typical ones, and how far a latent is from them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_edit_engine.generators import Generator
from gan_edit_engine.inversion.axes import Axes, wants_axes
from gan_edit_engine.inversion.kin import FeatureStatistics
from gan_edit_engine.inversion.losses import latent_distance
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.settings import ProjectSettings

_STATISTICS_SAMPLES = 10_000  # as many as the official projector draws
_STATISTICS_SEED = 123
_DIRECTIONS = 128  # in which an edit moves along W: 71 % of the variance of the default's w


@dataclass(frozen=True)
class Statistics:
    """Mean [w_dim] and scalar standard deviation (root mean square distance per dimension) of w.

    ``p_mean`` [w_dim] and ``p_whitening`` [w_dim, w_dim] make the coordinates of P-space: w before the leaky ReLU of
    slope ``w_slope`` that the mapping ends in, whitened, where the model's latents are nearly a unit Gaussian (Zhu et
    al., "Improved StyleGAN Embedding: Where are the Good Latents?", 2020).

    ``basis`` [w_dim, K]: the K directions in which samples differ most, each as long as its standard deviation.

    ``axes``: along which a search moves; None where they are not known, and it moves along w's own. ``features``: what
    the model's features are like over typical images; None until an edit asks.
    """

    mean: Tensor
    std: float
    p_mean: Tensor
    p_whitening: Tensor
    basis: Tensor
    w_slope: float
    axes: Axes | None = None
    features: FeatureStatistics | None = None

    def axes_for(self, settings: ProjectSettings) -> Axes | None:
        """The axes along which a search by ``settings`` moves."""
        return self.axes if wants_axes(settings) else None

    def distance(self, latents: Tensor) -> Tensor:
        """Mean squared distance of latents [..., w_dim] from the mean, in units of the spread; about 1 for samples."""
        return latent_distance(latents, self.mean, self.std)

    def gaussian_distance(self, latents: Tensor) -> Tensor:
        """Mean square of latents [..., w_dim] in P-space: minus twice their log likelihood, per dimension."""
        return ((_to_p(latents, self.w_slope) - self.p_mean) @ self.p_whitening).square().mean()


def random_z(generator: Generator, count: int, seed: int, device: torch.device) -> Tensor:
    """``count`` latents [count, z_dim] from N(0, 1), the same for the same seed on every device."""
    random = torch.Generator().manual_seed(seed)
    return torch.randn([count, generator.z_dim], generator=random).to(device)


def label(generator: Generator, count: int, number: int, device: torch.device) -> Tensor | None:
    """The class vector [count, c_dim] of class ``number``; None for a model without classes.

    GanEditError when a conditional model does not have that class.
    """
    if generator.c_dim == 0:
        return None
    if number >= generator.c_dim:
        raise GanEditError(
            "no_such_class", f"This model has no class {number}.", f"Its classes are 0 to {generator.c_dim - 1}."
        )
    c = torch.zeros([count, generator.c_dim], device=device)
    c[:, number] = 1
    return c


def map_to_w(generator: Generator, z: Tensor, class_label: int = 0) -> Tensor:
    """w [N, w_dim] of z [N, z_dim]: the first of the (equal) vectors that the mapping gives."""
    ws: Tensor = generator.mapping(z, label(generator, len(z), class_label, z.device))
    return ws[:, 0]


@torch.no_grad()
def statistics(generator: Generator, device: torch.device, class_label: int = 0) -> Statistics:
    """Mean and spread of w over 10,000 samples (Karras et al., StyleGAN2, 2020, projection to latent space)."""
    w = map_to_w(generator, random_z(generator, _STATISTICS_SAMPLES, _STATISTICS_SEED, device), class_label)
    mean = w.mean(0)
    p = _to_p(w, generator.w_slope).cpu().double()  # not every device has the decomposition, nor double precision
    values, vectors = torch.linalg.eigh(torch.cov(p.T))
    # Directions in which samples hardly differ would punish what no eye sees; a floor under their spread prevents that.
    whitening = vectors * values.clamp_min(1e-3 * values.max()).rsqrt()
    return Statistics(
        mean=mean,
        std=(w - mean).square().mean().sqrt().item(),
        p_mean=p.mean(0).float().to(device),
        p_whitening=whitening.float().contiguous().to(device),  # as it comes back from a file, to the last bit
        basis=_basis(w),
        w_slope=generator.w_slope,
    )


def _basis(w: Tensor) -> Tensor:
    """[w_dim, K] of samples w [N, w_dim]: principal directions, scaled; mean + basis · N(0, 1) is nearly a sample."""
    values, vectors = torch.linalg.eigh(torch.cov(w.cpu().double().T))  # not every device has the decomposition
    strongest = slice(-min(_DIRECTIONS, w.shape[1]), None)
    return (vectors * values.clamp_min(0).sqrt())[:, strongest].flip(1).float().contiguous().to(w.device)


def check_space(generator: Generator, space: str) -> None:
    """GanEditError unless the model offers the latent space."""
    if space not in generator.spaces:
        offered = ", ".join(generator.spaces)
        raise GanEditError("no_such_space", f"This model has no latent space {space}.", f"It offers {offered}.")


def _to_p(w: Tensor, w_slope: float) -> Tensor:
    return F.leaky_relu(w, 1 / w_slope)
