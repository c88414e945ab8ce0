"""Edits whose right answer is known: a face, the picture that is wanted of it, and a few flat strokes that ask for it.

Pictures are float32 [SIDE, SIDE, 3] in 0..1, maps [SIDE, SIDE] in 0..1; x runs right, y down.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from gan_edit_engine.generators import Generator
from gan_edit_engine.imaging.view import to_colours
from gan_edit_engine.inversion.latents import map_to_w, random_z
from gan_edit_engine.training.photos import PhotoSource

Image = NDArray[np.float32]
Ellipse = tuple[float, float, float, float, float]
"""Centre x and y and the two radii as parts of the picture's side, and the angle in degrees clockwise."""

SIDE = 256
LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)  # ITU-R BT.709

# Of real cats' eyes, in daylight.
IRIS_COLOURS = {
    "blue": (0.42, 0.60, 0.78),
    "green": (0.48, 0.62, 0.36),
    "yellow": (0.76, 0.68, 0.28),
    "amber": (0.74, 0.50, 0.20),
    "copper": (0.58, 0.34, 0.16),
}
_OTHER_ENOUGH = 0.18  # RMS distance of an iris's colours before and after, or nothing is asked for
_PART_SELECTION = (0.5, 0.42, 0.46, 0.28, 0.0)  # both eyes, brows, the bridge of the nose
_WHOLE_SELECTION = (0.5, 0.5, 0.46, 0.47, 0.0)
_COLOUR_LAYERS = 6  # w+ from here on: blocks of 32 pixels and finer, which give colours, not shape
_AROUND_EYES = 1.4  # of an iris's radii
_STROKES, _CANDIDATES = 6, 80
_PSI = 0.8  # truncation of the other cat


@dataclass(frozen=True)
class Face:
    """A photo [SIDE, SIDE, 3] in 0..1 and its irises; ``number``: the seed of what is drawn at random on it."""

    name: str
    number: int
    photo: Image
    irises: list[Ellipse]


@dataclass(frozen=True)
class Case:
    """``scribble`` [SIDE, SIDE, 4] counts where its alpha is 1; ``region`` is what the strokes stand for."""

    name: str
    family: str
    photo: Image
    scribble: Image
    selection: Image
    region: Image
    wanted: Image


def read_irises(path: Path) -> dict[str, list[Ellipse]]:
    """Both irises of each marked face, by the photo's name."""
    marks = json.loads(path.read_text(encoding="utf-8"))
    return {name: [(x, y, a, b, turn) for x, y, a, b, turn in ellipses] for name, ellipses in marks.items()}


def read_face(sources: list[PhotoSource], name: str) -> Image:
    """The photo at SIDE pixels; those of 128 are enlarged."""
    source = next(source for source in sources if name in source.names)
    return np.asarray(source.open(name).resize((SIDE, SIDE), 3), np.float32) / np.float32(255)


def ellipse(at: Ellipse, grown: float = 1.0) -> Image:
    """1 inside, with a soft edge of a pixel; ``grown``: the factor on the radii."""
    x, y, a, b, turn = at
    fine = np.zeros((SIDE * 4, SIDE * 4), np.uint8)
    centre, radii = (
        (round(x * SIDE * 4), round(y * SIDE * 4)),
        (round(a * grown * SIDE * 4), round(b * grown * SIDE * 4)),
    )
    cv2.ellipse(fine, centre, radii, turn, 0, 360, 255, -1)
    return np.asarray(cv2.resize(fine, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.float32) / np.float32(255)


def part_case(face: Face) -> Case:
    """Both irises in another natural colour with their own shading; a rough stroke through each."""
    random, photo = np.random.default_rng([face.number, 1]), face.photo
    region = np.maximum(*(ellipse(iris) for iris in face.irises))
    wanted, colour = _recoloured(photo, region, random)
    strokes = np.zeros((SIDE, SIDE), bool)
    for iris in face.irises:
        strokes |= _stroke_through(iris, random)
    scribble = _flat(strokes, wanted, (photo @ LUMA > 0.15) & (region > 0.9))
    return Case(f"{face.name} {colour}", "part", photo, scribble, ellipse(_PART_SELECTION), region, wanted)


def whole_case(face: Face, ws: torch.Tensor, generator: Generator) -> Case:
    """The same face in another cat's colours, as the generator draws it; strokes of its colours here and there.

    ``ws`` [1, num_ws, w_dim]: the photo's projection.
    """
    random = np.random.default_rng([face.number, 2])
    other = map_to_w(generator, random_z(generator, 1, 1000 + face.number, ws.device))
    other = generator.w_avg + _PSI * (other - generator.w_avg)
    mixed = ws.clone()
    mixed[:, _COLOUR_LAYERS:] = other[:, None]
    with torch.no_grad():
        drawn = to_colours(generator.synthesis(mixed))
    wanted = np.clip(cv2.resize(drawn, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), 0, 1).astype(np.float32)
    selection = ellipse(_WHOLE_SELECTION)
    scribble = np.zeros((SIDE, SIDE, 4), np.float32)
    eyes = np.maximum(*(ellipse(iris, _AROUND_EYES) for iris in face.irises))
    for stroke in _strokes_over(selection, wanted, eyes, random):
        ours = _flat(stroke, wanted, stroke)
        scribble = np.where(ours[..., 3:] > 0, ours, scribble)
    return Case(face.name, "whole", face.photo, scribble, selection, selection, wanted)


def _recoloured(photo: Image, region: Image, random: np.random.Generator) -> tuple[Image, str]:
    """A colour that differs enough from the region's own, with the region's light and dark."""
    luma = photo @ LUMA
    iris = (region > 0.9) & (luma > 0.15) & (luma < 0.9)
    mean_luma = float(luma[iris].mean())
    # A catchlight stays white: it is bright and has no colour.
    saturation = photo.max(-1) - photo.min(-1)
    glint = np.clip((luma - 0.75) / 0.15, 0, 1) * np.clip((0.25 - saturation) / 0.15, 0, 1)
    best: tuple[float, Image, str] | None = None
    for name in random.permutation(list(IRIS_COLOURS)):
        colour = np.array(IRIS_COLOURS[str(name)], np.float32)
        # Half way from the photo's own brightness to the colour's: a dark photo's eyes stay dark.
        level = 0.5 * (mean_luma + float(colour @ LUMA)) / float(colour @ LUMA)
        shaded = np.clip(colour * level * (luma / mean_luma)[..., None], 0, 1)
        weight = (region * (1 - glint))[..., None]
        wanted = (photo * (1 - weight) + shaded * weight).astype(np.float32)
        distance = float(np.sqrt(np.square(wanted - photo)[iris].mean()))
        if best is None or distance > best[0]:
            best = distance, wanted, str(name)
        if distance > _OTHER_ENOUGH:
            return wanted, str(name)
    assert best is not None
    return best[1], best[2]


def _stroke_through(iris: Ellipse, random: np.random.Generator) -> NDArray[np.bool_]:
    """A straight stroke beside the iris's middle, inside it, over about a sixth of it."""
    x, y, a, b, _ = iris
    turn, aside = random.uniform(0, np.pi), random.uniform(-0.3, 0.3)
    along, across = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    radii, centre = np.array([a, b]) * SIDE, np.array([x, y]) * SIDE
    ends = [centre + radii * (0.7 * sign * along + aside * across) for sign in (-1, 1)]
    width = max(2, round(0.32 * float(min(a, b)) * SIDE))
    return _line(ends, width) & (ellipse(iris, 0.95) > 0.5)


def _strokes_over(
    selection: Image, wanted: Image, avoid: Image, random: np.random.Generator
) -> Iterator[NDArray[np.bool_]]:
    """Six straight strokes, which cover about a tenth of the selection, each on a place of nearly one colour.

    A person paints fur on fur: of many places the plainest count, apart from each other and from the eyes.
    """
    found: list[tuple[float, NDArray[np.bool_]]] = []
    while len(found) < _CANDIDATES:
        at, turn = random.uniform(0.12, 0.88, 2), random.uniform(0, np.pi)
        along = 0.09 * np.array([np.cos(turn), np.sin(turn)])
        stroke = _line([(at - along) * SIDE, (at + along) * SIDE], 15)
        if selection[stroke].min() > 0.9 and avoid[stroke].max() < 0.1:
            found.append((float(wanted[stroke].std(0).mean()), stroke))
    taken = np.zeros((SIDE, SIDE), np.uint8)
    count = 0
    for _, stroke in sorted(found, key=lambda pair: pair[0]):
        if count < _STROKES and not taken[stroke].any():
            taken |= np.asarray(cv2.dilate(stroke.astype(np.uint8), np.ones((41, 41))), np.uint8)
            count += 1
            yield stroke


def _line(ends: list[NDArray[np.float64]], width: int) -> NDArray[np.bool_]:
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    (x1, y1), (x2, y2) = np.round(ends).astype(int).tolist()
    cv2.line(canvas, (x1, y1), (x2, y2), 255, width)
    return np.asarray(canvas > 0)


def _flat(strokes: NDArray[np.bool_], wanted: Image, typical: NDArray[np.bool_]) -> Image:
    """Each connected stroke in one colour, the mean of what is wanted there (and ``typical``)."""
    scribble = np.zeros((SIDE, SIDE, 4), np.float32)
    count, labels = cv2.connectedComponents(strokes.astype(np.uint8))
    for number in range(1, count):
        stroke = labels == number
        counted = stroke & typical if (stroke & typical).any() else stroke
        scribble[stroke] = (*wanted[counted].mean(0), 1)
    return scribble
