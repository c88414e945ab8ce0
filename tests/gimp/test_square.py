"""The square where the model looks: found by itself, and chosen and changed by a person, in a real GIMP 3."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from chelsea import chelsea_turned
from gan_edit_engine.imaging.square import Square
from gan_edit_protocol.geometry import Align
from gimp.desktop import Desktop
from gimp.harness import SCREENSHOTS, HeadlessGimp
from gimp.squares import chosen_square

pytestmark = [pytest.mark.gimp, pytest.mark.slow]

ANGLES = (0, 135)
CANONICAL = ((0.29, 0.405), (0.73, 0.405))
"""Of the model that comes with the program."""
OPEN = """
import found, scenes
from gi.repository import Gimp
image = found.open_photo({path!r})
scenes.select(image, box={box!r})
Gimp.Display.new(image)
answer = None
"""
CROP = "answer = found.crop_of(image.get_layers()[0])"


class TwoCats:
    """A photo of one cat twice, upright on the left and turned on the right; ``squares``: where a model should look."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "cats.png"
        cats = [chelsea_turned(angle) for angle in ANGLES]
        height, lefts = max(len(cat) for cat, _ in cats), (0, cats[0][0].shape[1])
        photo = np.full((height, sum(cat.shape[1] for cat, _ in cats), 3), 128, np.uint8)
        self.eyes: list[NDArray[np.float64]] = []
        for (cat, placed), left in zip(cats, lefts, strict=True):
            photo[: len(cat), left : left + cat.shape[1]] = cat
            self.eyes.append(placed.points + (left, 0))
        self.squares = [Square.of_points(Align(*eyes.flatten()), CANONICAL, 1) for eyes in self.eyes]
        Image.fromarray(photo).save(self.path)

    def around_an_eye(self, number: int, half: int = 14) -> tuple[int, int, int, int]:
        """x, y, width, height."""
        x, y = (round(value) for value in self.eyes[number][0])
        return x - half, y - half, 2 * half, 2 * half

    def most_of_the_right_one(self) -> tuple[int, int, int, int]:
        """And something of the left one."""
        with Image.open(self.path) as photo:
            width, height = photo.size
        return 280, 0, width - 280, height

    def is_of(self, number: int, crop: dict[str, float]) -> bool:
        """Whether a square is that of a cat, near enough."""
        square = self.squares[number]
        x, y = square.to_photo(0.5, 0.5)
        turn = (crop["angle"] - square.angle + 180) % 360 - 180
        near = math.dist((x, y), (crop["cx"], crop["cy"])) < 0.1 * square.size
        return near and abs(turn) < 10 and abs(math.log(crop["size"] / square.size)) < 0.15


@pytest.fixture
def cats(tmp_path: Path) -> TwoCats:
    return TwoCats(tmp_path)


def test_the_model_looks_at_the_face_that_is_selected_or_painted_on_and_again_where_it_looked_before(
    gimp: HeadlessGimp, cats: TwoCats
) -> None:
    projected, edited, again = gimp.run("found", str(cats.path), cats.around_an_eye(1), cats.around_an_eye(0, 5))
    assert cats.is_of(1, projected)
    assert cats.is_of(0, edited)
    assert again == projected


def test_the_square_is_chosen_by_a_click_and_dragged(desktop: Desktop, cats: TwoCats, tmp_path: Path) -> None:
    desktop.evaluate(OPEN.format(path=str(cats.path), box=cats.most_of_the_right_one()))
    desktop.open_dialog("p", "Project Photo")
    found = chosen_square(desktop, SCREENSHOTS / "square_found.png")
    # The left cat's place in the dialog by what is seen of the right one's.
    scale = extent(found) / extent(np.array([cats.squares[1].to_photo(x, y) for x in (0, 1) for y in (0, 1)]))
    centres = [np.array(square.to_photo(0.5, 0.5)) for square in cats.squares]
    left = middle(found) + (centres[0] - centres[1]) * scale
    point_at(desktop, left)
    desktop.xdotool("click", "1")
    chosen = middle(chosen_square(desktop, SCREENSHOTS / "square_chosen.png"))
    assert math.dist(chosen, left) < 0.2 * scale * cats.squares[0].size
    desktop.xdotool("mousedown", "1")
    point_at(desktop, left + (20, 10))
    desktop.xdotool("mouseup", "1")
    point_at(desktop, left + (40, 60))
    moved = middle(chosen_square(desktop, SCREENSHOTS / "square_moved.png"))
    assert math.dist(moved, chosen + (20, 10)) < 3
    desktop.choose_draft()
    desktop.keys("alt+o")
    desktop.wait_for_layers(2, "the projection")
    crop: Any = desktop.evaluate(CROP)
    assert cats.is_of(0, {**crop, "cx": crop["cx"] - 20 / scale, "cy": crop["cy"] - 10 / scale})


def extent(places: NDArray[Any]) -> float:
    """How far points lie apart, across."""
    return float(places[:, 0].max() - places[:, 0].min())


def middle(places: NDArray[Any]) -> NDArray[np.float64]:
    """Of the box around points."""
    return (places.min(axis=0) + places.max(axis=0)) / 2


def point_at(desktop: Desktop, place: NDArray[np.float64]) -> None:
    desktop.xdotool("mousemove", *(str(round(value)) for value in place))
