"""How well photos are reproduced: PSNR, SSIM, LPIPS, seconds and steps of a projection, photo by photo."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from gan_edit_engine.generators import Generator
from gan_edit_engine.imaging.crop import Crop, to_unit
from gan_edit_engine.imaging.image_files import read_picture
from gan_edit_engine.imaging.view import to_colours, to_tensor
from gan_edit_engine.inversion.optimize import result_of
from gan_edit_engine.inversion.perceptual import Perceptual, load_lpips
from gan_edit_engine.inversion.prepared import Projector
from gan_edit_engine.inversion.projection import project
from gan_edit_engine.inversion.subject import Subject, psnr
from gan_edit_protocol import geometry
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.settings import ProjectSettings

try:
    from skimage.metrics import structural_similarity
except ImportError:  # only who evaluates needs it
    structural_similarity = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Score:
    """One photo's figures: ``psnr`` in dB, ``ssim`` up to 1, ``lpips`` (VGG-16, v0.1) from 0; ``seconds`` searched."""

    photo: str
    psnr: float
    ssim: float
    lpips: float
    seconds: float
    steps: int


def subject_of(file: Path, generator: Generator, device: torch.device) -> Subject:
    """The photo's largest centred square as the model's image; it should show what the model knows, aligned."""
    pixels = read_picture(file).pixels[..., :3]
    height, width = pixels.shape[:2]
    square = geometry.Crop(width / 2, height / 2, float(min(height, width)))
    colours = to_unit(np.ascontiguousarray(pixels))
    seen = Crop.of_square(square, generator.resolution).extract(colours, cv2.BORDER_REPLICATE)
    image = to_tensor(seen, generator.image_channels, device)
    return Subject(image, torch.ones_like(image[:, :1]))


class Judge:
    """Scores an image against its subject. Needs the model library's vgg16-lpips and scikit-image."""

    def __init__(self, device: torch.device) -> None:
        if structural_similarity is None:
            raise GanEditError(
                "missing_library", "The evaluation needs scikit-image.", "Run: pip install 'gan-edit[evaluate]'"
            )
        self._lpips: Perceptual = load_lpips(device)

    def score(self, name: str, image: Tensor, subject: Subject, seconds: float, steps: int) -> Score:
        """All figures of ``image`` [1, C, R, R] in −1..1."""
        with torch.no_grad():
            distance = self._lpips.loss(image.clamp(-1, 1), self._lpips.target(subject.image, subject.weight))
        ours, theirs = to_colours(image), to_colours(subject.image)
        similarity = structural_similarity(ours, theirs, channel_axis=2, data_range=1.0, gaussian_weights=True)
        return Score(name, psnr(image, subject), float(similarity), distance.item(), seconds, steps)


def evaluate(
    files: list[Path],
    projector: Projector[ProjectSettings],
    begin: Callable[[str], None],
    skip: Callable[[str, GanEditError], None] | None = None,
) -> Iterator[Score]:
    """Project each photo and score it; ``begin(name)`` is called before each.

    ``skip(name, why)`` is called for each that is no picture, or one too small to look at, and the others go on;
    without it the first such one is the end.
    """
    device = projector.statistics.mean.device
    judge = Judge(device)
    for file in files:
        begin(file.name)
        try:
            subject = subject_of(file, projector.generator, device)
        except GanEditError as error:
            if skip is None:
                raise
            skip(file.name, error)
            continue
        started = time.perf_counter()
        found = result_of(project(projector, subject))
        seconds = time.perf_counter() - started
        yield judge.score(file.name, found.inversion.image, subject, seconds, found.steps)


def mean(scores: list[Score]) -> Score:
    """The mean of all figures."""
    names = ("psnr", "ssim", "lpips", "seconds", "steps")
    means = [float(np.mean([getattr(score, name) for score in scores])) for name in names]
    psnr_mean, ssim_mean, lpips_mean, seconds_mean, steps_mean = means
    return Score("mean", psnr_mean, ssim_mean, lpips_mean, seconds_mean, round(steps_mean))
