"""An edit in a model of 1024 pixels."""

from __future__ import annotations

import resource
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch

from benching.turns import Case, seconds_of
from gan_edit_engine.checkpoints import safetensors_file
from gan_edit_engine.generators import Generator, build
from gan_edit_engine.generators.stylegan2 import StyleGAN2Config
from gan_edit_engine.imaging.arrays import to_message
from gan_edit_engine.imaging.crop import Image, from_unit
from gan_edit_engine.inversion.axes import PROBES
from gan_edit_engine.inversion.latents import random_z
from gan_edit_engine.inversion.perceptual import load_perceptual
from gan_edit_engine.worker.perform import perform
from gan_edit_engine.worker.workspace import Workspace
from gan_edit_protocol.requests import EditRequest
from gan_edit_protocol.settings import EditSettings

LARGE = StyleGAN2Config(resolution=1024, channel_base=32768, channel_max=512)
"""The official config-f, as FFHQ's model."""


@dataclass(frozen=True)
class LargeEdit:
    """Seconds of edits by default in a large model: the first, and the next, for which the model is known.

    They are the processor's where that computes. ``step``: of one step at full size. ``peak``: bytes that the process
    had at most until the edits were done, and ``peak_on_card`` their tensors on a graphics card.
    """

    first_edit: float
    next_edit: float
    step: float
    peak: int
    peak_on_card: int = 0

    def at_full_size(self, first: bool) -> float:
        """Seconds of the steps of an edit that was searched at full size, and of a first edit's looks for the axes.

        Estimated: the hours that it takes are not waited for. All else that such an edit does is left out.
        """
        settings = EditSettings()
        return (PROBES * first + settings.steps + settings.edit_steps // 4) * self.step


def large_edit(device: torch.device) -> LargeEdit:
    """Two edits of one photo with different seeds, and one step at full size."""
    torch.manual_seed(0)
    generator = build(LARGE).eval().requires_grad_(False)
    with tempfile.TemporaryDirectory() as folder:
        file, workspace = Path(folder, "large.safetensors"), Workspace(device)
        workspace.explored = Path(folder)
        safetensors_file.write(file, generator, {})
        first, following = (seconds_of(partial(_edit_large, str(file), seed, workspace), device) for seed in (0, 1))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    on_card = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
    return LargeEdit(first, following, seconds_of(_full_size_step(generator.to(device)), device), peak, on_card)


def _edit_large(model: str, seed: int, workspace: Workspace) -> None:
    side = LARGE.resolution
    photo = from_unit(_clouds(side), np.dtype(np.uint8))
    strokes, selected = np.zeros((side, side, 4), np.uint8), np.zeros((side, side), np.uint8)
    strokes[side // 3 : side // 2, side // 3 : side // 2] = (40, 80, 220, 255)
    selected[side // 4 : 2 * side // 3, side // 4 : 2 * side // 3] = 255
    settings = EditSettings(cache=False, seed=seed)
    request = EditRequest(
        to_message(photo), to_message(strokes), mask=to_message(selected), model=model, settings=settings
    )
    for _ in perform(request, workspace):
        pass


def _full_size_step(generator: Generator) -> Case:
    """Image, perceptual loss at the edit's size, and gradient; it was run once, so that all is made that is kept."""
    device = next(generator.parameters()).device
    ws = generator.mapping(random_z(generator, 1, 0, device))
    with torch.no_grad():
        image = generator.synthesis(ws)
    perceptual = load_perceptual("auto", device)
    target = perceptual.target(image, torch.ones_like(image[:, :1]), side=EditSettings.perceptual_side // 2)

    def run() -> None:
        latent = ws.clone().requires_grad_()
        drawn = generator.synthesis(latent)
        (perceptual.loss(drawn, target) + (drawn - image).square().mean()).backward()

    run()
    return run


def _clouds(side: int) -> Image:
    colours = np.random.default_rng(0).random((16, 16, 3), np.float32)
    return np.asarray(cv2.resize(colours, (side, side), interpolation=cv2.INTER_CUBIC).clip(0, 1), np.float32)
