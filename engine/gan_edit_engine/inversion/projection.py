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
from gan_edit_engine.inversion.invert import invert
from gan_edit_engine.inversion.optimize import Step, counted
from gan_edit_engine.inversion.prepared import Projector
from gan_edit_engine.inversion.start import FromEncoder, FromLatent
from gan_edit_engine.inversion.subject import Drawing, Inversion, Subject, psnr, synthesise
from gan_edit_engine.inversion.tuning import Delta, tune
from gan_edit_engine.system.atomic_write import replacing
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.settings import ProjectSettings

KEPT = 200
KEPT_BYTES = 200 << 20
"""How many projections are kept, and how much they may take in all; those that were not used for longest go first.

One takes about 20 KB, 290 KB with a residual, with a tuned model or the noise of a large one up to some MB.
"""
_FORMAT = "4"


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
    projector: Projector[ProjectSettings], subject: Subject, given: FromLatent | None = None
) -> Generator[Step, None, Projection]:
    """Yields a Step per optimisation step, none when the projection is kept from last time; returns it.

    ``given``: the latent to start from, which may be one to keep: then only the tuning is done to it.
    """
    generator, settings = projector.generator, projector.settings
    inversion = given.inversion if given is not None and given.kept else None
    if inversion is not None and not settings.tuning_steps:
        return Projection(inversion, generator)
    folder = projector.folder if settings.cache else None
    file = folder / f"{_key(projector, subject, given)}.safetensors" if folder is not None else None
    known = _read(file, generator, subject) if file is not None else None
    if known is not None:
        return known
    inversion = inversion or (yield from invert(projector, subject, given))
    delta, tuned = Delta({}), 0
    if settings.tuning_steps:
        outside = 1 - subject.selection if settings.tuning_selected_only and subject.selection is not None else None
        tuning = tune(projector, _tuned_for(subject, settings), inversion, outside)
        delta, tuned = yield from counted(tuning)
    if file is not None:
        write_projection(file, inversion, delta)
    projection = _tuned(generator, inversion, delta, subject)
    return dataclasses.replace(projection, steps=inversion.steps + tuned)


def _tuned_for(subject: Subject, settings: ProjectSettings) -> Subject:
    """What the tuned model has to reproduce: all of the subject, or what is selected of it."""
    if not settings.tuning_selected_only or subject.selection is None:
        return subject
    return dataclasses.replace(subject, weight=subject.weight * subject.selection)


def _tuned(generator: generators.Generator, inversion: Inversion, delta: Delta, subject: Subject) -> Projection:
    if not delta.factors:
        return Projection(inversion, generator)
    tuned = delta.applied(generator)
    with torch.no_grad():
        image = synthesise(tuned, inversion.ws, Drawing(inversion.noise, inversion.residual))
    return Projection(dataclasses.replace(inversion, image=image, psnr=psnr(image, subject)), tuned)


def _key(projector: Projector[ProjectSettings], subject: Subject, given: FromLatent | None) -> str:
    """Everything that the projection depends on: pixels, where they count, model, networks, settings, given latent."""
    settings, start = projector.settings, projector.start(given)
    # Of the quality only what it stands for counts.
    names = [field.name for field in dataclasses.fields(ProjectSettings) if field.name != "quality"]
    digest = hashlib.sha256()
    perceptual, encoder = projector.perceptual, start.encoder.sha256 if isinstance(start, FromEncoder) else None
    networks = [projector.key, perceptual.name, perceptual.digest, encoder]
    digest.update(json.dumps([_FORMAT, *networks, given is None or not given.kept]).encode())
    digest.update(json.dumps({name: getattr(settings, name) for name in names}, sort_keys=True).encode())
    tensors = [subject.image, subject.weight]
    if settings.tuning_selected_only and subject.selection is not None:
        tensors.append(subject.selection)
    if given is not None:
        latent = given.inversion
        tensors += [latent.ws, *latent.noise.values(), *([] if latent.residual is None else [latent.residual])]
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
            image = synthesise(generator, ws, Drawing(noise, residual))
        inversion = Inversion(ws, image, psnr(image, subject), steps, noise, tensors.get("z"), residual)
        return _tuned(generator, inversion, delta, subject)
    except (OSError, SafetensorError, ValueError, KeyError, RuntimeError):
        return None


def _group(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
