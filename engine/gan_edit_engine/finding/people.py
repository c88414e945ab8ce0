"""People's faces, found in a photo of any size by YuNet, a detector that comes with OpenCV's model zoo.

Wu, Peng and Yu 2023, "YuNet: a tiny millisecond-level face detector". It knows faces of 10 to 300 pixels that stand
upright; of turned ones it sees the larger, and takes them for upright. So what may be a face is looked at again in all
directions, from close by: it is surest of what stands upright, and exact about the eyes of that alone.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from gan_edit_engine.finding.apart import apart
from gan_edit_engine.finding.ffhq_square import Points, ffhq_square
from gan_edit_engine.finding.find import square_of
from gan_edit_engine.finding.pyramid import Level, Pixels, cut_sharp, pyramid
from gan_edit_engine.imaging.crop import AnyImage
from gan_edit_engine.imaging.square import AlignPoints, Square
from gan_edit_protocol.geometry import Align, Crop, Face

SURE = 0.85
"""Faces of a lower score are not told of; how often something else has a higher one is in docs/training.md."""
AREA = 1900 * 1267
"""Pixels of the largest level at most: faces of a 24-megapixel photo that are 48 pixels high have 15 there."""
_COARSE_AREA = 640 * 480  # pixels of a level that is cheap enough to be seen in all directions
_QUARTERS = (0, 1, 2, 3)  # turns by 90 degrees
_TURNS = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}
_WORTH_A_LOOK, _OVERLAP = 0.25, 0.3  # score of a place, and how much of it another one may cover
_LOOKS, _PROBABLE = 24, 0.6  # places that are looked at closely, and more if they score so much
_DIRECTIONS, _SMALL = 8, (60, 2.2)  # to see which way is up: pixels of the face, and the field in heights of it
_LARGE, _TIMES = (200, 1.6), 3  # to see where the eyes are
_LEAST = 8.0  # photo pixels of a face's height and of its square
_OFF_CENTRE = 0.5  # heights of the face between where it is and where it was thought to be, at most


@dataclass(frozen=True)
class _Place:
    """Where a face may be: its centre and height in photo pixels, how far it is turned, and the detector's score."""

    x: float
    y: float
    height: float
    angle: float
    score: float

    def square(self, turn: float = 0.0) -> Square:
        """The square of the face's height around it."""
        return Square.of_square(Crop(self.x, self.y, self.height, self.angle + turn), 1)


@dataclass(frozen=True)
class _Seen:
    """A face in a picture: centre and height, the five points [5, 2], and the score."""

    centre: Points
    height: float
    points: Points
    score: float


@dataclass(frozen=True)
class _Look:
    """A face seen closely: where, and its eyes and the corners of its mouth [4, 2] in photo pixels."""

    place: _Place
    points: Points


class PeopleFinder:
    """Finds people's faces by YuNet's file."""

    def __init__(self, model: Path) -> None:
        self._net = _YuNet(np.frombuffer(model.read_bytes(), np.uint8))

    def find(self, photo: AnyImage, canonical: AlignPoints | None = None) -> list[Face]:
        """The faces in a photo [H, W, 3 or 4] of uint8, uint16 or float (0..1), best first; their points are the eyes.

        ``canonical``: where a model has its eyes; None for FFHQ's square by eyes and mouth.
        """
        levels = pyramid(photo, AREA)
        coarse = next((i for i, level in enumerate(levels) if _area(level) <= _COARSE_AREA), 0)
        finer = levels[:1] if coarse else []
        places = [place for level in levels[coarse : coarse + 2] for place in self._places(level, _QUARTERS)]
        places += [place for level in finer for place in self._places(level, _QUARTERS[:1])]
        looks = self._look(photo, levels, places)
        if not looks:
            places = [place for level in finer for place in self._places(level, _QUARTERS[1:])]
            looks = self._look(photo, levels, places)
        faces = [_face(look, canonical) for look in looks]
        return [face for face in faces if face is not None]

    def _places(self, level: Level, quarters: tuple[int, ...]) -> list[_Place]:
        """Where the detector sees a face on one level that is turned by so many quarters counterclockwise."""
        found = []
        for quarter in quarters:
            turned = cv2.rotate(level.pixels, _TURNS[quarter]) if quarter else level.pixels
            for seen in self._net.detect(np.asarray(turned, np.uint8)):
                x, y = _turned_back(seen.centre, quarter, *level.pixels.shape[:2]).tolist()
                height = seen.height * level.scale
                if height >= _LEAST:
                    found.append(_Place(x * level.width, y * level.height, height, 90.0 * quarter, seen.score))
        return found

    def _look(self, photo: AnyImage, levels: list[Level], places: list[_Place]) -> list[_Look]:
        """What is a face of these places, best first."""
        looks = []
        likely = _apart(places)
        for place in likely[:_LOOKS] + [place for place in likely[_LOOKS:] if place.score >= _PROBABLE]:
            look = self._closely(photo, levels, place)
            if look is not None and look.place.score >= SURE:
                looks.append(look)
        kept = _apart([look.place for look in looks])
        return [look for place in kept for look in looks if look.place is place]

    def _closely(self, photo: AnyImage, levels: list[Level], place: _Place) -> _Look | None:
        """The face at a place, seen upright; None where there is none."""
        turns = [360.0 / _DIRECTIONS * number for number in range(_DIRECTIONS)]
        small = [self._see(photo, levels, place.square(turn), _SMALL) for turn in turns]
        look = max((one for one in small if one is not None), key=lambda one: one.place.score, default=None)
        for number in range(_TIMES):
            if look is None:
                return None
            look = self._see(photo, levels, look.place.square(), _LARGE, mirrored=number == _TIMES - 1)
        return look

    def _see(
        self, photo: AnyImage, levels: list[Level], square: Square, field: tuple[int, float], mirrored: bool = False
    ) -> _Look | None:
        """One look at the face in a square; ``mirrored``: the mean with its mirror image."""
        pixels, around = field
        side = round(pixels * around)
        shown = cut_sharp(photo, levels, square, side, around)
        seen = self._central(shown, pixels)
        if mirrored and seen is not None:
            other = self._central(np.ascontiguousarray(shown[:, ::-1]), pixels)
            seen = None if other is None else _mean(seen, _mirrored(other, side))
        if seen is None or seen.height * around * square.size < _LEAST * side:
            return None
        where = np.vstack([seen.points[[0, 1, 3, 4]], seen.centre]) / side
        where = np.array([square.to_photo(*point) for point in 0.5 + around * (where - 0.5)])
        points, (x, y) = where[:4], where[4].tolist()
        height = seen.height * around * square.size / side
        return _Look(_Place(x, y, height, ffhq_square(points[:2], points[2:]).angle, seen.score), points)

    def _central(self, picture: Pixels, pixels: int) -> _Seen | None:
        """The surest face near the picture's middle, that should be so many pixels high."""
        middle = np.array(picture.shape[1::-1]) / 2
        near = [s for s in self._net.detect(picture) if math.dist(s.centre, middle) <= _OFF_CENTRE * pixels]
        return max(near, key=lambda seen: seen.score, default=None)


class _YuNet:
    """OpenCV's detector with its file's bytes; one thread at a time uses it."""

    def __init__(self, model: NDArray[np.uint8]) -> None:
        log = cv2.utils.logging
        level = log.getLogLevel()
        log.setLogLevel(log.LOG_LEVEL_ERROR)  # OpenCV 5 warns of a target that nobody asked for
        try:
            self._net = cv2.FaceDetectorYN.create("onnx", model, np.empty(0, np.uint8), (1, 1), _WORTH_A_LOOK, _OVERLAP)
        finally:
            log.setLogLevel(level)
        self._lock = threading.Lock()

    def detect(self, picture: Pixels) -> list[_Seen]:
        """The faces in a picture [H, W, 3], RGB, best first."""
        with self._lock:
            self._net.setInputSize((picture.shape[1], picture.shape[0]))
            rows = self._net.detect(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1]
        found = [] if rows is None else np.asarray(rows, np.float64)
        return [_Seen(row[:2] + row[2:4] / 2, float(row[3]), row[4:14].reshape(5, 2), float(row[14])) for row in found]


def _mirrored(seen: _Seen, width: int) -> _Seen:
    """As it is in the picture whose mirror image was shown."""
    flip, shift = np.array([-1, 1]), np.array([width, 0])
    points = (shift + flip * seen.points)[[1, 0, 2, 4, 3]]
    return _Seen(shift + flip * seen.centre, seen.height, points, seen.score)


def _mean(one: _Seen, other: _Seen) -> _Seen:
    centre, points = (one.centre + other.centre) / 2, (one.points + other.points) / 2
    return _Seen(centre, (one.height + other.height) / 2, points, (one.score + other.score) / 2)


def _turned_back(point: Points, quarter: int, height: int, width: int) -> Points:
    """Of a picture [height, width] turned by so many quarters counterclockwise, a point as it lies in the picture."""
    x, y = point.tolist()
    places = ((x, y), (width - y, x), (width - x, height - y), (y, height - x))
    return np.array(places[quarter])


def _area(level: Level) -> int:
    return level.pixels.shape[0] * level.pixels.shape[1]


def _apart(places: list[_Place]) -> list[_Place]:
    """Best first, and of those that lie on each other the best alone."""
    return apart(places, lambda place: place.score, lambda place: (place.x, place.y, place.height))


def _face(look: _Look, canonical: AlignPoints | None) -> Face | None:
    """None where the points lie so close together that they make no square."""
    eyes, mouth = look.points[:2], look.points[2:]
    if canonical is None:
        crop = ffhq_square(eyes, mouth)
    elif (square := square_of(eyes, canonical)) is not None:
        crop = square.crop
    else:
        return None
    return Face(Align(*eyes.ravel().tolist()), crop, look.place.score) if crop.size >= _LEAST else None
