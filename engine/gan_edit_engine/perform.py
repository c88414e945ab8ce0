"""What the worker does for each request: pixels in, events out."""

from __future__ import annotations

import dataclasses
import os
import time
from collections import OrderedDict
from collections.abc import Generator, Iterator
from typing import TypeVar

import cv2
import numpy as np
import torch

from gan_edit_engine.arrays import from_message, to_message
from gan_edit_engine.edit import follow_scribble
from gan_edit_engine.invert import Inversion, invert, psnr
from gan_edit_engine.latents import Statistics, label, random_z, statistics
from gan_edit_engine.library import Model, open_discriminator, open_model
from gan_edit_engine.optimize import Step
from gan_edit_engine.perceptual import Perceptual, discriminator_features, load_perceptual
from gan_edit_engine.photo import Image, Mask, feather_inwards, from_unit, to_unit
from gan_edit_engine.transfer import transfer
from gan_edit_engine.view import View, scribble, to_colours, view
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.messages import (
    Array,
    EditRequest,
    JobRequest,
    Progress,
    ProjectRequest,
    RandomRequest,
    ResultReady,
)
from gan_edit_protocol.settings import ProjectSettings

ResultT = TypeVar("ResultT")

_MODELS_KEPT = 2
_PREVIEW_EVERY = 10  # steps
_PREVIEW_SIDE = 256


class Workspace:
    """What stays loaded between jobs on one device: the models used last and the perceptual network."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._models: OrderedDict[tuple[str, int], tuple[Model, Statistics]] = OrderedDict()
        self._perceptual: dict[tuple[str, ...], Perceptual] = {}
        # The same request with the same seed gives the same image on the same device; cuBLAS needs the variable.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)

    def model(self, name: str, class_label: int = 0) -> tuple[Model, Statistics]:
        """The model of a name or file, and the spread of its latents of a class."""
        key = name, class_label
        if key not in self._models:
            model = open_model(name, self.device)
            self._models[key] = model, statistics(model.generator, self.device, class_label)
            if len(self._models) > _MODELS_KEPT:
                self._models.popitem(last=False)
        self._models.move_to_end(key)
        return self._models[key]

    def perceptual(self, settings: ProjectSettings, model: str) -> Perceptual:
        """The perceptual network that the settings name, loaded when first asked for."""
        layers = tuple(settings.perceptual_layers.split())
        key = (settings.perceptual, model if settings.perceptual == "discriminator" else "", *layers)
        if key not in self._perceptual:
            self._perceptual[key] = self._load_perceptual(settings.perceptual, layers, model)
        return self._perceptual[key]

    def _load_perceptual(self, choice: str, layers: tuple[str, ...], model: str) -> Perceptual:
        if choice == "discriminator":
            return discriminator_features(open_discriminator(model, self.device))
        return load_perceptual(choice, self.device, layers)


def perform(request: JobRequest, workspace: Workspace) -> Iterator[Progress | ResultReady]:
    """Yields Progress after each step and ends with one ResultReady; GanEditError when the request cannot be done."""
    started = time.monotonic()
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


def _project(request: ProjectRequest, workspace: Workspace) -> Generator[Progress, None, ResultReady]:
    model, spread = workspace.model(request.model, request.settings.class_label)
    seen = view(request, model, workspace.device)
    perceptual = workspace.perceptual(request.settings, request.model)
    steps = invert(model.generator, spread, perceptual, seen.subject, request.settings)
    inversion = yield from _report(steps, "Projecting the photo", 0, request.settings.steps)
    image = seen.crop.insert(to_colours(inversion.image), seen.box)
    return dataclasses.replace(
        _result(seen, image, _blend(seen, feather=0.0), inversion, model),
        perceptual=perceptual.name,
        steps=inversion.steps,
    )


def _edit(request: EditRequest, workspace: Workspace) -> Generator[Progress, None, ResultReady]:
    model, spread = workspace.model(request.model, request.settings.class_label)
    generator, settings = model.generator, request.settings
    perceptual = workspace.perceptual(settings, request.model)
    seen = view(request, model, workspace.device)
    painted = scribble(request, seen, generator.image_channels, workspace.device)
    projection_steps = 0 if request.latent is not None else settings.steps
    total = projection_steps + settings.edit_steps
    if request.latent is not None:
        projected = _given(request.latent, model, seen, workspace.device)
    else:
        projection = invert(generator, spread, perceptual, seen.subject, settings)
        projected = yield from _report(projection, "Projecting the photo", 0, total)
    following = follow_scribble(generator, spread, perceptual, projected, painted, settings)
    edited = yield from _report(following, "Following the scribble", projection_steps, total)
    region = to_unit(seen.photo[seen.box.slices][..., :3])
    before, after = to_colours(projected.image), to_colours(edited.image)
    change = transfer(seen.crop, seen.box, region, seen.colours, before, after)
    return dataclasses.replace(
        _result(seen, region + settings.strength * change, _blend(seen, settings.feather), projected, model),
        latent=_latent(edited.ws),
        latent_start=_latent(projected.ws),
        perceptual=perceptual.name,
        steps=projected.steps + settings.edit_steps,
    )


def _given(latent: Array, model: Model, seen: View, device: torch.device) -> Inversion:
    generator = model.generator
    if latent.dtype != "float32" or latent.shape != (generator.num_ws, generator.w_dim):
        raise GanEditError(
            "bad_latent",
            f"The given latent is {latent.shape}, {model.info.name} needs {(generator.num_ws, generator.w_dim)}.",
            "Use a latent that was found with the same model.",
        )
    ws = torch.from_numpy(from_message(latent).astype(np.float32))[None].to(device)
    with torch.no_grad():
        image = generator.synthesis(ws)
    return Inversion(ws, image, psnr(image, seen.subject))


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
        mask=to_message(mask),
        x=seen.box.x,
        y=seen.box.y,
        model=model.info.name,
        psnr=inversion.psnr,
    )


def _latent(ws: torch.Tensor) -> Array:
    return to_message(ws[0].cpu().numpy().astype(np.float32))
