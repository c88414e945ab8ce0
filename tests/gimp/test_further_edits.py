"""Edits of a photo that has been edited before: they are seen, and they are of the photo. In a real GIMP 3."""

from __future__ import annotations

from typing import Any

import pytest

from gimp.harness import HeadlessGimp

pytestmark = [pytest.mark.gimp, pytest.mark.slow]

FIRST, SECOND, THIRD = (f"GAN Edit{number}: scribble (cats256)" for number in ("", " 2", " 3"))


@pytest.fixture(scope="module")
def answers(gimp: HeadlessGimp, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    found: dict[str, Any] = gimp.run("further_edits", str(tmp_path_factory.mktemp("further")))
    return found


def test_a_second_edit_lies_above_the_first_and_is_seen(answers: dict[str, Any]) -> None:
    answer = answers["photo selected"]
    assert answer["names"] == ["scribble", SECOND, FIRST, "photo"]
    assert answer["seen_anew"]


@pytest.mark.parametrize("name", ["scribble selected", "scribble selected in a group"])
def test_with_the_scribble_selected_a_second_edit_is_of_the_photo_too(answers: dict[str, Any], name: str) -> None:
    assert answers[name]["names"] == ["scribble", SECOND, FIRST, "photo"]
    assert answers[name]["photo"] == "photo"
    assert answers[name]["digest"] == answers["photo selected"]["digest"]


def test_a_result_above_the_scribble_is_not_taken_for_it_and_lies_under_the_next(answers: dict[str, Any]) -> None:
    answer = answers["scribble under the result"]
    assert answer["names"] == [SECOND, FIRST, "colours", "photo"]
    assert answer["digest"] == answers["photo selected"]["digest"]


def test_a_selected_result_is_the_photo_and_its_edit_lies_above_all(answers: dict[str, Any]) -> None:
    answer = answers["result selected"]
    assert answer["names"] == ["scribble", THIRD, SECOND, FIRST, "photo"]
    assert answer["photo"] == FIRST
    assert answers["mask of the result selected"] == answer


def test_results_that_do_not_tell_their_photo_count_as_the_photos_above_which_they_lie(answers: dict[str, Any]) -> None:
    by_scribble, by_photo = answers["copied image"]
    assert by_scribble["names"] == ["scribble", SECOND, FIRST, "photo"]
    assert by_scribble["photo"] == "photo"
    assert by_photo["names"] == ["scribble", THIRD, SECOND, FIRST, "photo"]
    earlier, damaged = answers["result without an entry"]
    assert (earlier["names"], earlier["photo"]) == (["scribble", SECOND, FIRST, "photo"], "photo")
    assert damaged["names"] == ["scribble", THIRD, SECOND, FIRST, "photo"]


def test_an_edit_lies_above_a_group_of_earlier_ones(answers: dict[str, Any]) -> None:
    assert answers["results in a group"]["names"] == ["scribble", SECOND, "edits", "photo"]


def test_an_edit_of_the_photos_copy_lies_above_results_that_lie_over_both(answers: dict[str, Any]) -> None:
    assert answers["copy of the photo"]["names"] == ["scribble", SECOND, FIRST, "photo copy", "photo"]


def test_an_edit_stays_under_another_photo_and_that_ones_results(answers: dict[str, Any]) -> None:
    expected = ["scribble", SECOND, "upper photo", THIRD, FIRST, "photo"]
    assert answers["two photos"]["names"] == expected


def test_the_photo_of_a_result_below_the_scribble_is_known_in_a_saved_image(answers: dict[str, Any]) -> None:
    assert answers["retouched"]["photo"] == "photo"
    assert answers["retouched"]["names"] == ["scribble", SECOND, FIRST, "retouched", "photo"]


def test_a_random_image_is_a_photo_and_no_scribble(answers: dict[str, Any]) -> None:
    random = "GAN Edit: random (cats256)"
    below, on_it, again = answers["random image"]
    assert (below["photo"], below["hidden"]) == ("photo", ["colours"])
    assert (on_it["photo"], again["photo"]) == (random, random)
    fourth = "GAN Edit 4: scribble (cats256)"
    assert again["names"] == ["scribble", fourth, THIRD, random, SECOND, "photo"]


def test_without_the_photo_the_scribbles_results_are_not_taken_for_it(answers: dict[str, Any]) -> None:
    status, (text, *_) = answers["nothing but results"]
    assert status == "execution-error"
    assert "no photo lies below it. Select the layer to edit." in text


def test_projections_and_edits_are_results_alike_and_numbered_through(answers: dict[str, Any]) -> None:
    projection = "GAN Edit 2: projection (cats256)"
    assert answers["projections"]["names"] == ["scribble", THIRD, projection, FIRST, "photo"]
