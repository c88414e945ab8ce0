"""Images from a scribble without a photo, in a real GIMP 3."""

from __future__ import annotations

from typing import Any

import pytest

from gimp.harness import HeadlessGimp

pytestmark = [pytest.mark.gimp, pytest.mark.slow]

BEST, NEXT = "GAN Edit: imagined (cats256)", "GAN Edit 2: imagined (cats256)"


@pytest.fixture(scope="module")
def answers(gimp: HeadlessGimp) -> dict[str, Any]:
    found: dict[str, Any] = gimp.run("imagine")
    return found


@pytest.mark.parametrize("name", ["canvas", "canvas selected", "gray"])
def test_the_candidates_lie_in_the_canvas_square_and_the_best_is_seen(answers: dict[str, Any], name: str) -> None:
    answer = answers[name]
    assert answer["status"] == "success"
    assert answer["names"] == [BEST, NEXT, "scribble", "canvas"]
    assert answer["hidden"] == [NEXT]
    assert (answer["layer"]["size"], answer["layer"]["offsets"]) == ([120, 120], [40, 0])
    assert answer["layer"]["parasites"] == ["gan-edit-latent"]
    assert answer["shows"]
    assert answer["differ"]
    assert answer["untouched"]


def test_the_scribble_stays_selected_to_be_painted_on(answers: dict[str, Any]) -> None:
    assert answers["canvas"]["selected"] == ["scribble"]


def test_in_a_selection_they_lie_in_its_square(answers: dict[str, Any]) -> None:
    answer = answers["selection"]
    assert answer["status"] == "success"
    assert (answer["layer"]["size"], answer["layer"]["offsets"]) == ([60, 60], [70, 30])


def test_with_a_result_selected_the_same_scribble_is_followed_again(answers: dict[str, Any]) -> None:
    answer = answers["again"]
    assert answer["same"]
    assert answer["other"]
    assert answer["layer"]["name"] == "GAN Edit 3: imagined (cats256)"


def test_an_imagined_layer_is_edited_on_like_a_photo(answers: dict[str, Any]) -> None:
    assert answers["edited further"] == ["success", "GAN Edit 3: scribble (cats256)"]


def test_nothing_painted_is_said_and_nothing_is_added(answers: dict[str, Any]) -> None:
    status, text = answers["errors"]["nothing painted"]
    assert status == "execution-error"
    assert "Nothing is painted on the layer “scribble” in the square of the selection" in text
    assert answers["errors"]["a group"] == [
        "execution-error",
        "The scribble is a layer group. Choose the layer with the painted colours.",
    ]
    assert answers["errors"]["names afterwards"] == ["group", "scribble", "canvas"]
