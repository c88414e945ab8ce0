"""Scribbles drawn by code: three faces for the model's square, and green irises for the photo."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan_edit_engine.inversion.subject import Subject
from gan_edit_engine.library.models import Model
from report.figure import Pixels

Canvas = NDArray[np.uint8]
Colour = tuple[int, int, int]
Points = tuple[tuple[float, float], tuple[float, float]]

SIDE = 256  # of the canvas on which the faces are drawn
DEFAULT_EYES: Points = ((0.33, 0.42), (0.67, 0.42))  # of a model that does not say where eyes are
# (centre x, centre y, radius x, radius y) in pixels of `chelsea`.
IRISES = ((171, 115, 29, 27), (319, 135, 20, 24))
PUPILS = ((175, 111, 9, 18), (320, 133, 7, 16))
AROUND_THE_EYES = ((172, 118, 46, 44), (320, 137, 38, 42))
GREEN: Colour = (76, 164, 84)
NOSE: Colour = (196, 124, 112)
DARK: Colour = (44, 46, 52)
LIGHT: Colour = (160, 146, 128)


class Coat(NamedTuple):
    """The colours of a drawn cat, and of what is behind it."""

    fur: Colour
    stripes: Colour
    iris: Colour
    muzzle: Colour
    behind: Colour


def blank(height: int, width: int) -> Canvas:
    """A canvas [height, width, 4] on which nothing is painted."""
    return np.zeros((height, width, 4), np.uint8)


def ellipse(canvas: Canvas, at: tuple[float, float], radii: tuple[float, float], colour: Colour | None) -> None:
    """Fill an ellipse (pixels) with a colour, or rub it out."""
    value = (*colour, 255) if colour else (0, 0, 0, 0)
    centre, axes = (round(at[0]), round(at[1])), (round(radii[0]), round(radii[1]))
    cv2.ellipse(canvas, centre, axes, 0, 0, 360, value, -1)


def face(coat: Coat, eyes: Points) -> Canvas:
    """A face in a few colours [SIDE, SIDE, 4]: fur with stripes on the forehead, eyes, muzzle, what is behind."""
    canvas = blank(SIDE, SIDE)
    (x1, y1), (x2, y2) = np.multiply(eyes, SIDE).tolist()
    middle, level, apart = (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1
    ellipse(canvas, (middle, level + 0.25 * apart), (0.78 * apart, 0.85 * apart), coat.fur)
    for x in (middle - 0.22 * apart, middle, middle + 0.22 * apart):
        ellipse(canvas, (x, level - 0.42 * apart), (0.035 * apart, 0.17 * apart), coat.stripes)
    for x, y in ((x1, y1), (x2, y2)):
        # Around the eyes nothing is asked for: lids and shadows are the model's.
        ellipse(canvas, (x, y), (0.25 * apart, 0.2 * apart), None)
        ellipse(canvas, (x, y), (0.14 * apart, 0.12 * apart), coat.iris)
        ellipse(canvas, (x, y), (0.045 * apart, 0.1 * apart), (15, 15, 15))
    ellipse(canvas, (middle, level + 0.85 * apart), (0.3 * apart, 0.2 * apart), coat.muzzle)
    ellipse(canvas, (middle, level + 0.68 * apart), (0.1 * apart, 0.06 * apart), NOSE)
    for x in (0.03 * SIDE, 0.97 * SIDE):
        ellipse(canvas, (x, 0.85 * SIDE), (0.04 * SIDE, 0.12 * SIDE), coat.behind)
    return canvas


def faces(model: Model) -> dict[str, Canvas]:
    """The three scribbles by name, at the model's alignment points."""
    eyes = model.info.align_points or DEFAULT_EYES
    coats = {
        "an orange cat": Coat((206, 132, 64), (140, 78, 32), (200, 160, 60), (238, 230, 220), (70, 90, 60)),
        "a grey cat with green eyes": Coat((136, 138, 146), (84, 86, 94), (98, 172, 86), (188, 188, 192), DARK),
        "a black cat with yellow eyes": Coat((40, 36, 36), (22, 20, 20), (222, 186, 54), (62, 54, 54), LIGHT),
    }
    return {name: face(coat, eyes) for name, coat in coats.items()}


def as_subject(canvas: Canvas, model: Model, device: torch.device) -> Subject:
    """S and M of the report: the painted colours, and 1 where something is painted, at the model's resolution."""
    side = model.generator.resolution
    weight = canvas[..., 3:].astype(np.float32) / 255
    colours = canvas[..., :3].astype(np.float32) / 255 * weight
    small = [cv2.resize(a, (side, side), interpolation=cv2.INTER_AREA) for a in (colours, weight)]
    small_weight = small[1][..., None]
    planes = torch.from_numpy(small[0] / np.maximum(small_weight, 1e-4)).permute(2, 0, 1)[None].to(device) * 2 - 1
    image: Tensor = planes if model.generator.image_channels == 3 else planes.mean(1, keepdim=True)
    return Subject(image.float(), torch.from_numpy(small_weight).permute(2, 0, 1)[None].to(device))


def over(pixels: Pixels, canvas: Canvas) -> Pixels:
    """The canvas laid over a picture [H, W, 3] of its size."""
    opacity = canvas[..., 3:].astype(np.float32) / 255
    return np.asarray(np.round(canvas[..., :3] * opacity + pixels * (1 - opacity)), dtype=np.uint8)


def green_irises(height: int, width: int) -> Canvas:
    """Green paint on the irises of `chelsea`, not on the pupils."""
    canvas = blank(height, width)
    for x, y, radius_x, radius_y in IRISES:
        ellipse(canvas, (x, y), (radius_x, radius_y), GREEN)
    for x, y, radius_x, radius_y in PUPILS:
        ellipse(canvas, (x, y), (radius_x, radius_y), None)
    return canvas


def around_the_eyes(height: int, width: int) -> Pixels:
    """The selection [height, width]: 255 where the photo may change."""
    mask = np.zeros((height, width), np.uint8)
    for x, y, radius_x, radius_y in AROUND_THE_EYES:
        cv2.ellipse(mask, (x, y), (radius_x, radius_y), 0, 0, 360, 255, -1)
    return mask
