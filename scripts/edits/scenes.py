"""Photos for the gallery: faces placed into larger pictures, turned, in the dark, lit by a flash, with flaws.

Pictures are float32 [H, W, 3] in 0..1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from skimage import data

from edits.cases import SIDE, Image
from edits.painting import HERE, Placing, Point, Stroke, paint, place
from edits.sheet import painted_over
from gan_edit_protocol.geometry import Align

CHELSEA = "chelsea"
_CHELSEA_EYES = ((172.0, 118.0), (320.0, 137.0))
_WIDTH, _HEIGHT, _ENLARGED = 700, 500, 1.6
_BORDER = 20  # pixels of the face over which it goes over into the background
_FLAW_BLUR = 0.7  # pixels: nothing in a photo is as sharp as a drawn line


@dataclass(frozen=True)
class Scene:
    """``face``: CHELSEA, or an evaluation face's name, which is turned by ``turn`` degrees clockwise.

    ``behind``: "own" (the photo itself, mirrored and out of focus) or "coffee" (a table). ``light``: "day", "dark" or
    "flash". ``flaws`` are drawn into the photo.
    """

    face: str
    turn: float = 0.0
    behind: str = "own"
    light: str = "day"
    flaws: Sequence[Stroke] = ()


@dataclass(frozen=True)
class Photo:
    """``placing`` carries the face's own pixels into the photo."""

    pixels: Image
    placing: Placing
    align: Align


def photo_of(scene: Scene, face: Image | None, eyes: tuple[Point, Point] = _CHELSEA_EYES) -> Photo:
    """``face`` [SIDE, SIDE, 3] with its ``eyes`` in pixels; None for Chelsea, whose photo is taken as it is."""
    if face is None:
        pixels, placing = np.asarray(data.chelsea(), np.float32) / np.float32(255), HERE
    else:
        placing = _placing(scene.turn)
        pixels = _pasted(face, _background(scene.behind, face), placing)
    pixels = _lit(pixels, scene.light)
    if scene.flaws:
        layer = paint(scene.flaws, pixels.shape[0], pixels.shape[1], placing)
        pixels = painted_over(pixels, np.asarray(cv2.GaussianBlur(layer, (0, 0), _FLAW_BLUR), np.float32))
    (x1, y1), (x2, y2) = (place(eye, placing) for eye in eyes)
    return Photo(pixels, placing, Align(x1, y1, x2, y2))


def _placing(turn: float) -> Placing:
    """The face's middle goes to the scene's."""
    cos, sin = _ENLARGED * np.cos(np.radians(turn)), _ENLARGED * np.sin(np.radians(turn))
    middle = SIDE / 2
    return np.array(
        [[cos, -sin, _WIDTH / 2 - middle * (cos - sin)], [sin, cos, _HEIGHT / 2 - middle * (sin + cos)]], np.float64
    )


def _pasted(face: Image, background: Image, placing: Placing) -> Image:
    from_centres = placing.copy()
    from_centres[:, 2] += placing[:, :2] @ (0.5, 0.5) - 0.5
    size = (_WIDTH, _HEIGHT)
    inside = np.zeros((SIDE, SIDE), np.float32)
    inside[_BORDER // 2 : -_BORDER // 2, _BORDER // 2 : -_BORDER // 2] = 1
    cover = cv2.warpAffine(cv2.blur(inside, (_BORDER, _BORDER), borderType=cv2.BORDER_CONSTANT), from_centres, size)
    warped = cv2.warpAffine(face, from_centres, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(np.clip(background + cover[..., None] * (warped - background), 0, 1), np.float32)


def _background(kind: str, face: Image) -> Image:
    picture = face[:, ::-1] if kind == "own" else np.asarray(data.coffee(), np.float32) / np.float32(255)
    enlarged = cv2.resize(np.ascontiguousarray(picture), (_WIDTH, _HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.GaussianBlur(enlarged, (0, 0), 14 if kind == "own" else 3), np.float32)


def _lit(photo: Image, light: str) -> Image:
    if light == "dark":
        return np.asarray(0.4 * photo**1.2, np.float32)
    if light == "flash":
        return np.asarray(np.clip(1.45 * photo - 0.1, 0, 1), np.float32)
    return photo
