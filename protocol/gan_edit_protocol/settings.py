"""Every setting of GAN Edit, defined once: type, default, range and help.

The command line's ``--set``, GIMP's dialogs and PDB arguments, validation on both sides of the socket and the table in
the README are derived from these dataclasses.
"""

from __future__ import annotations

import dataclasses
import math
import reprlib
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from .errors import SettingError

SettingsT = TypeVar("SettingsT", bound="Settings")

MAX_TEXT_SETTING = 1000
"""Characters of a setting that is a text; all layers of the largest network, each with a weight, take 300."""


@dataclass(frozen=True)
class Spec:
    """What is known of one setting besides its default."""

    name: str
    type: type
    default: Any
    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    advanced: bool = False

    @property
    def label(self) -> str:
        """The name as a person reads it: ``scribble_weight`` is "Scribble weight"."""
        return self.name.replace("_", " ").capitalize().replace(" w plus", " w+")

    @property
    def range(self) -> str:
        """The values allowed, as a person reads them: "1 to 20000", or the choices; empty where all of the type are."""
        if self.choices or self.minimum is None or self.maximum is None:
            return ", ".join(self.choices)
        digits = "d" if self.type is int else "g"
        return f"{self.minimum:{digits}} to {self.maximum:{digits}}"

    def check(self, value: Any) -> None:
        """Raise :class:`SettingError` unless ``value`` has this setting's type and lies in its range."""
        right_type = isinstance(value, self.type) and (self.type is bool or not isinstance(value, bool))
        if not right_type or (self.type is float and not math.isfinite(value)):
            raise SettingError(f"The setting {self.name} must be {_article(self.type)}, not {reprlib.repr(value)}.")
        if self.type is str and len(value) > MAX_TEXT_SETTING:
            text = f"The setting {self.name} is a text of {len(value)} characters."
            raise SettingError(text, f"Use at most {MAX_TEXT_SETTING}.")
        if self.choices and value not in self.choices:
            raise SettingError(
                f"The setting {self.name} cannot be {reprlib.repr(value)}.", f"Use one of {', '.join(self.choices)}."
            )
        too_low = self.minimum is not None and value < self.minimum
        too_high = self.maximum is not None and value > self.maximum
        if too_low or too_high:
            text = f"The setting {self.name} is {reprlib.repr(value)}, outside its range."
            raise SettingError(text, f"Use {self.range}.")

    def parse(self, text: str) -> Any:
        """Turn text from a command line into a value of this setting, checked."""
        try:
            value: Any = _parse_bool(text) if self.type is bool else self.type(text)
        except ValueError:
            raise SettingError(f"The setting {self.name} must be {_article(self.type)}, not '{text}'.") from None
        self.check(value)
        return value


def _article(kind: type) -> str:
    return {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}[kind]


def _parse_bool(text: str) -> bool:
    if text.lower() in {"true", "yes", "on", "1"}:
        return True
    if text.lower() in {"false", "no", "off", "0"}:
        return False
    raise ValueError(text)


def _setting(default: Any, help: str, low: float | None = None, high: float | None = None, **more: Any) -> Any:
    return field(default=default, metadata={"help": help, "minimum": low, "maximum": high, **more})


def _perceptual() -> Any:
    return _setting(
        "auto",
        "Network of the perceptual loss; auto is the first installed of vgg16-lpips, vgg19, efficientnet-lite0",
        choices=("auto", "vgg19", "vgg16", "vgg16-lpips", "efficientnet-lite0", "discriminator"),
        advanced=True,
    )


def _quality(draft: str, best: str) -> Any:
    return _setting(
        "normal",
        f"How well rather than how soon: draft takes {draft} of the usual time, best {best} as long",
        choices=("draft", "normal", "best"),
    )


_PROJECTION_STEPS = "Optimisation steps of the projection, W and W+ together"
_BY_QUALITY = "; 0: as many as the quality asks for"


def _perceptual_layers() -> Any:
    return _setting(
        "conv1_1 conv1_2 conv2_1 conv2_2 conv3_1",
        "Layers of vgg16 or vgg19 that are compared, each with a weight if it has another than 1: conv1_1:2 conv3_1",
        advanced=True,
    )


@dataclass(frozen=True)
class Settings:
    """Base of the settings of one menu entry. Checked when made: an instance always holds valid values."""

    QUALITIES: ClassVar[dict[str, dict[str, int]]] = {}
    """What each choice of the setting ``quality`` makes of settings that are 0, which leaves them to it."""

    def __post_init__(self) -> None:
        for spec in self.specs():
            value = getattr(self, spec.name)
            if spec.type is float and type(value) is int and abs(value) < 1 << 53:
                object.__setattr__(self, spec.name, float(value))
                value = float(value)
            spec.check(value)
        for name, value in self.QUALITIES.get(getattr(self, "quality", ""), {}).items():
            object.__setattr__(self, name, getattr(self, name) or value)

    @classmethod
    def specs(cls) -> tuple[Spec, ...]:
        """All settings of this class in the order in which people should see them."""
        kinds = {"bool": bool, "int": int, "float": float, "str": str}
        return tuple(Spec(f.name, kinds[str(f.type)], f.default, **f.metadata) for f in dataclasses.fields(cls))

    @classmethod
    def from_dict(cls: type[SettingsT], values: dict[str, Any]) -> SettingsT:
        """Settings from plain values; :class:`SettingError` on an unknown name or a bad value."""
        known = {spec.name for spec in cls.specs()}
        for name in values:
            if name not in known:
                raise SettingError(
                    f"There is no setting named {reprlib.repr(name)}.", f"The settings are {', '.join(sorted(known))}."
                )
        return cls(**values)

    @classmethod
    def from_assignments(cls: type[SettingsT], assignments: list[str], **values: Any) -> SettingsT:
        """Settings from ``name=value`` texts (the command line's ``--set``), over ``values``."""
        specs = {spec.name: spec for spec in cls.specs()}
        merged = dict(values)
        for assignment in assignments:
            name, separator, text = assignment.partition("=")
            name = name.strip().replace("-", "_")
            if not separator or name not in specs:
                raise SettingError(
                    f"--set {assignment} is not of the form name=value with a known name.",
                    f"The settings are {', '.join(sorted(specs))}.",
                )
            merged[name] = specs[name].parse(text.strip())
        return cls.from_dict(merged)


@dataclass(frozen=True)
class ProjectSettings(Settings):
    """How a photo is projected into the generator: the inversion's loss, space, start and optimiser."""

    QUALITIES = {"draft": {"steps": 60}, "normal": {"steps": 300}, "best": {"steps": 1000}}

    quality: str = _quality("a fifth", "three times")
    steps: int = _setting(0, f"{_PROJECTION_STEPS}{_BY_QUALITY}", 0, 20000, advanced=True)
    seed: int = _setting(0, "Seed of everything random: the same seed gives the same image", 0, 2**31 - 1)
    space: str = _setting(
        "w+", "Latent space that is searched; w+ fits the photo best, w stays most typical", choices=("z", "w", "w+")
    )
    start: str = _setting(
        "auto",
        "The search starts from the encoder's answer, from the mean of the random latents or from the one whose pixels "
        "come closest; auto is the encoder where the model has one, else the mean",
        choices=("auto", "encoder", "mean", "best"),
        advanced=True,
    )
    init_samples: int = _setting(10, "Number of random latents at the start", 1, 10000, advanced=True)
    restarts: int = _setting(
        1,
        "Number of starts that are tried, each with a seed of its own; the worse half is dropped twice",
        1,
        64,
        advanced=True,
    )
    class_label: int = _setting(0, "Class of a conditional model; others ignore it", 0, 100_000, advanced=True)
    w_fraction: float = _setting(
        0.2, "Share of the steps spent in W before the layers separate in W+", 0.0, 1.0, advanced=True
    )
    optimizer: str = _setting(
        "adam", "Adam, or L-BFGS, whose steps are evaluations of the loss", choices=("adam", "lbfgs"), advanced=True
    )
    learning_rate: float = _setting(0.2, "Peak learning rate of Adam", 1e-4, 1.0, advanced=True)
    axes: str = _setting(
        "image",
        "What a search in w and w+ moves along: the directions that change the model's image (image), or w's own axes",
        choices=("image", "own"),
        advanced=True,
    )
    schedule: str = _setting(
        "ramped", "Adam's rate rises and falls, or stays constant", choices=("ramped", "constant"), advanced=True
    )
    stop_psnr: float = _setting(0.0, "Stop when the image is this close, in dB; 0: never", 0.0, 99.0, advanced=True)
    patience: int = _setting(0, "Stop after this many steps without improvement; 0: never", 0, 20000, advanced=True)
    pixel_loss: str = _setting(
        "l2", "Pixels are compared by squared (l2) or absolute (l1) differences", choices=("l2", "l1"), advanced=True
    )
    pixel_weight: float = _setting(0.3, "Weight of the pixel loss", 0.0, 100.0, advanced=True)
    perceptual_weight: float = _setting(0.7, "Weight of the perceptual loss", 0.0, 100.0, advanced=True)
    perceptual: str = _perceptual()
    perceptual_layers: str = _perceptual_layers()
    perceptual_side: int = _setting(
        256, "The perceptual network sees larger images shrunk to this side, in pixels", 64, 1024, advanced=True
    )
    coarse_fraction: float = _setting(
        0.6,
        "Share of the steps in which, at first, it sees them at half that size: faster (Adam without patience)",
        0.0,
        1.0,
        advanced=True,
    )
    selected_only: bool = _setting(
        False, "Reproduce what is selected, and leave open what the rest looks like", advanced=True
    )
    style_weight: float = _setting(
        0.0, "Weight of the style loss: Gram matrices of the perceptual network", 0.0, 100.0, advanced=True
    )
    prior: str = _setting(
        "l2",
        "What keeps the latent typical: its distance from the mean (l2), or a Gaussian fitted to all latents",
        choices=("l2", "gaussian"),
        advanced=True,
    )
    prior_weight: float = _setting(0.01, "Weight of the prior", 0.0, 10.0, advanced=True)
    optimize_noise: bool = _setting(
        False, "Also search the model's noise maps, and keep them in the result (Adam only)", advanced=True
    )
    noise_weight: float = _setting(
        1e5, "How strictly the noise maps stay noise and carry no picture", 0.0, 1e8, advanced=True
    )
    residual: bool = _setting(
        False,
        "Also search what the latent cannot say of the photo: a residual of the model's features that stays with the "
        "latent (StyleGAN2, Adam only)",
        advanced=True,
    )
    tuning_steps: int = _setting(
        0,
        "Steps in which a copy of the model is tuned on this photo (pivotal tuning); 0: none",
        0,
        20000,
        advanced=True,
    )
    tuning_rate: float = _setting(0.003, "Peak learning rate of the tuning", 1e-6, 0.1, advanced=True)
    tuning_locality: float = _setting(
        0.1, "How strictly the tuned model stays as it was elsewhere", 0.0, 100.0, advanced=True
    )
    tuning_selected_only: bool = _setting(
        False, "Tune on what is selected, and hold the rest of the model's image as it was", advanced=True
    )
    precision: str = _setting(
        "auto",
        "Number format of the search; auto is bfloat16 where that is measured to be faster, else float32. The result "
        "itself is always float32",
        choices=("auto", "float32", "bfloat16"),
        advanced=True,
    )
    cache: bool = _setting(
        True, "Keep the projection, so that the next edit of this photo starts at once", advanced=True
    )


@dataclass(frozen=True)
class EditSettings(ProjectSettings):
    """How a scribble changes a projected photo, on top of how the photo is projected."""

    QUALITIES = {
        "draft": {"steps": 12, "edit_steps": 15},
        "normal": {"steps": 40, "edit_steps": 30},
        "best": {"steps": 120, "edit_steps": 60},
    }

    quality: str = _quality("a third", "two to three times")
    steps: int = _setting(0, f"{_PROJECTION_STEPS}{_BY_QUALITY}", 0, 20000, advanced=True)
    edit_steps: int = _setting(0, f"Optimisation steps that follow the scribble{_BY_QUALITY}", 0, 20000, advanced=True)
    reach: float = _setting(
        0.5, "How far a stroke reaches: 0 the part that it lies on, 0.5 that part's region, 1 all of its kind", 0.0, 1.0
    )
    strength: float = _setting(1.0, "How much of the edit is applied: 0 none, 1 all", 0.0, 2.0)
    feather: float = _setting(
        2.0, "Softening of the selection's edge inwards, in percent of the edited square", 0.0, 50.0
    )
    scribble_weight: float = _setting(
        10.0, "How strictly the search follows the scribble's colours", 0.0, 1000.0, advanced=True
    )
    keep_weight: float = _setting(
        1.0,
        "How strictly a selected place that no stroke speaks for stays as it was, or changes as a whole",
        0.0,
        1000.0,
        advanced=True,
    )
    outside_weight: float = _setting(
        4.0, "How strictly the search holds what is not selected", 0.0, 1000.0, advanced=True
    )
    edit_prior_weight: float = _setting(
        0.02, "Weight of the prior that keeps the edit's way typical of the model", 0.0, 10.0, advanced=True
    )
    coarse_fraction: float = _setting(
        1.0,
        "Share of the projection's steps in which, at first, it sees images at half that size: faster",
        0.0,
        1.0,
        advanced=True,
    )


@dataclass(frozen=True)
class RandomSettings(Settings):
    """How a random image is drawn."""

    seed: int = _setting(0, "Seed of the random latent: the same seed gives the same image", 0, 2**31 - 1)
    class_label: int = _setting(0, "Class of a conditional model; others ignore it", 0, 100_000, advanced=True)
    truncation_psi: float = _setting(
        0.7, "Below 1 images are more typical, above 1 more varied (truncation of w towards its mean)", 0.0, 2.0
    )


@dataclass(frozen=True)
class ImagineSettings(Settings):
    """How a scribble alone becomes images."""

    candidates: int = _setting(4, "Number of images to choose from, the most likely first", 1, 16)
    seed: int = _setting(0, "Seed of the images that it starts from: another one gives other images", 0, 2**31 - 1)
    steps: int = _setting(25, "Optimisation steps that follow the scribble, of each image", 1, 20000)
    class_label: int = _setting(0, "Class of a conditional model; others ignore it", 0, 100_000, advanced=True)
    samples: int = _setting(
        64,
        "Number of random images that are looked at; those most like the scribble are the starts",
        1,
        10000,
        advanced=True,
    )
    scribble_weight: float = _setting(
        10.0, "How strictly the search follows the scribble's colours", 0.0, 1000.0, advanced=True
    )
    prior_weight: float = _setting(
        0.2, "How strictly the images stay ones that the model would draw by itself", 0.0, 10.0, advanced=True
    )


@dataclass(frozen=True)
class InterpolateSettings(Settings):
    """How several latents become one or more images."""

    mode: str = _setting(
        "linear",
        "linear: a way through all latents; spherical: the same in z, on the sphere where its samples lie; crossover: "
        "the first one's shape in the second one's colours; transfer: the first plus what the third has over the "
        "second; style: the first one's picture with the second one's textures",
        choices=("linear", "spherical", "crossover", "transfer", "style"),
    )
    frames: int = _setting(24, "Number of images on the way (linear, spherical)", 2, 1000)
    loop: bool = _setting(False, "Go back to the first latent at the end (linear, spherical)")
    crossover_layer: int = _setting(4, "From this layer of w+ on the second latent counts (crossover)", 0, 100)
    amount: float = _setting(1.0, "How much of the difference is transferred (transfer)", -10.0, 10.0)
    style_weight: float = _setting(1.0, "How strictly the textures follow the second latent (style)", 0.0, 100.0)
    steps: int = _setting(200, "Optimisation steps (style)", 1, 20000, advanced=True)
    perceptual: str = _perceptual()
    perceptual_layers: str = _perceptual_layers()
    class_label: int = _setting(0, "Class of a conditional model; others ignore it", 0, 100_000, advanced=True)
