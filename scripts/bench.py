#!/usr/bin/env python3
"""How fast the engine's parts are, as ratios within one run: on a shared machine single times say little.

    scripts/bench.py                     # the default model, all processors
    scripts/bench.py --threads 1 --device cuda
    scripts/bench.py --threads 1 --large  # an edit in a model of 1024 pixels instead: some minutes

Each group's cases take turns, so that a machine that slows down slows all of them; printed are the median of each and
how many times faster it is than the first of its group.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from gan_edit_engine.checkpoints import safetensors_file
from gan_edit_engine.finding.network import FinderNetworks
from gan_edit_engine.generators import Generator, build
from gan_edit_engine.generators.stylegan2 import StyleGAN2Config
from gan_edit_engine.imaging.arrays import to_message
from gan_edit_engine.imaging.crop import AnyImage, Crop, Image, Part, composite, from_unit, to_unit
from gan_edit_engine.imaging.meaning import Meaning
from gan_edit_engine.imaging.transfer import maps_of, transfer
from gan_edit_engine.inversion.axes import PROBES
from gan_edit_engine.inversion.edit import Wish, follow_scribble
from gan_edit_engine.inversion.invert import invert
from gan_edit_engine.inversion.latents import random_z
from gan_edit_engine.inversion.losses import pixel_loss
from gan_edit_engine.inversion.optimize import result_of
from gan_edit_engine.inversion.perceptual import load_lpips, load_perceptual
from gan_edit_engine.inversion.prepared import Prepared
from gan_edit_engine.inversion.subject import Drawing, Inversion, Subject, synthesise
from gan_edit_engine.networks.encoder import Encoder, EncoderConfig
from gan_edit_engine.worker.device import choose_device, describe_device
from gan_edit_engine.worker.perform import perform
from gan_edit_engine.worker.workspace import Workspace
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.geometry import Box
from gan_edit_protocol.requests import EditRequest
from gan_edit_protocol.settings import EditSettings, ProjectSettings
from official_projector import project_officially

FORMATS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
FOREVER = 20_000  # steps: no case ends before the bench does
PHOTOS = 4  # that a pass may take at once
LEVEL = (272, 416)  # pixels, of a photo of 3 to 2
LARGE = StyleGAN2Config(resolution=1024, channel_base=32768, channel_max=512)
"""The official config-f, as FFHQ's model."""

Case = Callable[[], Any]
Group = dict[str, Case]


class Bench:
    """The cases, on one model and device."""

    def __init__(self, model: str, device: torch.device) -> None:
        self.workspace, self.device = Workspace(device), device
        self.projector = result_of(self.workspace.prepare(model, ProjectSettings(steps=FOREVER, w_fraction=0.0)))
        self.generator: Generator = self.projector.generator
        with torch.no_grad():
            self.ws = self.generator.mapping(random_z(self.generator, 1, 0, device))
            image = synthesise(self.generator, self.ws).clamp(-1, 1)
        self.subject = Subject(image, torch.ones_like(image[:, :1]))

    def groups(self) -> dict[str, Group]:
        """By title; the first case of a group is what the others are compared with."""
        return {
            "image and gradient of the latent": {name: self._gradient(kind) for name, kind in FORMATS.items()},
            "LPIPS and gradient of the image": {name: self._lpips(kind) for name, kind in FORMATS.items()},
            "one step of a projection": {
                "official algorithm, float32": self._official(),
                **{f"default, {name}": self._projection(name) for name in FORMATS},
                "default with efficientnet-lite0": self._projection("auto", perceptual="efficientnet-lite0"),
            },
            "one step of an edit": {name: self._edit(name) for name in FORMATS},
            **{
                f"a step's loss and gradient for {PHOTOS} photos, seen at {side} pixels": {
                    f"{count} in one pass": self._in_passes_of(count, side) for count in (1, 2, PHOTOS)
                }
                for side in self._sides()
            },
            "a photo's first latent": {"one step of the default": self._projection("auto"), "encoder": self._encoder()},
            "a finder's heat on the finest level": {
                "layer by layer": self._heat(FinderNetworks().eval()),
                "as a finder computes": self._heat(FinderNetworks().fused()),
            },
            "an edit laid on 24 megapixels": {
                "opaque layer over layer": _blending(),
                **{f"transfer, {kind}": _transferring(kind) for kind in ("uint8", "uint16", "float32")},
            },
        }

    def _heat(self, networks: FinderNetworks) -> Case:
        picture = torch.zeros(1, 3, *LEVEL)

        @torch.no_grad()
        def run() -> None:
            networks.detect(picture)

        return run

    def _gradient(self, dtype: torch.dtype) -> Case:
        def run() -> None:
            ws = self.ws.clone().requires_grad_()
            synthesise(self.generator, ws, Drawing(dtype=dtype)).square().mean().backward()

        return run

    def _lpips(self, dtype: torch.dtype) -> Case:
        lpips = load_lpips(self.device, dtype)
        target = lpips.target(self.subject.image, self.subject.weight)

        def run() -> None:
            image = (self.subject.image * 0.9).requires_grad_()
            lpips.loss(image, target).backward()

        return run

    def _official(self) -> Case:
        official = replace(
            self.projector, perceptual=load_lpips(self.device), settings=ProjectSettings(precision="float32")
        )
        steps = project_officially(official, self.subject, FOREVER)
        return lambda: next(steps)

    def _projection(self, precision: str, **changes: Any) -> Case:
        settings = replace(self.projector.settings, **changes)
        if precision != "auto":
            settings = replace(settings, precision=precision)
        perceptual = load_perceptual(settings.perceptual, self.device, dtype=FORMATS[settings.precision])
        steps = invert(replace(self.projector, settings=settings, perceptual=perceptual), self.subject)
        return lambda: next(steps)

    def _edit(self, precision: str) -> Case:
        settings = EditSettings(edit_steps=FOREVER, precision=precision)
        painted = torch.zeros_like(self.subject.weight)
        painted[..., : painted.shape[-2] // 4, : painted.shape[-1] // 4] = 1
        steps = follow_scribble(
            Prepared(self.generator, self.projector.statistics, settings),
            Inversion(self.ws, self.subject.image, 0.0),
            Wish(torch.zeros_like(self.subject.image), painted, painted, torch.ones_like(painted), painted),
        )
        return lambda: next(steps)

    def _sides(self) -> tuple[int, ...]:
        """Those at which a projection's perceptual network sees images, the coarse one first."""
        fine = min(self.projector.settings.perceptual_side, self.generator.resolution)
        return tuple(dict.fromkeys(self.projector.perceptual.side_seen(fine, side) for side in (fine // 2, fine)))

    def _in_passes_of(self, count: int, side: int) -> Case:
        """Each photo has a latent of its own, of which a step takes the image, both losses, and the gradient."""
        perceptual, settings = self.projector.perceptual, self.projector.settings
        images, weights = (part.expand(count, -1, -1, -1) for part in (self.subject.image, self.subject.weight))
        target = perceptual.target(images, weights, side=side)

        def run() -> None:
            for _ in range(PHOTOS // count):
                ws = self.ws.repeat(count, 1, 1).requires_grad_()
                drawn = synthesise(self.generator, ws, Drawing(dtype=self.projector.dtype))
                loss = settings.pixel_weight * pixel_loss(drawn, images, weights)
                loss = loss + settings.perceptual_weight * perceptual.loss(drawn, target)
                loss.backward()

        return run

    def _encoder(self) -> Case:
        config = EncoderConfig(self.generator.num_ws, self.generator.w_dim, self.projector.statistics.std)
        encoder = Encoder(config).eval().requires_grad_(False).to(self.device)
        return lambda: encoder(self.subject.image.expand(-1, 3, -1, -1))


def _big_photo(kind: str) -> AnyImage:
    colours = np.random.default_rng(0).random((400, 600, 3), np.float32)
    return from_unit(np.asarray(cv2.resize(colours, (6000, 4000)), np.float32), np.dtype(kind))


def _blending() -> Case:
    photo, mask = _big_photo("uint8"), np.full((4000, 6000), 255, np.uint8)
    return lambda: composite(photo, photo, mask, 0, 0)


def _transferring(kind: str) -> Case:
    """An edit of all of a photo of which the model sees the whole."""
    photo = _big_photo(kind)
    crop = Crop(0.0, -1000.0, 6000 / 128, 0.0, 128)
    before = crop.extract(to_unit(photo))
    after, everywhere = before[::-1].copy(), np.ones((128, 128), np.float32)
    meant = Meaning(before, 0 * everywhere, after - before, everywhere, 0.5 * everywhere)
    maps = maps_of(before, before, after, meant, np.ones(3, np.float32))
    return lambda: transfer(crop, Box(0, 0, 6000, 4000), Part.whole(photo), maps)


@dataclass(frozen=True)
class LargeEdit:
    """Processor seconds of edits by default in a large model: the first, and the next, for which the model is known.

    ``step``: of one step at full size. ``peak``: bytes that the process had at most until the edits were done.
    """

    first_edit: float
    next_edit: float
    step: float
    peak: int

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
        first, following = (_seconds(partial(_edit_large, str(file), seed, workspace)) for seed in (0, 1))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return LargeEdit(first, following, _seconds(_full_size_step(generator.to(device))), peak)


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


def _seconds(run: Case) -> float:
    started = time.process_time()
    run()
    return time.process_time() - started


def _clouds(side: int) -> Image:
    colours = np.random.default_rng(0).random((16, 16, 3), np.float32)
    return np.asarray(cv2.resize(colours, (side, side), interpolation=cv2.INTER_CUBIC).clip(0, 1), np.float32)


def measure(group: Group, rounds: int, device: torch.device) -> Iterator[tuple[str, float]]:
    """The median milliseconds of each case."""
    seconds: dict[str, list[float]] = {name: [] for name in group}
    for number in range(rounds + 2):  # the first two warm up
        for name, run in group.items():
            started = time.perf_counter()
            run()
            if device.type != "cpu":
                torch.accelerator.synchronize()
            if number >= 2:
                seconds[name].append(time.perf_counter() - started)
    for name, times in seconds.items():
        yield name, 1000 * statistics.median(times)


def bench(
    model: Annotated[str, typer.Option(help="An installed model's name, or a model file.")] = "default",
    device: Annotated[str | None, typer.Option(help="cuda, mps, xpu or cpu; by default the first that works.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Processor threads.")] = os.cpu_count() or 1,
    rounds: Annotated[int, typer.Option(min=1, help="Measurements of each case.")] = 15,
    only: Annotated[str, typer.Option(help="Only the groups whose title holds this text.")] = "",
    large: Annotated[bool, typer.Option("--large", help="An edit in StyleGAN2's config-f at 1024 pixels.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Time the parts of a projection and an edit."""
    torch.set_num_threads(threads)
    chosen = choose_device(device)
    if large:
        _print_large(large_edit(chosen), as_json)
        return
    table = Table("", "ms", "times faster", title=f"{model} on {describe_device(chosen)}, {threads} threads")
    found: dict[str, dict[str, float]] = {}
    for title, group in Bench(model, chosen).groups().items():
        if only not in title:
            continue
        found[title] = dict(measure(group, rounds, chosen))
        table.add_section()
        table.add_row(f"[bold]{title}")
        first = next(iter(found[title].values()))
        for name, milliseconds in found[title].items():
            table.add_row(f"  {name}", f"{milliseconds:.1f}", f"{first / milliseconds:.2f}")
    if as_json:
        print(json.dumps({"model": model, "device": describe_device(chosen), "threads": threads, "ms": found}))
    else:
        Console().print(table)


def _print_large(found: LargeEdit, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(found)))
        return
    title = f"official config-f, {LARGE.resolution} px, random weights, peak memory {found.peak / 2**30:.1f} GiB"
    table = Table("", "processor seconds", "its steps at full size", "times less", title=title)
    for name, seconds, first in (("first edit", found.first_edit, True), ("next edit", found.next_edit, False)):
        whole = found.at_full_size(first)
        table.add_row(name, f"{seconds:.0f}", f"{whole:.0f}", f"{whole / seconds:.1f}")
    Console().print(table)


def main() -> None:
    try:
        typer.run(bench)
    except GanEditError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
