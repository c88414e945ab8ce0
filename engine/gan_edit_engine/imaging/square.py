"""Where in a photo the model looks, without its pixels and free of numpy, so that the service may ask.

Coordinates are continuous pixels, x right, y down, angles in degrees clockwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

from gan_edit_engine.library.models_folder import AlignPoints
from gan_edit_protocol import geometry
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.geometry import Box

SquareT = TypeVar("SquareT", bound="Square")

_MIN_SIDE = 4.0
_FURTHEST = 1e7  # pixels: well beyond any photo, and a number to reckon with
_NEIGHBOURS = 4  # pixels around the square: interpolation and the rounding of what the model's size divides
_CHAMFER = 1.05  # OpenCV's distances to the selection's edge are so exact


@dataclass(frozen=True)
class Square:
    """A square of the photo as the model's image of ``resolution``² pixels: a similarity transform and its inverse.

    The square's top left corner lies at (``left``, ``top``) of the photo; a pixel of the model is ``scale`` photo
    pixels wide; the square's x axis points ``angle`` degrees clockwise from the photo's.
    """

    left: float
    top: float
    scale: float
    angle: float
    resolution: int

    @classmethod
    def of_square(cls: type[SquareT], square: geometry.Crop, resolution: int) -> SquareT:
        """The one with a given centre, size and angle in the photo."""
        if not square.size >= _MIN_SIDE:
            raise GanEditError(
                "bad_crop", f"The crop is {square.size:g} pixels wide, too small to edit.", "Choose a larger one."
            )
        _check_near(square.cx, square.cy, square.size)
        half = square.size / 2
        cos, sin = direction(square.angle)
        left, top = square.cx - half * cos + half * sin, square.cy - half * sin - half * cos
        return cls(left, top, square.size / resolution, square.angle, resolution)

    @classmethod
    def of_points(cls: type[SquareT], align: geometry.Align, canonical: AlignPoints, resolution: int) -> SquareT:
        """The one in which the photo's two points come to lie on the model's ``canonical`` points (unit square)."""
        _check_near(align.x1, align.y1, align.x2, align.y2)
        (u1, v1), (u2, v2) = canonical
        photo_distance = math.hypot(align.x2 - align.x1, align.y2 - align.y1)
        size = photo_distance / math.hypot(u2 - u1, v2 - v1)
        if not size >= _MIN_SIDE:
            raise GanEditError("bad_crop", "The two alignment points lie too close together.", "Set them apart.")
        turn = math.atan2(align.y2 - align.y1, align.x2 - align.x1) - math.atan2(v2 - v1, u2 - u1)
        cos, sin = math.cos(turn), math.sin(turn)
        left = align.x1 - size * (u1 * cos - v1 * sin)
        top = align.y1 - size * (u1 * sin + v1 * cos)
        return cls(left, top, size / resolution, math.degrees(turn), resolution)

    @classmethod
    def chosen(
        cls: type[SquareT],
        align: geometry.Align | None,
        crop: geometry.Crop | None,
        selected: Box,
        canonical: AlignPoints | None,
        resolution: int,
    ) -> SquareT:
        """By the alignment points, else the given crop, else around what is selected of the photo."""
        if align is not None:
            if canonical is None:
                raise GanEditError(
                    "no_alignment", "This model has no alignment points.", "Give a crop, or select the square to edit."
                )
            return cls.of_points(align, canonical, resolution)
        if crop is not None:
            return cls.of_square(crop, resolution)
        centre_x, centre_y = selected.x + selected.width / 2, selected.y + selected.height / 2
        side = float(max(selected.width, selected.height))
        return cls.of_square(geometry.Crop(centre_x, centre_y, side), resolution)

    def to_photo(self, x: float, y: float) -> tuple[float, float]:
        """The photo point of a point of the square (model pixels)."""
        cos, sin = direction(self.angle)
        return self.left + self.scale * (x * cos - y * sin), self.top + self.scale * (x * sin + y * cos)

    def from_photo(self, x: float, y: float) -> tuple[float, float]:
        """The point of the square (model pixels) of a photo point; the exact inverse of :meth:`to_photo`."""
        cos, sin = direction(self.angle)
        dx, dy = (x - self.left) / self.scale, (y - self.top) / self.scale
        return dx * cos + dy * sin, -dx * sin + dy * cos

    @property
    def size(self) -> float:
        """Side of the square in photo pixels."""
        return self.scale * self.resolution

    @property
    def crop(self) -> geometry.Crop:
        """Its centre, size and angle: the inverse of :meth:`of_square`."""
        half = self.resolution / 2
        return geometry.Crop(*self.to_photo(half, half), self.size, self.angle)

    def footprint(self, height: int, width: int, margin: int = 0) -> Box | None:
        """The smallest box of whole pixels around the square, inside a photo of that size; None when they miss.

        ``margin``: pixels more on each side.
        """
        corners = [self.to_photo(x, y) for x in (0, self.resolution) for y in (0, self.resolution)]
        x0 = max(0, math.floor(min(x for x, _ in corners)) - margin)
        y0 = max(0, math.floor(min(y for _, y in corners)) - margin)
        x1 = min(width, math.ceil(max(x for x, _ in corners)) + margin)
        y1 = min(height, math.ceil(max(y for _, y in corners)) + margin)
        return Box(x0, y0, x1 - x0, y1 - y0) if x1 > x0 and y1 > y0 else None

    def surroundings(self, height: int, width: int, feather: float) -> Box:
        """All of the photo that a job needs whose selection fades over ``feather`` percent of the square.

        Raises GanEditError (outside_crop) when the square misses the photo.
        """
        fading = math.ceil(_CHAMFER * feather / 100 * self.size)
        if self.footprint(height, width) is None:
            raise outside_crop()
        box = self.footprint(height, width, margin=_NEIGHBOURS + fading)
        assert box is not None  # the square without a margin does not miss it
        return box


def _check_near(*pixels: float) -> None:
    if not all(abs(value) <= _FURTHEST for value in pixels):
        raise GanEditError("bad_crop", "The crop or the alignment points lie far outside the photo.", "Correct them.")


def direction(angle: float) -> tuple[float, float]:
    """Cosine and sine of an angle in degrees."""
    return math.cos(math.radians(angle)), math.sin(math.radians(angle))


def nothing_selected() -> GanEditError:
    """The selection is empty."""
    return GanEditError(
        "empty_mask", "Nothing of the layer is selected.", "Select the part to edit, or select nothing at all."
    )


def outside_crop() -> GanEditError:
    """The selection, or the photo, does not touch the square."""
    return GanEditError(
        "outside_crop",
        "What is selected or painted lies outside of the square in which the model looks.",
        "Move the selection or the square.",
    )
