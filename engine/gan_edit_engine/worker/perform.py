"""What the worker does for each request: pixels in, events out."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator, Iterator

import numpy as np
import torch

from gan_edit_engine.imaging.arrays import to_message
from gan_edit_engine.imaging.crop import AnyImage, from_unit
from gan_edit_engine.imaging.preflight import check_request
from gan_edit_engine.imaging.transfer import transfer
from gan_edit_engine.imaging.view import View, scribble, to_colours, view
from gan_edit_engine.inversion.familiar import is_strange
from gan_edit_engine.inversion.invert import check_search
from gan_edit_engine.inversion.latents import label, random_z
from gan_edit_engine.inversion.prepared import Projector
from gan_edit_engine.inversion.projection import project, steps_of
from gan_edit_engine.inversion.start import FromLatent
from gan_edit_engine.inversion.subject import Inversion
from gan_edit_engine.library.models import Model, outline
from gan_edit_engine.worker import earlier
from gan_edit_engine.worker.follow import follow
from gan_edit_engine.worker.imagination import imagine_scribble
from gan_edit_engine.worker.interpolation import check_latents, interpolate
from gan_edit_engine.worker.latent_codec import check_latent, given_inversion, latent_of, pack_values
from gan_edit_engine.worker.places import find_faces
from gan_edit_engine.worker.progress import exploring, report
from gan_edit_engine.worker.workspace import SettingsT, Workspace
from gan_edit_protocol.events import FramesReady, Notice, Progress, Result, ResultReady
from gan_edit_protocol.latent import Latent
from gan_edit_protocol.requests import (
    EditRequest,
    FindRequest,
    ImagineRequest,
    InterpolateRequest,
    JobRequest,
    ProjectRequest,
    RandomRequest,
)

_SEEDS_OF_IMAGES = 2**31  # to 2³² − 1: torch draws by the lower 32 bits of a seed
"""Those of random images begin here: the mapping of the default was initialised with the numbers that seed 0 gives, and
an image of these is far from all others, with its eyes closed and its contrast too strong."""


def perform(request: JobRequest, workspace: Workspace) -> Iterator[Progress | Notice | Result]:
    """Yields Progress after each step and ends with one result; GanEditError when the request cannot be done."""
    started = time.monotonic()
    if isinstance(request, FindRequest):
        yield find_faces(request)
        return
    check_request(request)
    if earlier.is_of_earlier(request):
        yield earlier.TOLD
        request = earlier.of_default(request, workspace.model(request.model)[0].generator)
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
        check_latent(request.latent, generator, name)


def _frames(
    request: InterpolateRequest | ImagineRequest, workspace: Workspace
) -> Generator[Progress, None, FramesReady]:
    if isinstance(request, InterpolateRequest):
        return (yield from interpolate(request, workspace))
    return (yield from imagine_scribble(request, workspace))


def _random(request: RandomRequest, workspace: Workspace) -> ResultReady:
    model, _ = workspace.model(request.model, request.settings.class_label)
    generator, settings = model.generator, request.settings
    z = random_z(generator, 1, _SEEDS_OF_IMAGES + settings.seed, workspace.device)
    with torch.no_grad():
        ws = generator.mapping(
            z, label(generator, 1, settings.class_label, workspace.device), truncation_psi=settings.truncation_psi
        )
        image = to_colours(generator.synthesis(ws))
    return ResultReady(
        to_message(from_unit(image, np.dtype(np.uint8))),
        Latent(pack_values(ws), z=pack_values(z), truncation_psi=settings.truncation_psi),
        model=model.info.name,
    )


def _project(request: ProjectRequest, workspace: Workspace) -> Generator[Progress | Notice, None, ResultReady]:
    model, _ = workspace.model(request.model, request.settings.class_label)
    seen = view(request, model, workspace.device)
    given = _given(request, model, seen)
    check_search(model.generator, request.settings, given is not None)
    projector = yield from _prepared(request.model, request.settings, workspace, seen if given is None else None)
    steps = project(projector, seen.subject, FromLatent(given) if given is not None else None)
    found = yield from report(steps, "Projecting the photo", 0, steps_of(projector.settings), request.previews)
    image = seen.region.crop.insert(to_colours(found.inversion.image), seen.region.box)
    pixels = from_unit(image, seen.photo.pixels.dtype)
    result = _result(seen, pixels, found.inversion, model)
    return dataclasses.replace(result, perceptual=projector.perceptual.name, steps=found.steps)


def _edit(request: EditRequest, workspace: Workspace) -> Generator[Progress | Notice, None, ResultReady]:
    model, _ = workspace.model(request.model, request.settings.class_label)
    seen = view(request, model, workspace.device)
    painted = scribble(request, seen)
    given = _given(request, model, seen)
    if given is None:
        check_search(model.generator, request.settings, given=False)
    projector = yield from _prepared(request.model, request.settings, workspace, seen if given is None else None)
    settings = projector.settings
    projection_steps = steps_of(settings, search=given is None)
    total = projection_steps + settings.edit_steps
    searching = project(projector, seen.subject, FromLatent(given, kept=True) if given is not None else None)
    projection = yield from report(searching, "Projecting the photo", 0, total, request.previews)
    projected = projection.inversion
    editor = dataclasses.replace(projector, generator=projection.generator)
    following = follow(editor, projected, seen.colours, painted, seen.selected)
    followed = yield from report(following, "Following the scribble", projection_steps, total, request.previews)
    pixels = transfer(seen.region.crop, seen.region.box, seen.photo, followed.maps, settings.strength)
    result = _result(seen, pixels, projected, model)
    return dataclasses.replace(
        result,
        latent=result.latent.moved_to(pack_values(followed.ws)),
        latent_start=result.latent.ws,
        perceptual=projector.perceptual.name,
        steps=projection.steps + settings.edit_steps,
    )


def _prepared(
    name: str, settings: SettingsT, workspace: Workspace, new: View | None
) -> Generator[Progress | Notice, None, Projector[SettingsT]]:
    """``new``: what is seen where that is yet to be projected; a person hears when the model does not know it."""
    looks = workspace.looks(name, settings)
    projector = yield from exploring(workspace.prepare(name, settings, new is not None), looks)
    if new is None:
        return projector
    projector = projector.asked(new.subject)
    if is_strange(projector, new.subject):
        known = workspace.model(name)[0].info.domain.split(",")[0]
        yield Notice(
            f"What the model sees does not look like what it knows ({known}).",
            "Move the square onto it, or choose a model of what the photo shows.",
        )
    return projector


def _given(request: EditRequest | ProjectRequest, model: Model, seen: View) -> Inversion | None:
    return None if request.latent is None else given_inversion(request.latent, model, seen.subject)


def _result(seen: View, colours: AnyImage, inversion: Inversion, model: Model) -> ResultReady:
    region = seen.region
    image = seen.photo.within(region.box).copy()
    image[..., :3] = colours
    return ResultReady(
        image=to_message(image),
        latent=latent_of(inversion),
        mask=to_message(region.mask),
        x=region.box.x,
        y=region.box.y,
        model=model.info.name,
        psnr=inversion.psnr,
    )
