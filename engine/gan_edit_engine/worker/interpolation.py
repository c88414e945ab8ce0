"""What the worker does for an InterpolateRequest: latents in, frames out."""

from __future__ import annotations

from collections.abc import Generator as Yields

import numpy as np
import torch
from torch import Tensor

from gan_edit_engine.generators import Generator
from gan_edit_engine.imaging.arrays import from_message, to_message
from gan_edit_engine.imaging.crop import from_unit
from gan_edit_engine.imaging.view import to_colours
from gan_edit_engine.inversion.interpolate import check_count, combine, path
from gan_edit_engine.inversion.latents import label
from gan_edit_engine.inversion.style import transfer_style
from gan_edit_engine.library.models import Model
from gan_edit_engine.worker.progress import preview, report
from gan_edit_engine.worker.workspace import Workspace
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.events import FramesReady, Progress
from gan_edit_protocol.requests import InterpolateRequest

ANSWER_BYTES = 64 << 20
"""Frames that one answer may take; the client asks for the others."""


def interpolate(request: InterpolateRequest, workspace: Workspace) -> Yields[Progress, None, FramesReady]:
    """Yields Progress for each step and each image; returns the frames. GanEditError when the latents do not fit.

    The frames are those from ``request.first`` on, as many as :data:`ANSWER_BYTES` holds.
    """
    model, known = workspace.model(request.model, request.settings.class_label)
    settings, generator = request.settings, model.generator
    check_latents(request, generator, model.info.name)
    given = torch.from_numpy(from_message(request.latents).astype(np.float32)).to(workspace.device)
    if settings.mode == "style":
        perceptual = workspace.perceptual(settings, request.model)
        searching = transfer_style(generator, known, perceptual, given[:2], settings)
        of = settings.steps + 1
        chosen = (yield from report(searching, "Transferring the style", 0, of, request.previews))[None]
        done = settings.steps
    else:
        chosen, done = _in_w_plus(combine(given, settings), request, model), 0
    of, first = len(chosen), request.first
    part = chosen[first : first + max(1, ANSWER_BYTES // (3 * generator.resolution**2))]
    if not len(part):
        raise GanEditError("bad_setting", f"There is no frame {first}.", f"There are {of} of them.")
    frames = []
    for number, ws in enumerate(part, start=first + 1):
        with torch.no_grad():
            colours = to_colours(generator.synthesis(ws[None]))
        frames.append(from_unit(colours, np.dtype(np.uint8)))
        picture = preview(colours) if request.previews else None
        yield Progress("Drawing the frames", done + number, done + of, 0.0, picture)
    latents = part.cpu().numpy().astype(np.float32)
    return FramesReady(to_message(np.stack(frames)), to_message(latents), model=model.info.name, first=first, of=of)


def check_latents(request: InterpolateRequest, generator: Generator, name: str) -> None:
    """GanEditError when the latents do not fit the generator of that name and the mode; the generator's weights do
    not matter.
    """
    settings, mode, shape = request.settings, request.settings.mode, list(request.latents.shape[1:])
    check_count(from_message(request.latents), settings)
    # A model without w has z in its place.
    if mode == "spherical" and len(shape) == 2 and generator.has_w:
        raise GanEditError(
            "bad_latent",
            "The mode spherical goes through z, and not all of these latents have one.",
            "Use random images or projections in the space z, or the mode linear.",
        )
    fitting = [generator.num_ws, generator.w_dim] if len(shape) == 2 else [generator.z_dim]
    if shape != fitting or (mode in ("crossover", "style") and len(shape) == 1):
        raise GanEditError(
            "bad_latent",
            f"Latents of shape {tuple(shape)} do not fit {name} in the mode {mode}.",
            f"It takes w+ of {generator.num_ws} × {generator.w_dim}, and z of {generator.z_dim} but for crossover and "
            "style.",
        )


def _in_w_plus(latents: Tensor, request: InterpolateRequest, model: Model) -> Tensor:
    """w+ [frames, num_ws, w_dim] of latents that are so already, or z: each with its share of the truncations."""
    if latents.ndim == 3:
        return latents
    settings, generator = request.settings, model.generator
    psis = torch.ones(len(latents))
    if request.truncations is not None:
        given = torch.from_numpy(from_message(request.truncations).astype(np.float32))
        way = settings.mode in ("linear", "spherical")
        psis = path(given, len(latents), settings.loop) if way else given[:1]
    c = label(generator, 1, settings.class_label, latents.device)
    with torch.no_grad():
        pairs = zip(latents, psis.tolist(), strict=True)
        return torch.cat([generator.mapping(z[None], c, truncation_psi=psi) for z, psi in pairs])
