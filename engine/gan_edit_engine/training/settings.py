"""Settings of a training run; kept in its state, so that a run goes on as it was begun unless told otherwise."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from gan_edit_protocol.errors import SettingError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True)
class TrainingSettings:
    """Defaults: the recipe that gave the first default model (docs/training.md)."""

    resolution: int = 64
    batch: int = 16
    seed: int = 0
    # "projected": frozen pretrained features; "stylegan2": the image itself, which needs r1_weight and far more images;
    # "detail": only the highest block learns, judged by small pieces (training/detail.py).
    discriminator: str = "projected"
    # The gradient penalty r1_weight / 2 * |d logits / d photos|^2, taken every 16th step (StyleGAN2, section 3.1).
    r1_weight: float = 0.0
    # Adam with betas (0, .99); with both rates at 2e-3 the discriminator won at once and the run diverged.
    generator_rate: float = 2e-3
    discriminator_rate: float = 1e-3
    # Over this many steps the rates rise from 0: Adam's second moments are unknown at first.
    rate_warm_up_steps: int = 100
    # The rates fall along a cosine to 0 at this many images; 0: they stay.
    rates_end: int = 0
    # The discriminator learns alone for so many images; 0 when the generator is new too.
    discriminator_head_start: int = 0
    # Photos and samples are blurred for the discriminator, less and less until so many images were seen.
    blur_sigma: float = 2.0
    blur_images: int = 40_000
    # Probability of each of DiffAugment's three changes. Lower it late: with all of them always, the discriminator
    # never sees a whole face in its own colours.
    augment_probability: float = 1.0
    # Weight of mean(relu(|x| - 1)^2), which keeps samples in the range of an image.
    range_weight: float = 2.0
    # "detail" only: weight of the mean squared change of the image at half its size. With 50 the image drifts, and its
    # distance to the photos grows by a fifth (docs/training.md).
    half_size_weight: float = 5000.0
    # Images after which a weight counts half in the average that is kept as the model.
    ema_half_life: int = 10_000
    bf16: bool = False
    # How often, in images, the run does what.
    report_every: int = 800
    save_every: int = 4_000
    sample_every: int = 8_000
    model_every: int = 16_000

    @property
    def compute_dtype(self) -> torch.dtype:
        """What the networks compute in."""
        return torch.bfloat16 if self.bf16 else torch.float32


SettingsT = TypeVar("SettingsT", bound="DataclassInstance")


def changed(settings: SettingsT, assignments: list[str]) -> SettingsT:
    """``settings``, a dataclass, with NAME=VALUE assignments applied; SettingError names an unknown one."""
    fields = {f.name for f in dataclasses.fields(settings)}
    values: dict[str, Any] = {}
    for assignment in assignments:
        name, _, value = assignment.partition("=")
        if name not in fields:
            raise SettingError(f"There is no training setting {name!r}; known: {', '.join(sorted(fields))}.")
        values[name] = _parsed(value)
    return dataclasses.replace(settings, **values)


def _parsed(value: str) -> Any:
    """A number, true or false; anything else is a text."""
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value
