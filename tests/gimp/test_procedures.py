"""Every procedure, which layers it takes, and what it says when something is wrong, in a real GIMP 3."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from default_size import SIDE
from gan_edit_engine.cli import install
from gimp.harness import HeadlessGimp

pytestmark = [pytest.mark.gimp, pytest.mark.slow]


@pytest.fixture(scope="module")
def answers(gimp: HeadlessGimp, profile: Path, scratch: Path) -> dict[str, Any]:
    config = profile / "plug-ins" / "gan-edit" / "gan-edit.json"
    found: dict[str, Any] = gimp.run("procedures", str(config), str(scratch))
    return found


def message(answer: Any) -> str:
    """The error text of a call, which must have failed."""
    status, values = answer
    assert status == "execution-error", answer
    return str(values[0])


def test_project_adds_a_masked_layer_and_changes_nothing_outside_the_selection(answers: dict[str, Any]) -> None:
    status, layer, (outside, inside) = answers["project"]
    assert status == "success"
    assert layer["name"] == "GAN Edit: projection (cats256)"
    assert layer["mask"] is not None
    assert outside == 0
    assert inside > 500


def test_a_random_image_fills_the_selections_square(answers: dict[str, Any]) -> None:
    status, layer = answers["random in a selection"]
    assert status == "success"
    assert layer["name"] == "GAN Edit: random (cats256)"
    assert layer["size"] == [40, 40]
    assert layer["offsets"] == [25, 10]
    assert "gan-edit-latent" in layer["parasites"]


def test_the_way_between_the_selected_layers_becomes_an_animation(answers: dict[str, Any]) -> None:
    status, size, names, ends = answers["interpolation"]
    assert status == "success"
    assert size == [SIDE, SIDE]
    assert names == [f"Frame {number} (80ms)" for number in (1, 2, 3, 4)]
    assert ends[0] != ends[1]


def test_the_way_on_the_sphere_ends_in_the_random_layers_and_its_frames_keep_their_latents(
    answers: dict[str, Any],
) -> None:
    status, ends, parasites = answers["interpolation modes"]["spherical"]
    assert status == "success"
    assert max(ends) <= 1
    assert parasites == [["gan-edit-latent"]] * 3
    assert answers["interpolation modes"]["of a frame"] == "success"


@pytest.mark.parametrize("mode", ["crossover", "style"])
def test_a_mode_that_makes_one_image_names_it_after_itself(answers: dict[str, Any], mode: str) -> None:
    status, (layer,) = answers["interpolation modes"][mode]
    assert status == "success"
    assert layer["name"] == f"GAN Edit: {mode} (cats256)"


def test_interpolation_says_which_layers_a_mode_needs(answers: dict[str, Any]) -> None:
    modes = answers["interpolation modes"]
    assert "transfer needs 3 latents, 2 came" in message(modes["too few"])
    assert "crossover takes 2 latents, 3 came" in message(modes["too many"])
    assert "goes through z" in message(modes["without z"])
    assert modes["transfer"] == "success"


def test_a_projection_and_an_edit_start_from_the_latent_and_noise_of_a_chosen_layer(answers: dict[str, Any]) -> None:
    starts = answers["starts"]
    latents = [np.frombuffer(base64.b64decode(starts[name]["data"]), "<f4") for name in ("first", "further", "edit")]
    assert np.array_equal(latents[0], latents[2])
    assert 0 < np.abs(latents[0] - latents[1]).max() < 0.001
    assert starts["first"]["noise_data"] == starts["further"]["noise_data"] == starts["edit"]["noise_data"]
    residuals = [starts[name]["residual_data"] for name in ("first", "further", "edit")]
    assert np.frombuffer(base64.b64decode(residuals[0]), "<f2").any()
    assert residuals[0] == residuals[1] == residuals[2]


def test_a_layer_without_a_latent_or_of_another_model_is_no_start(answers: dict[str, Any]) -> None:
    assert "No latent is kept with the layer “photo”." in message(answers["starts"]["nothing kept"])
    assert "made with the model cats256, not dogs" in message(answers["starts"]["other model"])


def test_interpolation_without_two_latents_says_what_it_needs(answers: dict[str, Any]) -> None:
    assert "needs two layers made by GAN Edit, and there are 0" in message(answers["interpolation of one"])


def test_a_random_image_without_a_selection_lies_in_the_middle_at_its_own_size(answers: dict[str, Any]) -> None:
    status, layer = answers["random without a selection"]
    assert status == "success"
    assert (layer["size"], layer["offsets"]) == ([SIDE, SIDE], [(96 - SIDE) // 2, (80 - SIDE) // 2])
    assert layer["type"] == "indexeda-image"


def test_a_random_image_without_an_open_image_makes_one_and_the_seed_decides(answers: dict[str, Any]) -> None:
    status, layer, size, digests = answers["random without an image"]
    assert status == "success"
    assert layer["size"] == size == [SIDE, SIDE]
    assert digests[0] == digests[1] != digests[2]


def test_the_status_names_version_worker_device_and_models(answers: dict[str, Any]) -> None:
    status, (running, version, worker, device, models, jobs) = answers["status"]
    assert (status, running, jobs) == ("success", True, 0)
    assert version
    assert worker == "idle"
    assert device
    assert models.splitlines()[0] == "default"


def test_the_status_without_an_engine_says_so(answers: dict[str, Any]) -> None:
    assert answers["no engine"][0] == "success"
    assert answers["no engine"][1][0] is False


def test_the_scribble_is_found_by_name_by_argument_or_on_top(answers: dict[str, Any]) -> None:
    found = answers["layers"]
    assert {status for status, _, _ in found.values()} == {"success"}
    assert len({digest for _, digest, _ in found.values()}) == 1


def test_with_the_scribble_selected_the_photo_is_the_layer_below(answers: dict[str, Any]) -> None:
    assert answers["layers"]["scribble selected"][2] == ["scribble"]


def test_the_path_named_align_decides_where_the_model_looks_in_either_direction(answers: dict[str, Any]) -> None:
    without, there, back = answers["align"]
    assert there == back != without


def test_without_zmq_the_same_edit_runs_through_the_relay(answers: dict[str, Any]) -> None:
    (status, (running, *_)), edit_status, digest = answers["without zmq"]
    assert (status, running, edit_status) == ("success", True, "success")
    assert digest == answers["layers"]["named"][1]


@pytest.mark.parametrize(
    ("name", "sentence", "advice"),
    [
        ("two layers", "GAN Edit works on one layer, but 2 are selected.", "Select the photo's layer."),
        ("a group", "A layer group is selected", "Select the photo's layer"),
        ("unknown model", "no-such-model", ""),
        ("three anchors", "The path “align” has 3 anchors instead of two.", "Set one anchor"),
        ("nothing painted there", "Nothing is painted on the layer “scribble”", "Paint the wanted colours"),
        ("selection beside the layer", "The selection does not touch the layer “photo”.", "Select a region"),
        ("no scribble layer", "There is no scribble layer.", "Make a transparent layer named “scribble”"),
    ],
)
def test_a_mistake_is_answered_with_a_sentence_and_advice(
    answers: dict[str, Any], name: str, sentence: str, advice: str
) -> None:
    text = message(answers["errors"][name])
    assert sentence in text
    assert advice in text
    assert "Traceback" not in text


def test_a_failed_call_adds_no_layer(answers: dict[str, Any]) -> None:
    assert answers["errors"]["layers afterwards"] == ["scribble", "photo"]


def test_an_engine_program_that_is_not_there_is_named(answers: dict[str, Any]) -> None:
    text = message(answers["no program"])
    assert "/no/gan-edit" in text or "did not start" in text
    assert "Traceback" not in text


def test_an_engine_that_ends_at_once_is_reported_with_its_log(answers: dict[str, Any]) -> None:
    text = message(answers["program fails"])
    assert "The GAN Edit engine did not start" in text
    assert "b.log" in text


def test_a_missing_config_file_says_to_install_again(answers: dict[str, Any]) -> None:
    assert "Run gan-edit install-plugin again." in message(answers["no config"])


def test_an_incomplete_plug_in_is_in_the_menu_all_the_same_and_says_what_to_do(
    gimp: HeadlessGimp, tmp_path: Path
) -> None:
    install.install([tmp_path / "profile"])
    shutil.rmtree(tmp_path / "profile" / "plug-ins" / "gan-edit" / "gan_edit_protocol")
    found = HeadlessGimp(gimp.launcher, tmp_path / "profile", tmp_path).run("incomplete")
    assert found["menus"] == [["<Image>/Filters/GAN Edit"]] * 5
    for answer in found["answers"]:
        assert "Run gan-edit install-plugin again" in message(answer)


def test_an_engine_killed_during_an_edit_leaves_the_image_as_it_was_and_the_next_edit_works(
    answers: dict[str, Any],
) -> None:
    killed = answers["killed engine"]
    assert "engine" in message(killed["failed"])
    assert killed["untouched"]
    assert killed["again"] == "success"


def test_the_engine_drops_the_job_of_a_killed_plug_in_and_the_next_edit_works(answers: dict[str, Any]) -> None:
    killed = answers["killed plug-in"]
    assert killed["status"] != "success"
    assert killed["seconds"] < 30  # its 20,000 steps take an hour
    assert killed["layers"] == 2
    assert killed["again"] == "success"
