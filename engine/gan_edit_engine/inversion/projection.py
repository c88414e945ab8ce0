"""A photo projected into the model: the latent that was kept from last time, or found and tuned anew and kept."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from gan_edit_engine import generators
from gan_edit_engine.inversion.invert import Inversion, Objective, Subject, invert, psnr, synthesise
from gan_edit_engine.inversion.latents import Statistics
from gan_edit_engine.inversion.optimize import ResultT, Step
from gan_edit_engine.inversion.perceptual import Perceptual
from gan_edit_engine.inversion.tuning import Delta, tune
from gan_edit_engine.library.encoders import ModelEncoder
from gan_edit_engine.library.models import Model, weights_key
from gan_edit_engine.system.atomic_write import replacing
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.settings import ProjectSettings

KEPT = 200
KEPT_BYTES = 200 << 20
"""How many projections are kept, and how much they may take in all; those that were not used for longest go first.

One takes about 20 KB, 290 KB with a residual, with a tuned model or the noise of a large one up to some MB.
"""
_FORMAT = "3"


@dataclass(frozen=True)
class Projection:
    """The inversion and the generator that it belongs to: the model's own, or one tuned on this photo.

    ``steps``: how many were taken for it now.
    """

    inversion: Inversion
    generator: generators.Generator
    steps: int = 0


def steps_of(settings: ProjectSettings, search: bool = True) -> int:
    """Steps that a projection takes unless it is kept from last time; without ``search`` those of the tuning only."""
    return (settings.steps if search else 0) + settings.tuning_steps


def project(
    model: Model,
    statistics: Statistics,
    perceptual: Perceptual,
    subject: Subject,
    settings: ProjectSettings,
    folder: Path,
    given: Inversion | None = None,
    search: bool = True,
    encoder: ModelEncoder | None = None,
) -> Generator[Step, None, Projection]:
    """Yields a Step per optimisation step, none when the projection is found in ``folder``; returns it.

    ``encoder``: the one whose answer the search starts from, if any. ``given``: the latent to start from; without
    ``search`` it stays as it is, and only the tuning is done to it.
    """
    generator = model.generator
    if given is not None and not search and not settings.tuning_steps:
        return Projection(given, generator)
    file = folder / f"{_key(model, perceptual, subject, settings, encoder, given, search)}.safetensors"
    kept = _read(file, generator, subject) if settings.cache else None
    if kept is not None:
        return kept
    inversion, delta, tuned = given, Delta({}), 0
    if inversion is None or search:
        start = _answer(encoder, generator, subject) if encoder is not None else given
        searching = invert(generator, statistics, perceptual, subject, settings, start)
        inversion, _ = yield from _renumbered(searching, 0, steps_of(settings))
    if settings.tuning_steps:
        objective = Objective(generator, statistics, perceptual, _tuned_for(subject, settings), settings)
        outside = 1 - subject.selection if settings.tuning_selected_only and subject.selection is not None else None
        done, of = steps_of(settings, search) - settings.tuning_steps, steps_of(settings, search)
        delta, tuned = yield from _renumbered(tune(generator, objective, inversion, settings, outside), done, of)
    if settings.cache:
        write_projection(file, inversion, delta)
    projection = _tuned(generator, inversion, delta, subject)
    return dataclasses.replace(projection, steps=inversion.steps + tuned)


@torch.no_grad()
def _answer(encoder: ModelEncoder, generator: generators.Generator, subject: Subject) -> Inversion:
    ws = encoder.network(subject.image.expand(-1, 3, -1, -1))
    image = synthesise(generator, ws, {})
    return Inversion(ws, image, psnr(image, subject))


def _tuned_for(subject: Subject, settings: ProjectSettings) -> Subject:
    """What the tuned model has to reproduce: all of the subject, or what is selected of it."""
    if not settings.tuning_selected_only or subject.selection is None:
        return subject
    return dataclasses.replace(subject, weight=subject.weight * subject.selection)


def _renumbered(
    steps: Generator[Step, None, ResultT], done: int, of: int
) -> Generator[Step, None, tuple[ResultT, int]]:
    """The steps as part of a longer way; returns what they return, and how many they were."""
    taken = 0
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return end.value, taken
        taken = step.index
        yield Step(done + step.index, of, step.loss, step.image)


def _tuned(generator: generators.Generator, inversion: Inversion, delta: Delta, subject: Subject) -> Projection:
    if not delta.factors:
        return Projection(inversion, generator)
    tuned = delta.applied(generator)
    with torch.no_grad():
        image = synthesise(tuned, inversion.ws, inversion.noise, residual=inversion.residual)
    return Projection(dataclasses.replace(inversion, image=image, psnr=psnr(image, subject)), tuned)


def _key(
    model: Model,
    perceptual: Perceptual,
    subject: Subject,
    settings: ProjectSettings,
    encoder: ModelEncoder | None,
    given: Inversion | None,
    search: bool,
) -> str:
    """Everything that the projection depends on: pixels, where they count, model, networks, settings, given latent."""
    # Of the quality only what it stands for counts.
    names = [field.name for field in dataclasses.fields(ProjectSettings) if field.name != "quality"]
    digest = hashlib.sha256()
    networks = [weights_key(model), perceptual.name, perceptual.digest, encoder and encoder.sha256]
    digest.update(json.dumps([_FORMAT, *networks, search]).encode())
    digest.update(json.dumps({name: getattr(settings, name) for name in names}, sort_keys=True).encode())
    tensors = [subject.image, subject.weight]
    if settings.tuning_selected_only and subject.selection is not None:
        tensors.append(subject.selection)
    if given is not None:
        tensors += [given.ws, *given.noise.values(), *([] if given.residual is None else [given.residual])]
    for tensor in tensors:
        digest.update(str(tuple(tensor.shape)).encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def write_projection(file: Path, inversion: Inversion, delta: Delta) -> None:
    """Keep a projection; a disk that is full or read-only costs only the time to find it again."""
    tensors = {"ws": inversion.ws.cpu().contiguous()}
    tensors |= {f"noise.{name}": value.cpu().contiguous() for name, value in inversion.noise.items()}
    if inversion.z is not None:
        tensors["z"] = inversion.z.cpu().contiguous()
    if inversion.residual is not None:
        tensors["residual"] = inversion.residual.half().cpu().contiguous()
    for name, (a, b) in delta.factors.items():
        tensors |= {f"delta.a.{name}": a.half().cpu(), f"delta.b.{name}": b.half().cpu()}
    with suppress(OSError, GanEditError):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with replacing(file) as part:
            save_file(tensors, part, {"steps": str(inversion.steps)})
        _forget_oldest(file.parent)


def _forget_oldest(folder: Path) -> None:
    """All but the last :data:`KEPT` within :data:`KEPT_BYTES`; the very last one stays in any case."""
    known = sorted(((path.stat(), path) for path in folder.glob("*.safetensors")), key=lambda item: -item[0].st_mtime)
    total = 0
    for number, (about, path) in enumerate(known):
        total += about.st_size
        if number and (number >= KEPT or total > KEPT_BYTES):
            path.unlink(missing_ok=True)


def _read(file: Path, generator: generators.Generator, subject: Subject) -> Projection | None:
    """The kept projection; None when there is none or it does not fit."""
    device = subject.image.device
    try:
        with safe_open(file, framework="pt", device=str(device)) as content:
            tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118 - not a dict
            steps = int((content.metadata() or {})["steps"])
        os.utime(file)
        ws, noise = tensors["ws"], _group(tensors, "noise.")
        a, b = _group(tensors, "delta.a."), _group(tensors, "delta.b.")
        delta = Delta({name: (a[name].float(), b[name].float()) for name in a})
        residual = tensors["residual"].float() if "residual" in tensors else None
        with torch.no_grad():
            image = synthesise(generator, ws, noise, residual=residual)
        inversion = Inversion(ws, image, psnr(image, subject), steps, noise, tensors.get("z"), residual)
        return _tuned(generator, inversion, delta, subject)
    except (OSError, SafetensorError, ValueError, KeyError, RuntimeError):
        return None


def _group(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
