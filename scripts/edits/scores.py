"""How well an edit did what was meant: colours and looks where nothing was painted, spill, paint, realism."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from edits.cases import Case, Image
from gan_edit_engine.inversion.losses import area_averaged
from gan_edit_engine.inversion.perceptual import load_lpips
from gan_edit_engine.library.perceptual_files import perceptual_weights
from gan_edit_engine.networks.lpips import Lpips
from gan_edit_engine.training import evaluation
from gan_edit_engine.training.photos import PhotoSource, square_pixels

_BLUR = 2.0  # pixels: colours are compared, not hairs
_REAL_FACES = 400
_NEAREST = 5


@dataclass(frozen=True)
class EditScore:
    """``colour`` and ``looks``: recovery where nothing was painted, 1 for the wanted picture and 0 for the photo.

    ``paint``: the same of the strokes' mean colours. ``spill``: LPIPS between result and photo in the rest of the
    selection (0 for a family without a rest). ``realism``: distance to the nearest real faces over the photo's own.
    ``outside``: the largest change where nothing was selected. ``seconds``: of processor time.
    """

    case: str
    family: str
    colour: float
    looks: float
    paint: float
    spill: float
    realism: float
    outside: float
    seconds: float


class EditJudge:
    """``faces``: the real ones, of which the first few hundred that are not in ``exclude`` count."""

    def __init__(self, faces: PhotoSource, exclude: set[str]) -> None:
        self._lpips = load_lpips(torch.device("cpu"))
        self._network = Lpips(load_file(perceptual_weights("vgg16-lpips")))
        names = [name for name in faces.names if name not in exclude]
        chosen = names[:: max(1, len(names) // _REAL_FACES)][:_REAL_FACES]
        pixels = torch.from_numpy(np.stack([square_pixels(faces.open(name), evaluation.SIDE) for name in chosen]))
        self._real = torch.cat([self._seen(evaluation.to_floats(some)) for some in pixels.split(50)])

    def score(self, case: Case, result: Image, seconds: float) -> EditScore:
        """``result``: the edited photo, of the case's size."""
        painted = case.scribble[..., 3]
        silent = case.region * (1 - painted)
        rest = case.selection * (1 - cv2.dilate(np.maximum(case.region, painted), np.ones((5, 5))))
        before, after = self._distance(case.photo, case.wanted, silent), self._distance(result, case.wanted, silent)
        return EditScore(
            case=case.name,
            family=case.family,
            colour=1 - _rms(result - case.wanted, silent) / _rms(case.photo - case.wanted, silent),
            looks=1 - after / before,
            paint=_paint(case, result),
            spill=self._distance(result, case.photo, rest) if rest.any() else 0.0,
            realism=self._strangeness(result) / self._strangeness(case.photo),
            outside=float(np.abs(result - case.photo)[case.selection == 0].max(initial=0)),
            seconds=seconds,
        )

    @torch.no_grad()
    def _distance(self, ours: Image, theirs: Image, where: Image) -> float:
        weight = torch.from_numpy(where)[None, None]
        target = self._lpips.target(_planes(theirs), weight)
        return self._lpips.loss(_planes(ours), target).item()

    @torch.no_grad()
    def _seen(self, images: Tensor) -> Tensor:
        """Features [N, 512] of images [N, 3, R, R] in −1..1: the spatial means of conv5_3."""
        return self._network(images)[-1].mean((2, 3))

    def _strangeness(self, image: Image) -> float:
        """Mean distance to the five nearest real faces."""
        seen = self._seen(area_averaged(_planes(image), evaluation.SIDE, evaluation.SIDE))
        return torch.cdist(seen, self._real)[0].topk(_NEAREST, largest=False).values.mean().item()


def _planes(image: Image) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None] * 2 - 1


def _rms(difference: Image, weight: Image) -> float:
    """Of colours after a blur of two pixels, where ``weight`` counts."""
    blurred = cv2.GaussianBlur(difference, (0, 0), _BLUR)
    return float(np.sqrt((np.square(blurred).mean(-1) * weight).sum() / weight.sum()))


def _paint(case: Case, result: Image) -> float:
    """Mean over the strokes: how far its mean colour went from the photo's to the painted one."""
    count, labels = cv2.connectedComponents((case.scribble[..., 3] > 0).astype(np.uint8))
    parts = []
    for number in range(1, count):
        stroke = labels == number
        asked = case.scribble[stroke][:, :3].mean(0)
        before = np.linalg.norm(case.photo[stroke].mean(0) - asked)
        if before > 0.04:  # a stroke in the colour that is there asks for nothing
            parts.append(1 - float(np.linalg.norm(result[stroke].mean(0) - asked) / before))
    return float(np.mean(parts)) if parts else 1.0
