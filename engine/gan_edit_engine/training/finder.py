"""Training of a finder: both networks at once, on pictures drawn as they are needed."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gan_edit_engine.finding.find import square_of, to_tensor
from gan_edit_engine.finding.network import CLOSE_FIELD, CLOSE_SIDE, STRIDE, FinderNetworks
from gan_edit_engine.finding.pyramid import GRAY, Pixels, cut_square, pyramid
from gan_edit_engine.imaging.square import AlignPoints, Square
from gan_edit_engine.training.composites import Composer, Composite, Recipe
from gan_edit_engine.training.finder_targets import (
    KNOWN,
    about,
    close_target,
    detector_targets,
    square_around,
)
from gan_edit_engine.training.pace import Metrics, falling
from gan_edit_engine.training.scenery import Random

_SMALL_CROWDS, _SMALL_PICTURES = 0.2, 0.5  # how often the picture is smaller: large faces are then cut off
_SMALLEST = 48
_PEAKS = 3
_SIZES = (20.0, 150.0)  # of faces in the pictures, in pixels
_CROWDS = 0.6  # share of the pictures with many faces of the sizes that the detector learns from
_CROWD = (0.1, 0.25, 0.3, 0.2, 0.15)


@dataclass(frozen=True)
class FinderSettings:
    """``until``: pictures after which the rate has fallen to 0 along a cosine."""

    batch: int = 16
    seed: int = 0
    side: int = 160
    rate: float = 2e-3
    warm_up: int = 3_000
    until: int = 100_000
    weight_decay: float = 0.01
    # Weights of the losses: heat 1, and
    points_weight: float = 8.0
    score_weight: float = 1.0
    shift_weight: float = 30.0
    # Squares that the refiner sees of a batch, at most so many of faces.
    squares: int = 48
    faces: int = 28
    ema: float = 0.995


class FinderTrainer:
    """``images`` pictures have been seen; ``averaged`` is what is kept of ``networks``."""

    def __init__(self, settings: FinderSettings, composer: Composer, canonical: AlignPoints) -> None:
        torch.manual_seed(settings.seed)
        self.settings, self.composer, self.canonical = settings, composer, canonical
        self.networks = FinderNetworks()
        self.averaged = copy.deepcopy(self.networks).requires_grad_(False).eval()
        decay = settings.weight_decay
        self.optimizer = torch.optim.AdamW(self.networks.parameters(), lr=settings.rate, weight_decay=decay)
        self.images = 0

    def step(self) -> Metrics:
        """Learn from one batch; the losses."""
        settings = self.settings
        self.networks.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        rng = np.random.default_rng([settings.seed, 1, self.images])
        composites = [self._draw(self.images + i) for i in range(settings.batch)]
        heat_loss, points_loss, found = self._detect(composites)
        score_loss, shift_loss = self._look_closely(rng, composites, found)
        loss = heat_loss + settings.points_weight * points_loss
        loss = loss + settings.score_weight * score_loss + settings.shift_weight * shift_loss
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.networks.parameters(), 5.0)
        self.optimizer.step()
        self._average()
        self.images += settings.batch
        losses = {"heat": heat_loss, "points": points_loss, "score": score_loss, "shift": shift_loss}
        return {name: float(value.detach()) for name, value in losses.items()}

    def _rate(self) -> float:
        settings = self.settings
        done = min(1.0, self.images / settings.until)
        warm = min(1.0, (self.images + settings.batch) / settings.warm_up)
        return settings.rate * warm * falling(done)

    def _draw(self, number: int) -> Composite:
        rng = np.random.default_rng([self.settings.seed, 0, number])
        side = self.settings.side
        crowd = rng.random() < _CROWDS
        small = rng.random() < (_SMALL_CROWDS if crowd else _SMALL_PICTURES)
        height, width = (int(n) for n in rng.integers(_SMALLEST, side + 1, 2)) if small else (side, side)
        if crowd:
            return self.composer.compose(rng, Recipe(height, width, KNOWN, _CROWD))
        return self.composer.compose(rng, Recipe(height, width, _SIZES))

    def _detect(self, composites: list[Composite]) -> tuple[Tensor, Tensor, list[list[Square]]]:
        side = self.settings.side
        pictures = np.stack([_padded(composite.picture, side) for composite in composites])
        heat, points = self.networks.detect(to_tensor(pictures))
        targets = [detector_targets(composite, side // STRIDE, self.canonical) for composite in composites]
        wanted = torch.from_numpy(np.stack([t.heat for t in targets]))
        asked = torch.from_numpy(np.stack([t.asked for t in targets]))
        weight = torch.from_numpy(np.stack([t.weight for t in targets]))
        places = torch.from_numpy(np.stack([t.points for t in targets]))
        miss = (F.smooth_l1_loss(points, places, beta=1.0, reduction="none").mean(1) * weight).sum()
        points_loss = miss / (weight > 0).sum().clamp(min=1)
        return focal_loss(heat, wanted, asked), points_loss, self._peaks(heat.detach(), points.detach())

    def _peaks(self, heat: Tensor, points: Tensor) -> list[list[Square]]:
        """The squares of the detector's best places in each picture: to be confirmed, or the hardest errors."""
        flat = heat.flatten(1)
        squares: list[list[Square]] = []
        columns = heat.shape[2]
        for indices, offsets in zip(flat.topk(_PEAKS).indices.tolist(), points, strict=True):
            here = []
            for index in indices:
                y, x = divmod(index, columns)
                cell = STRIDE * (np.array([x, y]) + 0.5)
                square = square_of(offsets[:, y, x].double().numpy().reshape(2, 2) + cell, self.canonical)
                here += [] if square is None or square.size > 2 * self.settings.side else [square]
            squares.append(here)
        return squares

    def _look_closely(
        self, rng: Random, composites: list[Composite], found: list[list[Square]]
    ) -> tuple[Tensor, Tensor]:
        looks = [
            (composite, square) for composite, squares in zip(composites, found, strict=True) for square in squares
        ]
        looks = [looks[i] for i in rng.permutation(len(looks))]
        more = [(composite, square) for composite in composites for square in self._squares(rng, composite)]
        # What the detector took for a face comes first: nothing else is as hard to tell from one.
        looks += [more[i] for i in rng.permutation(len(more))]
        targets = [close_target(square, composite, self.canonical) for composite, square in looks]
        shown = [(*look, target) for look, target in zip(looks, targets, strict=True) if target.score is not None]
        faces = [one for one in shown if one[2].shifts is not None][: self.settings.faces]
        others = [one for one in shown if one[2].shifts is None]
        chosen = faces + others[: self.settings.squares - len(faces)]
        levels = {id(composite): pyramid(composite.picture) for composite in composites}
        cuts = np.stack([cut_square(levels[id(c)], square, CLOSE_SIDE, CLOSE_FIELD) for c, square, _ in chosen])
        scores, shifts = self.networks.look(to_tensor(cuts))
        wanted = torch.tensor([float(target.score or 0) for _, _, target in chosen])
        score_loss = F.binary_cross_entropy_with_logits(scores, wanted)
        if not faces:
            return score_loss, shifts.sum() * 0
        places = torch.from_numpy(np.stack([shift for _, _, target in faces if (shift := target.shifts) is not None]))
        return score_loss, F.smooth_l1_loss(shifts[: len(faces)], places, beta=0.02)

    def _squares(self, rng: Random, composite: Composite) -> list[Square]:
        """Around each face, as looks give them; and one anywhere."""
        near = [about(rng, face.points, self.canonical, exactly=i > 0) for face in composite.faces for i in range(2)]
        height, width = composite.picture.shape[:2]
        size = math.exp(rng.uniform(*np.log(_SIZES)))
        anywhere = square_around(rng.uniform(0, width), rng.uniform(0, height), size, rng.uniform(-180, 180))
        return [square for square in near if square is not None] + [anywhere]

    @torch.no_grad()
    def _average(self) -> None:
        # What is averaged follows closely at first, so that the start is soon forgotten.
        seen = self.images / self.settings.batch + 1
        keep = min(self.settings.ema, seen / (seen + 10))
        kept_tensors = self.averaged.state_dict().values()
        for value, kept in zip(self.networks.state_dict().values(), kept_tensors, strict=True):
            if value.is_floating_point():
                kept.lerp_(value, 1 - keep)
            else:
                kept.copy_(value)

    def state_dict(self) -> dict[str, Any]:
        return {
            "networks": self.networks.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "images": self.images,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.networks.load_state_dict(state["networks"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.images = state["images"]


def focal_loss(heat: Tensor, wanted: Tensor, asked: Tensor) -> Tensor:
    """CenterNet's: of logits against heat in 0..1, per centre; each cell counts as far as it is ``asked``."""
    hot = wanted == 1
    at_centres = (-F.logsigmoid(heat) * torch.sigmoid(-heat) ** 2)[hot & (asked > 0)].sum()
    elsewhere = -F.logsigmoid(-heat) * torch.sigmoid(heat) ** 2 * (1 - wanted) ** 4
    return (at_centres + (elsewhere * asked * ~hot).sum()) / hot.sum().clamp(min=1)


def _padded(picture: Pixels, side: int) -> Pixels:
    padded = np.full((side, side, 3), GRAY, np.uint8)
    padded[: picture.shape[0], : picture.shape[1]] = picture
    return padded
