"""What the worker does for an ImagineRequest: a scribble in, candidates out."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gan_edit_engine.imaging.arrays import from_message, to_message
from gan_edit_engine.imaging.crop import Box, Crop, Image, Part, from_unit
from gan_edit_engine.imaging.transfer import transfer
from gan_edit_engine.imaging.view import Scribble, map_to_tensor, painted_in, to_colours, to_tensor
from gan_edit_engine.inversion.imagine import Asked, Imagined, imagine, looks_of
from gan_edit_engine.inversion.optimize import Step
from gan_edit_engine.inversion.prepared import Prepared
from gan_edit_engine.inversion.subject import Inversion
from gan_edit_engine.inversion.terms import FollowPaint
from gan_edit_engine.worker.follow import follow
from gan_edit_engine.worker.progress import exploring, report
from gan_edit_engine.worker.workspace import Workspace
from gan_edit_protocol import geometry
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.events import FramesReady, Progress
from gan_edit_protocol.requests import ImagineRequest
from gan_edit_protocol.settings import EditSettings, ImagineSettings

_SHARE = 0.7  # of the steps are the search for likely images; in the others each of them follows the scribble


@dataclass(frozen=True)
class _Candidate:
    """A picture [R, R, 3] in 0..1 and the latent ws [1, num_ws, w_dim] of the model's image that it was drawn over.

    ``loss``: for colours that are not the paint's, for being unlikely, and for what had to be changed by the paint, as
    when a stroke on a closed eye tints the face; ``error``: RMS difference of its local means from the paint's, 0..1.
    """

    picture: Image
    ws: Tensor
    loss: float
    error: float


def imagine_scribble(request: ImagineRequest, workspace: Workspace) -> Generator[Progress, None, FramesReady]:
    """Yields Progress for each look and step; returns the candidates, best first. GanEditError without any paint."""
    settings = request.settings
    along_w = max(1, round(settings.steps * _SHARE))
    following = _following(settings, max(1, settings.steps - along_w))
    looks = workspace.looks(request.model, following)
    prepared = yield from exploring(workspace.explore(request.model, following), looks)
    generator, following = prepared.generator, prepared.settings
    painted = _painted(request, generator.resolution)
    asked = Asked(
        to_tensor(painted.colours, generator.image_channels, workspace.device),
        map_to_tensor(painted.cover, workspace.device),
    )
    count, first_looks = min(settings.candidates, settings.samples), looks_of(settings)
    total = first_looks + along_w + count * following.edit_steps
    searching = imagine(prepared, asked, settings, along_w)
    found = yield from report(searching, "Imagining", 0, total, request.previews)
    candidates = []
    for number, one in enumerate(found):
        done = first_looks + along_w + number * following.edit_steps
        drawing = _followed(prepared, one, painted, asked)
        candidates.append((yield from report(drawing, "Following the scribble", done, total, request.previews)))
    candidates.sort(key=lambda candidate: candidate.loss)
    return FramesReady(
        frames=to_message(np.stack([from_unit(each.picture, np.dtype(np.uint8)) for each in candidates])),
        latents=to_message(torch.cat([each.ws for each in candidates]).cpu().numpy().astype(np.float32)),
        errors=to_message(np.array([each.error for each in candidates], np.float32)),
        model=workspace.model(request.model)[0].info.name,
        seed=settings.seed,
    )


def _following(settings: ImagineSettings, steps: int) -> EditSettings:
    """How an image that was found follows the scribble: as a photo does, in few steps."""
    return EditSettings(
        class_label=settings.class_label,
        edit_steps=steps,
        scribble_weight=settings.scribble_weight,
        axes="own",  # for so few steps the image's axes are not worth the looks that they take
    )


def _painted(request: ImagineRequest, resolution: int) -> Scribble:
    strokes = from_message(request.scribble).astype(np.uint8)
    height, width = strokes.shape[:2]
    square = geometry.Crop(width / 2, height / 2, float(min(height, width)))
    whole = Part.whole(np.full((height, width), 255, np.uint8))
    painted = painted_in(strokes, whole, Crop.of_square(square, resolution))
    if not painted.cover.any():
        where = "" if height == width else " in the square in its middle"
        raise GanEditError(
            "nothing_painted", f"Nothing is painted on the scribble{where}.", "Paint the colours that you want there."
        )
    return painted


def _followed(
    prepared: Prepared[EditSettings], imagined: Imagined, painted: Scribble, asked: Asked
) -> Generator[Step, None, _Candidate]:
    """The image, in which the scribble is followed as in a photo of which all is selected."""
    start, weight = Inversion(imagined.ws, imagined.image, psnr=0.0), prepared.settings.scribble_weight
    picture, everywhere = to_colours(imagined.image), torch.ones_like(asked.painted)
    followed = yield from follow(prepared, start, picture, painted, everywhere)
    whole = Crop(0.0, 0.0, 1.0, 0.0, len(picture))
    box = Box(0, 0, len(picture), len(picture))
    picture = np.asarray(transfer(whole, box, Part.whole(picture), followed.maps), np.float32)
    channels = asked.paint.shape[1]
    drawn = to_tensor(np.clip(picture, 0, 1), channels, asked.paint.device)
    unlike = FollowPaint(weight, asked.paint, asked.painted).by_means(drawn).item()
    changed = (drawn - imagined.image.clamp(-1, 1)).square().mean().item()
    loss = weight * (unlike + changed) + imagined.doubt
    return _Candidate(picture, followed.ws, loss, math.sqrt(unlike) / 2)
