"""Latents with what belongs to them: what earlier versions sent and kept is read, and still written as it was."""

from __future__ import annotations

import base64
import dataclasses
import json
import math
from typing import Any

import pytest
from hypothesis import given

from gan_edit_protocol import wire
from gan_edit_protocol.arrays import stacked
from gan_edit_protocol.entries import carried_bytes
from gan_edit_protocol.errors import GanEditError, WireError
from gan_edit_protocol.latent import Latent
from gan_edit_protocol.requests import REQUEST_TYPES, InterpolateRequest
from gan_edit_protocol.settings import InterpolateSettings
from protocol.stored import DATA, MESSAGES, START, STORED, counted
from protocol.strategies import latents

JOB = "0123456789abcdef0123456789abcdef"
FRAMES = json.loads((DATA / "frames.json").read_text())
PARASITES = json.loads((DATA / "parasites.json").read_text())
KEPT = {
    "edit": Latent(STORED.ws, STORED.noise, STORED.residual, model="cats128"),
    "start of an edit": Latent(START, STORED.noise, STORED.residual, model="cats128"),
    "random image": Latent(STORED.ws, z=STORED.z, truncation_psi=0.7, model="/models/cats.pkl"),
    "second frame": Latent(counted("float32", 2, 3, first=6), model="cats128"),
    "of the first version": Latent(STORED.ws, model="cats128"),
}


def frames_of(name: str) -> list[bytes]:
    header, *arrays = FRAMES[name]
    return [header.encode(), *map(base64.b64decode, arrays)]


# --- on the wire -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FRAMES)
def test_a_message_is_read_as_it_was_sent_before(name: str) -> None:
    message = MESSAGES[name]
    decode = wire.decode_request if isinstance(message, REQUEST_TYPES) else wire.decode_event
    assert decode(frames_of(name)) == (JOB, message)


@pytest.mark.parametrize("name", FRAMES)
def test_a_message_has_the_frames_that_it_had_before(name: str) -> None:
    header, *arrays = wire.encode(JOB, MESSAGES[name])
    stored_header, *stored_arrays = frames_of(name)
    assert arrays == stored_arrays
    written, stored = json.loads(header), json.loads(stored_header)
    written["body"].pop("previews", None)  # which came later, and without which there are none
    if "settings" in stored["body"]:  # there may be more of them by now, and what was stored takes their defaults
        kept = stored["body"]["settings"]
        written["body"]["settings"] = {key: value for key, value in written["body"]["settings"].items() if key in kept}
    assert json.dumps(written).encode() == stored_header


def test_the_bytes_of_a_message_are_those_of_all_its_arrays() -> None:
    for name, message in MESSAGES.items():
        assert carried_bytes(message) == sum(len(frame) for frame in frames_of(name)[1:])


def test_what_is_missing_of_a_latent_in_a_result_is_refused() -> None:
    header, *arrays = frames_of("random result")
    values = json.loads(header)
    left = [entry for entry in values["arrays"] if entry[0] != "latent"]
    with pytest.raises(WireError, match="without one: z, truncation_psi"):
        wire.decode_event([json.dumps({**values, "arrays": left}).encode(), arrays[0], arrays[2]])


def test_the_start_of_a_result_has_its_noise_and_residual() -> None:
    result = MESSAGES["result of an edit"]
    assert result.start == KEPT["start of an edit"]
    assert MESSAGES["result of a projection"].start is None
    assert dataclasses.replace(result, model="dogs").latent.model == "dogs"


# --- kept --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PARASITES)
def test_what_was_kept_with_a_layer_before_is_read(name: str) -> None:
    assert Latent.from_json(json.loads(PARASITES[name])) == KEPT[name]


@pytest.mark.parametrize("name", [name for name in PARASITES if name != "of the first version"])
def test_a_latent_is_kept_with_a_layer_as_before(name: str) -> None:
    stored = json.loads(PARASITES[name])
    about = {key: stored.pop(key) for key in ("kind", "photo_tattoo", "photo_name", "seed", "settings")}
    assert set(about) == {"kind", "photo_tattoo", "photo_name", "seed", "settings"}
    assert KEPT[name].to_json() == stored


@given(latents)
def test_a_latent_comes_back_whole_from_where_it_was_kept(latent: Latent) -> None:
    assert Latent.from_json(json.loads(json.dumps(latent.to_json()))) == latent
    assert Latent.from_file(*latent.to_file()) == latent


@pytest.mark.parametrize(
    "changes",
    [
        {"dtype": "uint8"},
        {"dtype": None},
        {"shape": [6]},
        {"shape": [2, 4]},
        {"shape": ["2", "3"]},
        {"shape": None},
        {"data": "no base64"},
        {"noise_shape": [4]},
        {"noise_data": ""},
        {"residual_shape": [2, 4]},
        {"z_shape": [1, 5], "z_data": base64.b64encode(bytes(20)).decode()},
        {"truncation_psi": "much"},
        {"truncation_psi": math.nan},
        {"truncation_psi": 1e300},
    ],
)
def test_a_damaged_latent_is_told_apart(changes: dict[str, Any]) -> None:
    values = json.loads(PARASITES["edit"])
    with pytest.raises(ValueError):
        Latent.from_json({**values, **changes})
    for name in ("dtype", "shape", "data", "model"):
        with pytest.raises(ValueError):
            Latent.from_json({key: value for key, value in values.items() if key != name})


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"ws": counted("uint8", 2, 3)}, "latent must be float32"),
        ({"ws": counted("float32", 6)}, "latent must be float32"),
        ({"noise": counted("uint8", 2, 3)}, "Noise maps must be float32"),
        ({"noise": counted("float32", 2)}, "Noise maps must be float32"),
        ({"residual": counted("float32", 2, 2, 2)}, "residual must be uint16"),
        ({"residual": counted("uint16", 6, 3)}, "residual must be uint16"),
        ({"z": counted("float32", 1, 5)}, "z must be float32"),
        ({"truncation_psi": math.inf}, "truncation must be a number"),
    ],
)
def test_a_latent_of_another_form_is_none(parts: dict[str, Any], sentence: str) -> None:
    with pytest.raises(WireError, match=sentence):
        Latent(**{"ws": STORED.ws, **parts})


# --- several -----------------------------------------------------------------------------------------------------


def test_the_way_on_the_sphere_goes_through_z_where_all_have_one_and_everything_else_through_w_plus() -> None:
    both = [STORED, dataclasses.replace(STORED, ws=START, truncation_psi=0.5)]
    spherical, linear = InterpolateSettings(mode="spherical"), InterpolateSettings()
    in_z = InterpolateRequest.between(both, "cats128", spherical)
    assert in_z.latents == stacked([STORED.z, STORED.z])
    assert in_z.truncations is not None
    assert memoryview(in_z.truncations.data).cast("f").tolist() == pytest.approx([0.7, 0.5])
    for others, settings in ((both, linear), ([STORED, Latent(START)], spherical)):
        in_w_plus = InterpolateRequest.between(others, "cats128", settings)
        assert in_w_plus.latents == stacked([STORED.ws, START])
        assert in_w_plus.truncations is None
        assert (in_w_plus.model, in_w_plus.settings) == ("cats128", settings)


def test_latents_of_different_shapes_make_no_way() -> None:
    for others in ([STORED, Latent(counted("float32", 3, 3))], []):
        with pytest.raises(GanEditError, match="not all of one shape"):
            InterpolateRequest.between(others, "cats128", InterpolateSettings())


def test_an_array_of_several_comes_apart_and_together() -> None:
    several = counted("uint16", 3, 2, 2)
    assert several.parts()[2] == counted("uint16", 2, 2, first=8)
    assert stacked(several.parts()) == several
