"""What the worker does for each request: pixels in, events out."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator, Iterator
from typing import TypeVar

import cv2
import numpy as np
import torch

from gan_edit_engine.arrays import from_message, to_message
from gan_edit_engine.edit import follow_scribble
from gan_edit_engine.generators import Generator as Network
from gan_edit_engine.interpolate import combine
from gan_edit_engine.invert import Inversion, NoiseMaps, psnr, synthesise
from gan_edit_engine.latents import label, random_z
from gan_edit_engine.library import Model
from gan_edit_engine.optimize import Step
from gan_edit_engine.photo import Image, Mask, feather_inwards, from_unit, to_unit
from gan_edit_engine.projection import Projection, project, steps_of
from gan_edit_engine.transfer import transfer
from gan_edit_engine.view import View, scribble, to_colours, view
from gan_edit_engine.workspace import Workspace
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.messages import (
    Array,
    EditRequest,
    FramesReady,
    InterpolateRequest,
    JobRequest,
    Progress,
    ProjectRequest,
    RandomRequest,
    ResultReady,
)

ResultT = TypeVar("ResultT")

_PREVIEW_EVERY = 10  # steps
_PREVIEW_SIDE = 256
_NOISE_ROW = 1024


def perform(request: JobRequest, workspace: Workspace) -> Iterator[Progress | ResultReady | FramesReady]:
    """Yields Progress after each step and ends with one result; GanEditError when the request cannot be done."""
    started = time.monotonic()
    if isinstance(request, InterpolateRequest):
        frames = yield from _interpolate(request, workspace)
        yield dataclasses.replace(frames, seconds=time.monotonic() - started, device=str(workspace.device))
        return
    if isinstance(request, RandomRequest):
        result = _random(request, workspace)
    elif isinstance(request, EditRequest):
        result = yield from _edit(request, workspace)
    else:
        result = yield from _project(request, workspace)
    seconds = time.monotonic() - started
    yield dataclasses.replace(result, seconds=seconds, device=str(workspace.device), seed=request.settings.seed)


def _random(request: RandomRequest, workspace: Workspace) -> ResultReady:
    model, _ = workspace.model(request.model, request.settings.class_label)
    generator, settings = model.generator, request.settings
    z = random_z(generator, 1, settings.seed, workspace.device)
    with torch.no_grad():
        ws = generator.mapping(
            z, label(generator, 1, settings.class_label, workspace.device), truncation_psi=settings.truncation_psi
        )
        image = to_colours(generator.synthesis(ws))
    return ResultReady(to_message(from_unit(image, np.dtype(np.uint8))), _latent(ws), model=model.info.name)


def _interpolate(request: InterpolateRequest, workspace: Workspace) -> Generator[Progress, None, FramesReady]:
    model, _ = workspace.model(request.model)
    generator, settings = model.generator, request.settings
    given = torch.from_numpy(from_message(request.latents).astype(np.float32)).to(workspace.device)
    shape = (generator.num_ws, generator.w_dim) if given.ndim == 3 else (generator.z_dim,)
    if given.shape[1:] != shape or (settings.mode == "crossover" and given.ndim == 2):
        raise GanEditError(
            "bad_latent",
            f"Latents of shape {tuple(given.shape[1:])} do not fit {model.info.name} in the mode {settings.mode}.",
            f"It takes w+ of {generator.num_ws} × {generator.w_dim}, and z of {generator.z_dim} but for crossovers.",
        )
    chosen = combine(given, settings)
    frames, latents = [], []
    for number, latent in enumerate(chosen, start=1):
        with torch.no_grad():
            ws = latent[None]
            if given.ndim == 2:
                ws = generator.mapping(ws, label(generator, 1, settings.class_label, workspace.device))
            colours = to_colours(generator.synthesis(ws))
        frames.append(from_unit(colours, np.dtype(np.uint8)))
        latents.append(ws[0].cpu().numpy().astype(np.float32))
        yield Progress("Drawing the frames", number, len(chosen), 0.0, _preview(colours))
    return FramesReady(to_message(np.stack(frames)), to_message(np.stack(latents)), model=model.info.name)


def _project(request: ProjectRequest, workspace: Workspace) -> Generator[Progress, None, ResultReady]:
    model, spread = workspace.model(request.model, request.settings.class_label)
    seen = view(request, model, workspace.device)
    perceptual = workspace.perceptual(request.settings, request.model)
    steps = project(model, spread, perceptual, seen.subject, request.settings, workspace.projections)
    found = yield from _report(steps, "Projecting the photo", 0, steps_of(request.settings))
    image = seen.crop.insert(to_colours(found.inversion.image), seen.box)
    result = _result(seen, image, _blend(seen, feather=0.0), found.inversion, model)
    return dataclasses.replace(result, perceptual=perceptual.name, steps=found.steps)


def _edit(request: EditRequest, workspace: Workspace) -> Generator[Progress, None, ResultReady]:
    model, spread = workspace.model(request.model, request.settings.class_label)
    settings = request.settings
    perceptual = workspace.perceptual(settings, request.model)
    seen = view(request, model, workspace.device)
    painted = scribble(request, seen, model.generator.image_channels, workspace.device)
    projection_steps = 0 if request.latent is not None else steps_of(settings)
    total = projection_steps + settings.edit_steps
    if request.latent is not None:
        projection = _given(request.latent, request.noise, model, seen, workspace.device)
    else:
        searching = project(model, spread, perceptual, seen.subject, settings, workspace.projections)
        projection = yield from _report(searching, "Projecting the photo", 0, total)
    projected = projection.inversion
    following = follow_scribble(projection.generator, spread, perceptual, projected, painted, settings)
    edited = yield from _report(following, "Following the scribble", projection_steps, total)
    region = to_unit(seen.photo[seen.box.slices][..., :3])
    before, after = to_colours(projected.image), to_colours(edited.image)
    change = transfer(seen.crop, seen.box, region, seen.colours, before, after)
    return dataclasses.replace(
        _result(seen, region + settings.strength * change, _blend(seen, settings.feather), projected, model),
        latent=_latent(edited.ws),
        latent_start=_latent(projected.ws),
        perceptual=perceptual.name,
        steps=projection.steps + settings.edit_steps,
    )


def _given(latent: Array, noise: Array | None, model: Model, seen: View, device: torch.device) -> Projection:
    generator = model.generator
    if latent.dtype != "float32" or latent.shape != (generator.num_ws, generator.w_dim):
        raise GanEditError(
            "bad_latent",
            f"The given latent is {latent.shape}, {model.info.name} needs {(generator.num_ws, generator.w_dim)}.",
            "Use a latent that was found with the same model.",
        )
    ws = torch.from_numpy(from_message(latent).astype(np.float32))[None].to(device)
    maps = _unpack_noise(noise, generator, device) if noise is not None else {}
    with torch.no_grad():
        image = synthesise(generator, ws, maps)
    return Projection(Inversion(ws, image, psnr(image, seen.subject), noise=maps), generator)


def _pack_noise(noise: NoiseMaps) -> Array | None:
    """All maps, flattened, in rows of 1024 (an array's sides are limited, its bytes are not)."""
    if not noise:
        return None
    values = torch.cat([value.flatten() for value in noise.values()]).cpu().numpy()
    return to_message(np.pad(values, (0, -len(values) % _NOISE_ROW)).reshape(-1, _NOISE_ROW))


def _unpack_noise(packed: Array, generator: Network, device: torch.device) -> NoiseMaps:
    shapes = {name: stored.shape for name, stored in generator.noise_consts().items()}
    total = sum(shape.numel() for shape in shapes.values())
    if packed.dtype != "float32" or packed.shape != (-(-total // _NOISE_ROW), _NOISE_ROW):
        raise GanEditError("bad_latent", "The given noise is not this model's.", "Use what the same model gave.")
    values = torch.from_numpy(from_message(packed).astype(np.float32)).flatten().to(device)
    maps = {}
    for name, shape in shapes.items():
        maps[name], values = values[: shape.numel()].reshape(shape), values[shape.numel() :]
    return maps


def _report(
    steps: Generator[Step, None, ResultT], stage: str, done: int, of: int
) -> Generator[Progress, None, ResultT]:
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return end.value
        preview = _preview(to_colours(step.image)) if step.index % _PREVIEW_EVERY == 0 else None
        yield Progress(stage, done + step.index, of, step.loss, preview)


def _preview(colours: Image) -> Array:
    side = min(len(colours), _PREVIEW_SIDE)
    small = np.asarray(cv2.resize(colours, (side, side), interpolation=cv2.INTER_AREA), dtype=np.float32)
    return to_message(from_unit(small, np.dtype(np.uint8)))


def _blend(seen: View, feather: float) -> Mask:
    """The selection in the box, softened on its inside and at the crop's border; ``feather`` in percent of the crop."""
    radius = feather / 100 * seen.crop.size
    selection = feather_inwards(seen.selection, radius)[seen.box.slices]
    covered = seen.crop.coverage(seen.box, radius)
    return np.asarray(np.round(selection * covered), dtype=np.uint8)


def _result(seen: View, colours: Image, mask: Mask, inversion: Inversion, model: Model) -> ResultReady:
    image = seen.photo[seen.box.slices].copy()
    image[..., :3] = from_unit(colours, seen.photo.dtype)
    latent = _latent(inversion.ws)
    return ResultReady(
        image=to_message(image),
        latent=latent,
        noise=_pack_noise(inversion.noise),
        mask=to_message(mask),
        x=seen.box.x,
        y=seen.box.y,
        model=model.info.name,
        psnr=inversion.psnr,
    )


def _latent(ws: torch.Tensor) -> Array:
    return to_message(ws[0].cpu().numpy().astype(np.float32))
