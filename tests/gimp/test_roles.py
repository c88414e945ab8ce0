"""Which layer is taken for the photo and which for the scribble, and what is refused. In a real GIMP 3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gimp.harness import HeadlessGimp

pytestmark = [pytest.mark.gimp, pytest.mark.slow]

NO_SCRIBBLE = "There is no scribble layer. Make a transparent layer named “scribble” above the photo"
HIDDEN = "The photo's layer “2” is hidden. Show it, or select"
NO_PHOTO = "The scribble layer is selected and no photo lies below it."


@pytest.fixture(scope="module")
def answers(gimp: HeadlessGimp, profile: Path) -> dict[str, Any]:
    found: dict[str, Any] = gimp.run("roles", str(profile / "plug-ins" / "gan-edit"))
    return found


@pytest.mark.parametrize(
    ("stack", "photo", "scribble"),
    [
        ("painting leaves it selected", "2", "1"),
        ("a result lies between", "3", "1"),
        ("a draft lies between", "3", "1"),
        ("a named scribble lies between", "3", "1"),
        ("a named scribble lies above", "2", "scribble"),
        ("a hidden named scribble lies above", "3", "2"),
        ("a cut-out with its scribble", "2", "scribble"),
        ("a cut-out that was edited", "3", "scribble"),
        ("the photo is selected", "2", "1"),
        ("several are painted", "3", "1"),
        ("the photo lies above a photo", "2", "1"),
        ("the named one is selected", "2", "scribble"),
    ],
)
def test_photo_and_scribble_are_found_and_the_same_photo_is_projected(
    answers: dict[str, Any], stack: str, photo: str, scribble: str
) -> None:
    assert answers["scenes"][stack] == [photo, scribble]
    assert answers["projected"][stack] == photo


@pytest.mark.parametrize(
    ("stack", "sentence"),
    [
        ("paint above paint", NO_SCRIBBLE),
        ("nothing is painted", NO_SCRIBBLE),
        ("one layer", NO_SCRIBBLE),
        ("nothing below", NO_PHOTO),
        ("the photo is hidden", HIDDEN),
        ("the photo below is hidden", HIDDEN),
    ],
)
def test_what_is_missing_is_named(answers: dict[str, Any], stack: str, sentence: str) -> None:
    assert answers["scenes"][stack].startswith(sentence)


def test_an_alpha_channel_that_is_opaque_makes_no_layer_transparent(answers: dict[str, Any]) -> None:
    assert answers["alpha that is not used"] == ["2", "1"]


def test_a_painted_layer_in_a_group_finds_the_photo_below_the_group(answers: dict[str, Any]) -> None:
    assert answers["in a group"] == ["2", "1"]


def test_where_no_scribble_is_found_a_person_may_choose_any_layer_that_leaves_a_photo(answers: dict[str, Any]) -> None:
    assert answers["choices"] == [["2", "1"], ["1", "2"]]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("hidden group", "The photo's layer “photo” is hidden with its group “group”."),
        ("scribble of another image", "The layer “stranger” belongs to another image, “[Untitled]”."),
        ("start layer of another image", "The layer “stranger” belongs to another image, “[Untitled]”."),
        ("layers of another image", "The layer “stranger” belongs to another image, “[Untitled]”."),
    ],
)
def test_what_cannot_be_edited_is_refused_by_name(answers: dict[str, Any], name: str, sentence: str) -> None:
    status, (text, *_) = answers[name]
    assert status == "execution-error"
    assert text.startswith(sentence)


def test_a_floating_selection_is_named_as_such(answers: dict[str, Any]) -> None:
    for status, (text, *_) in answers["floating"]:
        assert status == "execution-error"
        assert text.startswith("There is a floating selection")
