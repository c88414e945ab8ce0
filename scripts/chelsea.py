"""A real photo of a cat: scikit-image's, with where her eyes are, turned by any angle."""

from __future__ import annotations

import math

import cv2
import numpy as np

from gan_edit_engine.finding.pyramid import Pixels
from gan_edit_engine.training.composites import Placed, Points
from report.targets import EYES
from shipped_pictures import shipped

_EYES = np.array([[EYES.x1, EYES.y1], [EYES.x2, EYES.y2]])
_EYES_APART = 0.44  # sides of the square


def chelsea_turned(angle: float) -> tuple[Pixels, Placed]:
    """Her photo turned by so many degrees clockwise on a gray ground that holds all of it, and her face there."""
    (photo,) = shipped(["chelsea.png"])
    picture, eyes = turned(photo, _EYES, angle)
    return picture, Placed(eyes, float(np.linalg.norm(eyes[1] - eyes[0])) / _EYES_APART)


def turned(photo: Pixels, points: Points, angle: float) -> tuple[Pixels, Points]:
    """A photo [H, W, 3] turned by so many degrees clockwise on a gray ground, and its ``points`` [N, 2] there."""
    height, width = photo.shape[:2]
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    size = math.ceil(width * abs(cos) + height * abs(sin)), math.ceil(width * abs(sin) + height * abs(cos))
    turn = np.array([[cos, -sin], [sin, cos]])
    shift = np.array(size) / 2 - turn @ (width / 2, height / 2)
    half = np.array([0.5, 0.5])  # OpenCV counts from pixel centres
    matrix = np.column_stack([turn, turn @ half + shift - half])
    ground = (128, 128, 128)
    picture = cv2.warpAffine(
        photo, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT, borderValue=ground
    )
    return np.asarray(picture, np.uint8), points @ turn.T + shift
