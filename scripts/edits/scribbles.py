"""Scribbles without a photo as a person paints them, on a canvas of 256 pixels: cats that are, and cats that are not.

The model's faces have their eyes at (74, 104) and (187, 104).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edits.painting import Colour, Stroke

SIDE = 256
WHITE, BLACK, DARK = (245, 243, 238), (24, 22, 22), (25, 25, 30)
BLUE, GREEN, YELLOW, AMBER = (70, 140, 225), (110, 165, 65), (225, 190, 40), (215, 155, 50)
ORANGE, CREAM, BROWN, GREY = (225, 130, 55), (225, 205, 180), (60, 42, 35), (125, 130, 140)
PINK, PURPLE, MAGENTA, TEAL, MEADOW = (220, 130, 135), (140, 60, 190), (255, 80, 170), (0, 140, 140), (40, 140, 60)
_CANVAS = 2 * SIDE  # a stroke so wide covers all


@dataclass(frozen=True)
class Scribble:
    """What is painted, later strokes over earlier ones."""

    name: str
    strokes: Sequence[Stroke]


def eyes(left: Colour, right: Colour | None = None, width: float = 23) -> list[Stroke]:
    return [
        Stroke(left, [(61, 104), (86, 107)], width),
        Stroke(right or left, [(174, 106), (200, 103)], width),
    ]


def nose(colour: Colour) -> list[Stroke]:
    return [Stroke(colour, [(129, 160), (132, 161)], 20)]


def zigzag(colour: Colour, place: tuple[float, float, float, float], width: float, lines: int) -> Stroke:
    """From side to side, as one fills a ``place`` (left, top, right, bottom) in a hurry."""
    left, top, right, bottom = place
    points = [(left if n % 2 == 0 else right, top + (bottom - top) * n / lines) for n in range(lines + 1)]
    return Stroke(colour, points, width)


def sides(colour: Colour, width: float = 24) -> list[Stroke]:
    """The background left and right of the face."""
    return [Stroke(colour, [(7, 15), (9, 240)], width), Stroke(colour, [(249, 15), (247, 240)], width)]


SCRIBBLES: tuple[Scribble, ...] = (
    Scribble("two blue eyes", eyes(BLUE)),
    Scribble("black, yellow eyes", [zigzag(BLACK, (38, 77, 218, 192), 31, 6), *eyes(YELLOW)]),
    Scribble(
        "orange, white muzzle, dark background",
        [
            *sides(DARK),
            Stroke(ORANGE, [(90, 38), (128, 77), (166, 38)], 25),
            Stroke(ORANGE, [(38, 141), (64, 166)], 30),
            Stroke(ORANGE, [(205, 166), (225, 133)], 30),
            zigzag(WHITE, (102, 184, 159, 218), 25, 3),
            *eyes(GREEN),
        ],
    ),
    Scribble(
        "a siamese",
        [
            zigzag(CREAM, (51, 38, 205, 77), 26, 3),
            Stroke(CREAM, [(31, 154), (51, 179)], 26),
            Stroke(CREAM, [(205, 179), (230, 154)], 26),
            zigzag(BROWN, (102, 128, 159, 205), 26, 4),
            *eyes(BLUE, width=18),
        ],
    ),
    Scribble(
        "black and white",
        [
            zigzag(BLACK, (31, 38, 102, 154), 26, 4),
            zigzag(BLACK, (159, 38, 230, 154), 26, 4),
            Stroke(WHITE, [(130, 38), (128, 128)], 15),
            zigzag(WHITE, (90, 166, 174, 230), 26, 4),
            *eyes(GREEN, width=18),
        ],
    ),
    Scribble(
        "orange and black halves",
        [
            zigzag(ORANGE, (31, 38, 108, 154), 26, 5),
            zigzag(BLACK, (154, 38, 225, 154), 26, 5),
            zigzag(WHITE, (90, 166, 174, 218), 26, 3),
        ],
    ),
    Scribble(
        "white, eyes of two colours",
        [*sides((60, 90, 200)), zigzag(WHITE, (38, 51, 218, 205), 28, 6), *eyes(BLUE, AMBER)],
    ),
    Scribble(
        "tabby marks",
        [
            *(Stroke(BROWN, [(x, 20), (0.8 * x + 26, 72)], 9) for x in (77, 102, 128, 154, 179)),
            zigzag((150, 115, 80), (38, 141, 90, 192), 20, 3),
            zigzag((150, 115, 80), (179, 141, 230, 192), 20, 3),
            *nose(PINK),
            *eyes(AMBER),
        ],
    ),
    Scribble(
        "grey, before a meadow",
        [*sides(MEADOW), zigzag(GREY, (51, 51, 205, 90), 26, 3), zigzag(GREY, (51, 154, 205, 192), 26, 3)],
    ),
    Scribble("a purple cat", [zigzag(PURPLE, (38, 51, 218, 218), 31, 6), *eyes(MAGENTA)]),
    Scribble(
        "white eyes, black muzzle, red brow",
        [zigzag((150, 60, 30), (51, 38, 205, 77), 26, 3), zigzag(BLACK, (77, 166, 179, 218), 26, 4), *eyes(WHITE)],
    ),
    Scribble("nothing but a background", [*sides(TEAL), Stroke(TEAL, [(26, 8), (230, 8)], 20)]),
    Scribble(
        "a whole painting",
        [
            Stroke((90, 110, 90), [(0, 128), (256, 128)], _CANVAS),
            zigzag((200, 170, 130), (38, 51, 218, 218), 51, 6),
            zigzag((240, 230, 215), (97, 159, 164, 218), 31, 3),
            *eyes((90, 150, 80)),
            *nose(PINK),
        ],
    ),
    Scribble("one red stroke", [Stroke((230, 20, 20), [(51, 51), (205, 205)], 20)]),
)
