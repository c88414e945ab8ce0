"""What is inverted: a photo that may be shown, an image of the generator itself, and photos that are only measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import skimage.data
import torch

from gan_edit_engine.imaging.arrays import to_message
from gan_edit_engine.imaging.crop import AnyImage, to_unit
from gan_edit_engine.imaging.view import to_tensor, view
from gan_edit_engine.inversion.latents import label, random_z
from gan_edit_engine.inversion.subject import Subject
from gan_edit_engine.library.models import Model
from gan_edit_engine.training.photos import PhotoSource, square_pixels
from gan_edit_protocol.geometry import Align, Crop
from gan_edit_protocol.requests import ProjectRequest

# The eyes of scikit-image's `chelsea` (CC0, by Stefan van der Walt), and the face for models without alignment points.
EYES = Align(172, 118, 320, 137)
FACE = Crop(225, 150, 300)
SAMPLE_SEED = 1


@dataclass(frozen=True)
class Target:
    """A subject with its ``name``; ``shown``: whether its pictures may be published; ``photo``: no generated image."""

    name: str
    subject: Subject
    shown: bool = True
    photo: bool = True


def place(model: Model) -> dict[str, Align | Crop]:
    """Where the model looks in `chelsea`, as an argument of a request."""
    return {"align": EYES} if model.info.align_points else {"crop": FACE}


def chelsea() -> AnyImage:
    """The photo [300, 451, 3] uint8."""
    photo: AnyImage = skimage.data.chelsea()
    return photo


def chelsea_target(model: Model, device: torch.device) -> Target:
    """The photo's face as the model sees it."""
    request = ProjectRequest(photo=to_message(chelsea()), **place(model))  # type: ignore[arg-type]
    return Target("chelsea", view(request, model, device).subject)


@torch.no_grad()
def sample_target(model: Model, device: torch.device) -> Target:
    """An image of the generator itself, untruncated: every latent space holds an exact answer."""
    generator = model.generator
    z = random_z(generator, 1, SAMPLE_SEED, device)
    image = generator(z, label(generator, 1, 0, device)).clamp(-1, 1)
    return Target("a sample of the generator", Subject(image, torch.ones_like(image[:, :1])), photo=False)


def other_targets(photos: Path, names: Iterable[str], count: int, model: Model, device: torch.device) -> list[Target]:
    """The first ``count`` of ``names`` (of all photos when empty) in a folder or zip file, to be measured only."""
    source = PhotoSource(photos)
    chosen = (list(names) or source.names)[:count]
    found = []
    for number, name in enumerate(chosen, start=1):
        pixels = square_pixels(source.open(name), model.generator.resolution)
        colours = to_unit(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
        image = to_tensor(colours, model.generator.image_channels, device)
        found.append(Target(f"photo {number}", Subject(image, torch.ones_like(image[:, :1])), shown=False))
    return found
