"""Every setting of GAN Edit, defined once: type, default, range and help.

The command line's ``--set``, GIMP's dialogs and PDB arguments, validation on both sides of the socket and the table in
the README are derived from these dataclasses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .spec import Settings, setting


def _perceptual() -> Any:
    return setting(
        "auto",
        "Network of the perceptual loss; auto is the first installed of vgg16-lpips, vgg19, efficientnet-lite0",
        choices=("auto", "vgg19", "vgg16", "vgg16-lpips", "efficientnet-lite0", "discriminator"),
        advanced=True,
    )


def _quality(draft: str, best: str) -> Any:
    return setting(
        "normal",
        f"How well rather than how soon: draft takes {draft} of the usual time, best {best} as long",
        choices=("draft", "normal", "best"),
    )


_PROJECTION_STEPS = "Optimisation steps of the projection, W and W+ together"
_BY_QUALITY = "; 0: as many as the quality asks for"


def _perceptual_layers() -> Any:
    return setting(
        "conv1_1 conv1_2 conv2_1 conv2_2 conv3_1",
        "Layers of vgg16 or vgg19 that are compared, each with a weight if it has another than 1: conv1_1:2 conv3_1",
        advanced=True,
    )


@dataclass(frozen=True)
class BudgetSettings(Settings):
    """How much is done."""

    quality: str = _quality("a fifth", "three times")
    steps: int = setting(0, f"{_PROJECTION_STEPS}{_BY_QUALITY}", 0, 20000, advanced=True)


@dataclass(frozen=True)
class StartSettings(Settings):
    """Where a search begins, and in which space."""

    seed: int = setting(0, "Seed of everything random: the same seed gives the same image", 0, 2**31 - 1)
    space: str = setting(
        "w+", "Latent space that is searched; w+ fits the photo best, w stays most typical", choices=("z", "w", "w+")
    )
    start: str = setting(
        "auto",
        "The search starts from the encoder's answer, from the mean of the random latents or from the one whose pixels "
        "come closest; auto is the encoder where the model has one, else the mean",
        choices=("auto", "encoder", "mean", "best"),
        advanced=True,
    )
    init_samples: int = setting(10, "Number of random latents at the start", 1, 10000, advanced=True)
    restarts: int = setting(
        1,
        "Number of starts that are tried, each with a seed of its own; the worse half is dropped twice",
        1,
        64,
        advanced=True,
    )
    class_label: int = setting(0, "Class of a conditional model; others ignore it", 0, 100_000, advanced=True)


@dataclass(frozen=True)
class SearchSettings(Settings):
    """How a search goes on from there, and when it ends."""

    w_fraction: float = setting(
        0.2, "Share of the steps spent in W before the layers separate in W+", 0.0, 1.0, advanced=True
    )
    optimizer: str = setting(
        "adam", "Adam, or L-BFGS, whose steps are evaluations of the loss", choices=("adam", "lbfgs"), advanced=True
    )
    learning_rate: float = setting(0.2, "Peak learning rate of Adam", 1e-4, 1.0, advanced=True)
    axes: str = setting(
        "image",
        "What a search in w and w+ moves along: the directions that change the model's image (image), or w's own axes",
        choices=("image", "own"),
        advanced=True,
    )
    schedule: str = setting(
        "ramped", "Adam's rate rises and falls, or stays constant", choices=("ramped", "constant"), advanced=True
    )
    stop_psnr: float = setting(0.0, "Stop when the image is this close, in dB; 0: never", 0.0, 99.0, advanced=True)
    patience: int = setting(0, "Stop after this many steps without improvement; 0: never", 0, 20000, advanced=True)


@dataclass(frozen=True)
class LossSettings(Settings):
    """What the image is to look like."""

    pixel_loss: str = setting(
        "l2", "Pixels are compared by squared (l2) or absolute (l1) differences", choices=("l2", "l1"), advanced=True
    )
    pixel_weight: float = setting(0.3, "Weight of the pixel loss", 0.0, 100.0, advanced=True)
    perceptual_weight: float = setting(0.7, "Weight of the perceptual loss", 0.0, 100.0, advanced=True)
    perceptual: str = _perceptual()
    perceptual_layers: str = _perceptual_layers()
    perceptual_side: int = setting(
        128, "The perceptual network sees larger images shrunk to this side, in pixels", 64, 1024, advanced=True
    )
    coarse_fraction: float = setting(
        0.6,
        "Share of the steps in which, at first, it sees them at half that size: faster (Adam without patience)",
        0.0,
        1.0,
        advanced=True,
    )
    selected_only: bool = setting(
        False, "Reproduce what is selected, and leave open what the rest looks like", advanced=True
    )
    style_weight: float = setting(
        0.0, "Weight of the style loss: Gram matrices of the perceptual network", 0.0, 100.0, advanced=True
    )


@dataclass(frozen=True)
class PriorSettings(Settings):
    """What keeps the latent one of the model's own."""

    prior: str = setting(
        "l2",
        "What keeps the latent typical: its distance from the mean (l2), or a Gaussian fitted to all latents",
        choices=("l2", "gaussian"),
        advanced=True,
    )
    prior_weight: float = setting(0.01, "Weight of the prior", 0.0, 10.0, advanced=True)


@dataclass(frozen=True)
class DetailSettings(Settings):
    """What else is searched than a latent."""

    optimize_noise: bool = setting(
        False, "Also search the model's noise maps, and keep them in the result (Adam only)", advanced=True
    )
    noise_weight: float = setting(
        1e5, "How strictly the noise maps stay noise and carry no picture", 0.0, 1e8, advanced=True
    )
    residual: bool = setting(
        False,
        "Also search what the latent cannot say of the photo: a residual of the model's features that stays with the "
        "latent (StyleGAN2, Adam only)",
        advanced=True,
    )


@dataclass(frozen=True)
class TuningSettings(Settings):
    """How a copy of the model is tuned on the photo."""

    tuning_steps: int = setting(
        0,
        "Steps in which a copy of the model is tuned on this photo (pivotal tuning); 0: none",
        0,
        20000,
        advanced=True,
    )
    tuning_rate: float = setting(0.003, "Peak learning rate of the tuning", 1e-6, 0.1, advanced=True)
    tuning_locality: float = setting(
        0.1, "How strictly the tuned model stays as it was elsewhere", 0.0, 100.0, advanced=True
    )
    tuning_selected_only: bool = setting(
        False, "Tune on what is selected, and hold the rest of the model's image as it was", advanced=True
    )


@dataclass(frozen=True)
class ComputingSettings(Settings):
    """What a search computes in, and whether it is kept."""

    precision: str = setting(
        "auto",
        "Number format of the search; auto is bfloat16 where that is measured to be faster, else float32. The result "
        "itself is always float32",
        choices=("auto", "float32", "bfloat16"),
        advanced=True,
    )
    cache: bool = setting(
        True, "Keep the projection, so that the next edit of this photo starts at once", advanced=True
    )


@dataclass(frozen=True)
class ProjectSettings(
    ComputingSettings,
    TuningSettings,
    DetailSettings,
    PriorSettings,
    LossSettings,
    SearchSettings,
    StartSettings,
    BudgetSettings,
):
    """How a photo is projected into the generator. (Python takes the fields of the last of these groups first.)"""

    QUALITIES = {"draft": {"steps": 60}, "normal": {"steps": 300}, "best": {"steps": 1000}}


@dataclass(frozen=True)
class EditSettings(ProjectSettings):
    """How a scribble changes a projected photo, on top of how the photo is projected."""

    QUALITIES = {
        "draft": {"steps": 12, "edit_steps": 15},
        "normal": {"steps": 40, "edit_steps": 30},
        "best": {"steps": 120, "edit_steps": 60},
    }

    quality: str = _quality("a third", "two to three times")
    steps: int = setting(0, f"{_PROJECTION_STEPS}{_BY_QUALITY}", 0, 20000, advanced=True)
    edit_steps: int = setting(0, f"Optimisation steps that follow the scribble{_BY_QUALITY}", 0, 20000, advanced=True)
    reach: float = setting(
        0.5, "How far a stroke reaches: 0 the part that it lies on, 0.5 that part's region, 1 all of its kind", 0.0, 1.0
    )
    strength: float = setting(1.0, "How much of the edit is applied: 0 none, 1 all", 0.0, 2.0)
    feather: float = setting(
        2.0, "Softening of the selection's edge inwards, in percent of the edited square", 0.0, 50.0
    )
    scribble_weight: float = setting(
        10.0, "How strictly the search follows the scribble's colours", 0.0, 1000.0, advanced=True
    )
    keep_weight: float = setting(
        1.0,
        "How strictly a selected place that no stroke speaks for stays as it was, or changes as a whole",
        0.0,
        1000.0,
        advanced=True,
    )
    outside_weight: float = setting(
        4.0, "How strictly the search holds what is not selected", 0.0, 1000.0, advanced=True
    )
    edit_prior_weight: float = setting(
        0.02, "Weight of the prior that keeps the edit's way typical of the model", 0.0, 10.0, advanced=True
    )
    coarse_fraction: float = setting(
        1.0,
        "Share of the projection's steps in which, at first, it sees images at half that size: faster",
        0.0,
        1.0,
        advanced=True,
    )


@dataclass(frozen=True)
class RandomSettings(Settings):
    """How a random image is drawn."""

    seed: int = setting(0, "Seed of the random latent: the same seed gives the same image", 0, 2**31 - 1)
    class_label: int = setting(0, "Class of a conditional model; others ignore it", 0, 100_000, advanced=True)
    truncation_psi: float = setting(
        0.7, "Below 1 images are more typical, above 1 more varied (truncation of w towards its mean)", 0.0, 2.0
    )


@dataclass(frozen=True)
class ImagineSettings(Settings):
    """How a scribble alone becomes images."""

    candidates: int = setting(4, "Number of images to choose from, the most likely first", 1, 16)
    seed: int = setting(0, "Seed of the images that it starts from: another one gives other images", 0, 2**31 - 1)
    steps: int = setting(25, "Optimisation steps that follow the scribble, of each image", 1, 20000)
    class_label: int = setting(0, "Class of a conditional model; others ignore it", 0, 100_000, advanced=True)
    samples: int = setting(
        64,
        "Number of random images that are looked at; those most like the scribble are the starts",
        1,
        10000,
        advanced=True,
    )
    scribble_weight: float = setting(
        10.0, "How strictly the search follows the scribble's colours", 0.0, 1000.0, advanced=True
    )
    prior_weight: float = setting(
        0.2, "How strictly the images stay ones that the model would draw by itself", 0.0, 10.0, advanced=True
    )


@dataclass(frozen=True)
class InterpolateSettings(Settings):
    """How several latents become one or more images."""

    mode: str = setting(
        "linear",
        "linear: a way through all latents; spherical: the same in z, on the sphere where its samples lie; crossover: "
        "the first one's shape in the second one's colours; transfer: the first plus what the third has over the "
        "second; style: the first one's picture with the second one's textures",
        choices=("linear", "spherical", "crossover", "transfer", "style"),
    )
    frames: int = setting(24, "Number of images on the way (linear, spherical)", 2, 1000)
    loop: bool = setting(False, "Go back to the first latent at the end (linear, spherical)")
    crossover_layer: int = setting(4, "From this layer of w+ on the second latent counts (crossover)", 0, 100)
    amount: float = setting(1.0, "How much of the difference is transferred (transfer)", -10.0, 10.0)
    style_weight: float = setting(1.0, "How strictly the textures follow the second latent (style)", 0.0, 100.0)
    steps: int = setting(200, "Optimisation steps (style)", 1, 20000, advanced=True)
    perceptual: str = _perceptual()
    perceptual_layers: str = _perceptual_layers()
    class_label: int = setting(0, "Class of a conditional model; others ignore it", 0, 100_000, advanced=True)
