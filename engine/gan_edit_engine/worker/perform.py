"""What the worker does for each request: pixels in, events out."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator, Iterator

import numpy as np
import torch
from torch import Tensor

from gan_edit_engine.imaging.arrays import to_message
from gan_edit_engine.imaging.crop import AnyImage, Mask, feather_inwards, from_unit
from gan_edit_engine.imaging.preflight import check_request
from gan_edit_engine.imaging.transfer import transfer
from gan_edit_engine.imaging.view import View, scribble, to_colours, view
from gan_edit_engine.inversion.axes import PROBES
from gan_edit_engine.inversion.invert import Inversion, check_search
from gan_edit_engine.inversion.kin import SAMPLES
from gan_edit_engine.inversion.latents import Statistics, label, random_z
from gan_edit_engine.inversion.projection import project, steps_of
from gan_edit_engine.library.models import Model, outline
from gan_edit_engine.worker.follow import follow
from gan_edit_engine.worker.imagination import imagine_scribble
from gan_edit_engine.worker.interpolation import check_latents, interpolate
from gan_edit_engine.worker.latent_codec import check_latent, given_inversion, pack_latent, pack_noise, pack_residual
from gan_edit_engine.worker.progress import report
from gan_edit_engine.worker.workspace import Workspace
from gan_edit_protocol.messages import (
    EditRequest,
    FramesReady,
    ImagineRequest,
    InterpolateRequest,
    JobRequest,
    Progress,
    ProjectRequest,
    RandomRequest,
    ResultReady,
)
from gan_edit_protocol.settings import ProjectSettings


def perform(request: JobRequest, workspace: Workspace) -> Iterator[Progress | ResultReady | FramesReady]:
    """Yields Progress after each step and ends with one result; GanEditError when the request cannot be done."""
    started = time.monotonic()
    check_request(request)
    _check_latent(request)
    if isinstance(request, InterpolateRequest | ImagineRequest):
        frames = yield from _frames(request, workspace)
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


def _check_latent(request: JobRequest) -> None:
    """GanEditError when there is no such model, or a latent not its own, where that shows before it is loaded."""
    outlined = outline(request.model)
    if outlined is None:
        return
    name, generator = outlined
    if isinstance(request, InterpolateRequest):
        check_latents(request, generator, name)
    elif isinstance(request, EditRequest | ProjectRequest) and request.latent is not None:
        check_latent(request.latent, request.noise, generator, name)


def _frames(
    request: InterpolateRequest | ImagineRequest, workspace: Workspace
) -> Generator[Progress, None, FramesReady]:
    if isinstance(request, InterpolateRequest):
        return (yield from interpolate(request, workspace))
    return (yield from imagine_scribble(request, workspace))


def _random(request: RandomRequest, workspace: Workspace) -> ResultReady:
    model, _ = workspace.model(request.model, request.settings.class_label)
    generator, settings = model.generator, request.settings
    z = random_z(generator, 1, settings.seed, workspace.device)
    with torch.no_grad():
        ws = generator.mapping(
            z, label(generator, 1, settings.class_label, workspace.device), truncation_psi=settings.truncation_psi
        )
        image = to_colours(generator.synthesis(ws))
    return ResultReady(
        to_message(from_unit(image, np.dtype(np.uint8))),
        pack_latent(ws),
        z=pack_latent(z),
        truncation_psi=settings.truncation_psi,
        model=model.info.name,
    )


def _project(request: ProjectRequest, workspace: Workspace) -> Generator[Progress, None, ResultReady]:
    model, _ = workspace.model(request.model, request.settings.class_label)
    seen = view(request, model, workspace.device)
    given = _given(request, model, seen)
    check_search(model.generator, request.settings, given is not None)
    settings = workspace.settled(request.settings)
    perceptual = workspace.perceptual(settings, request.model)
    encoder = workspace.encoder(model, settings) if given is None else None
    model, spread = yield from _searchable(request.model, settings, workspace)
    steps = project(model, spread, perceptual, seen.subject, settings, workspace.projections, given, encoder=encoder)
    found = yield from report(steps, "Projecting the photo", 0, steps_of(settings))
    image = seen.crop.insert(to_colours(found.inversion.image), seen.box)
    pixels = from_unit(image, seen.photo.dtype)
    result = _result(seen, pixels, _blend(seen, feather=0.0), found.inversion, model)
    z = None if found.inversion.z is None else pack_latent(found.inversion.z)
    return dataclasses.replace(result, z=z, perceptual=perceptual.name, steps=found.steps)


def _edit(request: EditRequest, workspace: Workspace) -> Generator[Progress, None, ResultReady]:
    model, _ = workspace.model(request.model, request.settings.class_label)
    seen = view(request, model, workspace.device)
    painted = scribble(request, seen)
    given = _given(request, model, seen)
    if given is None:
        check_search(model.generator, request.settings, given=False)
    settings = workspace.settled(request.settings)
    perceptual = workspace.perceptual(settings, request.model)
    projection_steps = steps_of(settings, search=given is None)
    total = projection_steps + settings.edit_steps
    encoder = workspace.encoder(model, settings) if given is None else None
    exploring = workspace.editable(request.model, settings)
    model, spread = yield from report(exploring, "Exploring the model", 0, PROBES + SAMPLES, previews=False)
    searching = project(
        model, spread, perceptual, seen.subject, settings, workspace.projections, given, given is None, encoder
    )
    projection = yield from report(searching, "Projecting the photo", 0, total)
    projected, generator = projection.inversion, projection.generator
    following = follow(generator, spread, projected, seen.colours, painted, _selected(seen), settings)
    followed = yield from report(following, "Following the scribble", projection_steps, total)
    pixels = transfer(seen.crop, seen.box, seen.photo, followed.maps, settings.strength, seen.place)
    return dataclasses.replace(
        _result(seen, pixels, _blend(seen, settings.feather), projected, model),
        latent=pack_latent(followed.ws),
        latent_start=pack_latent(projected.ws),
        perceptual=perceptual.name,
        steps=projection.steps + settings.edit_steps,
    )


def _selected(seen: View) -> Tensor:
    assert seen.subject.selection is not None  # `view` always says what it is
    return seen.subject.selection


def _searchable(
    model: str, settings: ProjectSettings, workspace: Workspace
) -> Generator[Progress, None, tuple[Model, Statistics]]:
    looks = workspace.searchable(model, settings)
    return (yield from report(looks, "Exploring the model", 0, PROBES, previews=False))


def _given(request: EditRequest | ProjectRequest, model: Model, seen: View) -> Inversion | None:
    return (
        None
        if request.latent is None
        else given_inversion(request.latent, request.noise, request.residual, model, seen.subject)
    )


def _blend(seen: View, feather: float) -> Mask:
    """The selection in the box, softened on its inside and at the crop's border; ``feather`` in percent of the crop."""
    radius = feather / 100 * seen.crop.size
    selection = seen.in_box(feather_inwards(seen.selection, radius)).astype(np.uint8)
    covered = seen.crop.coverage(seen.box, radius)
    return np.asarray(np.round(selection * covered), dtype=np.uint8)


def _result(seen: View, colours: AnyImage, mask: Mask, inversion: Inversion, model: Model) -> ResultReady:
    image = seen.in_box(seen.photo).copy()
    image[..., :3] = colours
    return ResultReady(
        image=to_message(image),
        latent=pack_latent(inversion.ws),
        noise=pack_noise(inversion.noise),
        residual=pack_residual(inversion.residual),
        mask=to_message(mask),
        x=seen.box.x,
        y=seen.box.y,
        model=model.info.name,
        psnr=inversion.psnr,
    )
