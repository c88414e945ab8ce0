"""The parts of a projection and an edit that bench.py times, in groups of cases that do the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch

from benching.turns import Case, Group
from gan_edit_engine.finding.network import FinderNetworks
from gan_edit_engine.generators import Generator
from gan_edit_engine.imaging.crop import AnyImage, Crop, Part, composite, from_unit, to_unit
from gan_edit_engine.imaging.meaning import Meaning
from gan_edit_engine.imaging.transfer import maps_of, transfer
from gan_edit_engine.inversion.edit import Wish, follow_scribble
from gan_edit_engine.inversion.invert import invert
from gan_edit_engine.inversion.latents import random_z
from gan_edit_engine.inversion.losses import pixel_loss
from gan_edit_engine.inversion.optimize import result_of
from gan_edit_engine.inversion.perceptual import load_lpips, load_perceptual
from gan_edit_engine.inversion.prepared import Prepared
from gan_edit_engine.inversion.subject import Drawing, Inversion, Subject, synthesise
from gan_edit_engine.networks.encoder import Encoder, EncoderConfig
from gan_edit_engine.worker.workspace import Workspace
from gan_edit_protocol.geometry import Box
from gan_edit_protocol.settings import EditSettings, ProjectSettings
from official_projector import project_officially

FORMATS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
FOREVER = 20_000  # steps: no case ends before the bench does
PHOTOS = 4
LEVEL = (272, 416)  # pixels, of a photo of 3 to 2


class Bench:
    """The cases, on one model and device; ``photos``: as many as a pass takes at most."""

    def __init__(self, model: str, device: torch.device, photos: int = PHOTOS) -> None:
        self.workspace, self.device, self.photos = Workspace(device), device, photos
        self.projector = result_of(self.workspace.prepare(model, ProjectSettings(steps=FOREVER, w_fraction=0.0)))
        self.generator: Generator = self.projector.generator
        with torch.no_grad():
            self.ws = self.generator.mapping(random_z(self.generator, 1, 0, device))
            image = synthesise(self.generator, self.ws).clamp(-1, 1)
        self.subject = Subject(image, torch.ones_like(image[:, :1]))

    def groups(self) -> dict[str, Callable[[], Group]]:
        """What makes each, by its title; the first case of a group is what the others are compared with."""
        return {
            "image and gradient of the latent": lambda: {name: self._gradient(kind) for name, kind in FORMATS.items()},
            "LPIPS and gradient of the image": lambda: {name: self._lpips(kind) for name, kind in FORMATS.items()},
            "one step of a projection": lambda: {
                "official algorithm, float32": self._official(),
                **{f"default, {name}": self._projection(name) for name in FORMATS},
                "default with efficientnet-lite0": self._projection("auto", perceptual="efficientnet-lite0"),
            },
            "one step of an edit": lambda: {name: self._edit(name) for name in FORMATS},
            **{
                f"a step's loss and gradient for {self.photos} photos, seen at {side} pixels": partial(
                    self._in_passes, side
                )
                for side in self._sides()
            },
            "a photo's first latent": lambda: {
                "one step of the default": self._projection("auto"),
                "encoder": self._encoder(),
            },
            "a finder's heat on the finest level": lambda: {
                "layer by layer": self._heat(FinderNetworks().eval()),
                "as a finder computes": self._heat(FinderNetworks().fused()),
            },
            "an edit laid on 24 megapixels": lambda: {
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

    def _in_passes(self, side: int) -> Group:
        """By how many photos a pass takes, of whole passes."""
        counts = (count for count in range(1, self.photos + 1) if self.photos % count == 0)
        return {f"{count} in one pass": self._in_passes_of(count, side) for count in counts}

    def _in_passes_of(self, count: int, side: int) -> Case:
        """Each photo has a latent of its own, of which a step takes the image, both losses, and the gradient."""
        perceptual, settings = self.projector.perceptual, self.projector.settings
        images, weights = (part.expand(count, -1, -1, -1) for part in (self.subject.image, self.subject.weight))
        target = perceptual.target(images, weights, side=side)

        def run() -> None:
            for _ in range(self.photos // count):
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
