"""What is seen of photo and scribble counts, not what is stored of them. In a real GIMP 3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gimp.harness import HeadlessGimp

pytestmark = [pytest.mark.gimp, pytest.mark.slow]

LAST_PLACES = 2.0**-19
"""Relative to white: what float32 loses when linear light becomes gamma-encoded for the engine, and back."""
BLUE = [30, 60, 220]


@pytest.fixture(scope="module")
def answers(gimp: HeadlessGimp, profile: Path) -> dict[str, Any]:
    found: dict[str, Any] = gimp.run("looks", str(profile / "plug-ins" / "gan-edit"))
    return found


def test_the_photos_own_look_put_over_it_changes_nothing_wherever_it_lies(answers: dict[str, Any]) -> None:
    assert len(answers["places"]) > 70
    assert {name: move for name, (move, _) in answers["places"].items() if move} == {}


@pytest.mark.parametrize("precision", ["U8_LINEAR", "U16_NON_LINEAR", "FLOAT_NON_LINEAR"])
def test_nor_does_it_at_other_depths(answers: dict[str, Any], precision: str) -> None:
    """Babl takes whichever of its conversions it has measured to be fast, and they differ in the last of 16 bits."""
    moved = {look: move for look, (move, _) in answers["precisions"][precision].items()}
    allowed = 1.01 / 65535 if precision == "U16_NON_LINEAR" else 0.0
    assert {look: move for look, move in moved.items() if move > allowed} == {}


def test_linear_light_in_floating_point_moves_in_its_last_places_only(answers: dict[str, Any]) -> None:
    assert max(move for move, _ in answers["precisions"]["FLOAT_LINEAR"].values()) < LAST_PLACES


def test_no_copy_of_the_image_is_left_behind(answers: dict[str, Any]) -> None:
    assert {images for _, images in answers["places"].values()} == {1}


@pytest.mark.parametrize("look", ["filter", "layer mask", "half opacity", "Multiply"])
def test_an_edit_of_strength_0_changes_nothing_on_the_screen_and_in_an_export(
    answers: dict[str, Any], look: str
) -> None:
    assert answers["edits"][look] == ["success", True]


def test_the_photo_of_an_edit_of_a_result_is_seen_through_the_results_layer_mask(answers: dict[str, Any]) -> None:
    assert answers["result"]


@pytest.mark.parametrize(
    ("look", "paint"),
    [
        ("as stored", [*BLUE, 255]),
        ("hidden", [*BLUE, 255]),
        ("half opacity", [*BLUE, 128]),
        ("slanted mask", [*BLUE, 126]),
        ("filter", [225, 195, 35, 255]),
        ("old Multiply", [*BLUE, 255]),
        ("clipped", [*BLUE, 255]),
    ],
)
def test_a_scribble_counts_as_it_is_seen(answers: dict[str, Any], look: str, paint: list[int]) -> None:
    painted, beside, *_ = answers["scribbles"][look]
    assert painted == paint
    assert beside[3] == 0


def test_a_scribble_has_the_colours_that_its_mode_gives_it_on_the_photo(answers: dict[str, Any]) -> None:
    painted, beside, painted_seen, _ = answers["scribbles"]["Multiply"]
    assert painted == painted_seen != [*BLUE, 255]
    assert beside[3] == 0


def test_a_scribble_in_a_faint_group_is_faint(answers: dict[str, Any]) -> None:
    assert answers["scribble in a faint group"][0] == [*BLUE, 128]


def test_a_scribble_that_is_not_seen_is_nothing_painted(answers: dict[str, Any]) -> None:
    for status, (text, *_) in answers["unseen scribbles"]:
        assert status == "execution-error"
        assert text.startswith("Nothing is painted on the layer “scribble”")
