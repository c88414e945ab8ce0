"""Edits made as the worker makes them, and laid on the photo as the command line does."""

from __future__ import annotations

import time

import numpy as np
import torch

from edits.cases import Image
from gan_edit_engine.imaging.arrays import from_message, to_message
from gan_edit_engine.imaging.crop import composite
from gan_edit_engine.library.models import Model
from gan_edit_engine.worker.perform import perform
from gan_edit_engine.worker.workspace import Workspace
from gan_edit_protocol.events import ResultReady
from gan_edit_protocol.geometry import Align
from gan_edit_protocol.requests import EditRequest, ProjectRequest
from gan_edit_protocol.settings import EditSettings, ProjectSettings

LATENT_STEPS = 100  # of the projections that the wanted pictures of "whole" are drawn from


class Editor:
    """``model``: an installed model's name, or a file; it must have alignment points."""

    def __init__(self, model: str) -> None:
        self.workspace, self.name = Workspace(torch.device("cpu")), model
        self.model: Model = self.workspace.model(model)[0]

    def aligned(self, side: int) -> Align:
        """The alignment of a photo that is nothing but an aligned face of ``side`` pixels."""
        points = self.model.info.align_points
        assert points is not None  # the faces are aligned to the default's
        (x1, y1), (x2, y2) = points
        return Align(*(side * value for value in (x1, y1, x2, y2)))

    def edit(
        self, photo: Image, scribble: Image, selection: Image, align: Align, assignments: list[str]
    ) -> tuple[Image, float]:
        """The edited photo and the seconds of processor time that it took.

        ``photo`` [H, W, 3], ``scribble`` [H, W, 4] and ``selection`` [H, W] in 0..1; ``assignments``: NAME=VALUE of
        settings that are not the defaults.
        """
        pixels = as_bytes(photo)
        request = EditRequest(
            photo=to_message(pixels),
            scribble=to_message(as_bytes(scribble)),
            mask=to_message(as_bytes(selection)),
            model=self.name,
            align=align,
            settings=EditSettings.from_assignments(assignments, cache=False),
        )
        started = time.process_time()
        *_, result = perform(request, self.workspace)
        seconds = time.process_time() - started
        assert isinstance(result, ResultReady)
        assert result.mask is not None
        mask = from_message(result.mask).astype(np.uint8)
        edited = composite(pixels, from_message(result.image), mask, result.x, result.y)
        return np.asarray(edited, np.float32) / np.float32(255), seconds

    def latent(self, photo: Image) -> torch.Tensor:
        """The projection [1, num_ws, w_dim] of an aligned face [SIDE, SIDE, 3]."""
        settings = ProjectSettings(steps=LATENT_STEPS, cache=False)
        align = self.aligned(photo.shape[0])
        request = ProjectRequest(photo=to_message(as_bytes(photo)), align=align, settings=settings)
        *_, result = perform(request, self.workspace)
        assert isinstance(result, ResultReady)
        return torch.from_numpy(from_message(result.latent.ws).copy())[None]


def as_bytes(image: Image) -> np.ndarray:
    return np.asarray(np.round(np.clip(image, 0, 1) * 255), np.uint8)
