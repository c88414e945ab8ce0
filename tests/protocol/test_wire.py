"""Encoding and decoding: everything that is right survives the way, everything else is refused by a named error."""

from __future__ import annotations

import dataclasses
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan_edit_protocol import PROTOCOL_VERSION, wire
from gan_edit_protocol.arrays import MAX_ARRAY_BYTES, Array
from gan_edit_protocol.errors import MAX_TEXT, GanEditError, SettingError, WireError
from gan_edit_protocol.events import EngineStatus, Failed, WorkerStatus
from gan_edit_protocol.latent import Latent
from gan_edit_protocol.requests import (
    CancelRequest,
    EditRequest,
    ImagineRequest,
    InterpolateRequest,
    ProjectRequest,
    RandomRequest,
    ShutdownRequest,
    StatusRequest,
)
from gan_edit_protocol.spec import MAX_TEXT_SETTING
from gan_edit_protocol.wire import MAX_NAME
from protocol.strategies import events, garbage_frames, job_names, json_values, requests

JOB = "0123456789abcdef0123456789abcdef"
PHOTO = Array("uint8", (2, 3, 3), bytes(18))
ARRAYS = {
    "latent": Array("float32", (2, 3), bytes(24)),
    "noise": Array("float32", (1, 4), bytes(16)),
    "residual": Array("uint16", (2, 3, 3), bytes(36)),
    "z": Array("float32", (4,), bytes(16)),
}


def header_of(message: Any) -> dict[str, Any]:
    return json.loads(wire.encode(JOB, message)[0])


def frames_with(message: Any, **changes: Any) -> list[bytes]:
    """The frames of ``message`` with entries of its header replaced."""
    frames = wire.encode(JOB, message)
    return [json.dumps({**json.loads(frames[0]), **changes}).encode(), *frames[1:]]


def refusal_of(frames: list[bytes]) -> GanEditError | None:
    """The error that a message is refused with, None when it is accepted; any other exception fails the test."""
    try:
        wire.decode_request(frames)
    except GanEditError as error:
        return error
    return None


# --- what is right ------------------------------------------------------------------------------------------------


@given(job_names, requests)
def test_every_request_survives_the_way_unchanged(job: str, request: Any) -> None:
    assert wire.decode_request(wire.encode(job, request)) == (job, request)


@given(job_names, events)
def test_every_event_survives_the_way_unchanged(job: str, event: Any) -> None:
    assert wire.decode_event(wire.encode(job, event)) == (job, event)


def test_absent_entries_take_their_defaults() -> None:
    assert wire.decode_request(
        frames_with(
            RandomRequest(
                "cats",
            ),
            body={},
        )
    ) == (JOB, RandomRequest())


def test_a_whole_number_is_accepted_where_a_number_is_wanted() -> None:
    body = {"settings": {"truncation_psi": 1}}
    assert wire.decode_request(frames_with(RandomRequest(), body=body))[1].settings.truncation_psi == 1.0


def test_the_header_is_what_the_specification_says() -> None:
    assert header_of(ProjectRequest(PHOTO, model="cats")) | {"body": None} == {
        "version": PROTOCOL_VERSION,
        "job": JOB,
        "type": "ProjectRequest",
        "body": None,
        "arrays": [["photo", "uint8", [2, 3, 3]]],
    }


@given(requests, st.integers(1, 7))
def test_arrays_that_are_longer_than_a_frame_travel_in_several(request: Any, length: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire, "FRAME_BYTES", length)
        patch.setattr(wire, "MAX_FRAMES", 10_000)
        frames = wire.encode(JOB, request)
        assert all(len(frame) <= length for frame in frames[1:])
        assert wire.decode_request(frames) == (JOB, request)
        if len(frames) > 1:
            assert refusal_of(frames[:-1]) is not None
            assert refusal_of([*frames, frames[-1]]) is not None


def lengthened(message: Any, text: str) -> Any:
    """``message`` with ``text`` in the place of every name, and as long a part of it as is allowed in every setting."""
    body: dict[str, Any] = {}
    for field in dataclasses.fields(message):
        if field.type == "str":
            body[field.name] = text
        elif field.name == "settings":
            free = [spec.name for spec in message.settings.specs() if spec.type is str and not spec.choices]
            body["settings"] = dataclasses.replace(message.settings, **dict.fromkeys(free, text[:MAX_TEXT_SETTING]))
    return dataclasses.replace(message, **body)


@given(
    requests.filter(lambda request: not isinstance(request, CancelRequest)), st.sampled_from("m\0\\é\ud83d\U0001f408")
)
def test_the_longest_names_that_are_accepted_can_be_passed_on(request: Any, character: str) -> None:
    """The engine writes a request anew for its worker; what it has accepted must not be too long then."""
    longest = lengthened(request, character * MAX_NAME)
    assert wire.decode_request(wire.encode(JOB, longest)) == (JOB, longest)


@given(st.text(min_size=1), st.integers(1, 100_000))
def test_the_sentences_of_a_failure_always_fit_a_message(text: str, times: int) -> None:
    failure = Failed("internal_error", text * times, text * times)
    assert wire.decode_event(wire.encode(JOB, failure)) == (JOB, failure)
    if len(text * times) <= MAX_TEXT:
        assert failure.message == text * times
    else:
        assert failure.message[:100] == (text * 100)[:100]
        assert failure.message[-100:] == (text * 100)[-100:]


# --- what is wrong ------------------------------------------------------------------------------------------------


@given(garbage_frames)
def test_random_frames_never_raise_anything_but_a_named_error(frames: list[bytes]) -> None:
    with pytest.raises(GanEditError):
        wire.decode_request(frames)
    assert wire.job_of(frames) == "0" * 32


@given(requests, st.data())
def test_a_header_with_any_entry_replaced_is_decoded_or_refused_by_a_named_error(request: Any, data: Any) -> None:
    entry = data.draw(st.sampled_from(["version", "job", "type", "body", "arrays"]))
    error = refusal_of(frames_with(request, **{entry: data.draw(json_values)}))
    assert error is None or len(str(error)) < 2000


@given(requests, st.data())
def test_a_body_with_any_value_replaced_is_decoded_or_refused_by_a_named_error(request: Any, data: Any) -> None:
    body = header_of(request)["body"]
    target = body.get("settings", body)
    name = data.draw(st.sampled_from(sorted(target)) if target else st.text(max_size=5))
    target[name] = data.draw(json_values)
    error = refusal_of(frames_with(request, body=body))
    assert error is None or len(str(error)) < 2000


@given(requests, st.data())
def test_a_message_with_flipped_bits_never_raises_anything_but_a_named_error(request: Any, data: Any) -> None:
    frames = wire.encode(JOB, request)
    header = bytearray(frames[0])
    for position in data.draw(st.lists(st.integers(0, len(header) - 1), min_size=1, max_size=5)):
        header[position] ^= data.draw(st.integers(1, 255))
    error = refusal_of([bytes(header), *frames[1:]])
    assert error is None or error.code in {"bad_message", "bad_setting", "version_mismatch"}


@given(requests, st.data())
def test_a_message_with_a_frame_too_many_or_too_few_or_cut_is_refused(request: Any, data: Any) -> None:
    frames = wire.encode(JOB, request)
    position = data.draw(st.integers(0, len(frames) - 1))
    spoilt = data.draw(
        st.sampled_from(
            [
                frames[:position] + frames[position + 1 :],
                [*frames, b""],
                [*frames[:position], frames[position][:-1], *frames[position + 1 :]],
            ]
        )
    )
    with pytest.raises(WireError):
        wire.decode_request(spoilt)


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        ([], "1 to 129 frames"),
        ([b"{}"] * 130, "1 to 129 frames"),
        ([b" " * (wire.MAX_HEADER_BYTES + 1)], "too long"),
        ([b"\xff\xfe"], "not JSON"),
        ([b"[" * 60_000], "not JSON"),
        ([b"[]"], "five expected entries"),
        ([b'{"version": 2}'], "five expected entries"),
        (frames_with(StatusRequest(), more=1), "five expected entries"),
        (frames_with(StatusRequest(), job="ABC"), "32 hexadecimal digits"),
        (frames_with(StatusRequest(), job=JOB + "\n"), "32 hexadecimal digits"),
        (frames_with(StatusRequest(), type="Accepted"), "type of the message is unknown"),
        (frames_with(StatusRequest(), type=["StatusRequest"]), "type of the message is unknown"),
        (frames_with(StatusRequest(), body=[]), "not an object"),
        (frames_with(StatusRequest(), body={"job": JOB}), "no entry 'job'"),
        (frames_with(StatusRequest(), arrays=[["photo", "uint8", [1]]]), "brings 0 bytes"),
        (frames_with(StatusRequest(), arrays=[["photo", "uint8", [1]]] * 9), "up to 8 arrays"),
        ([*frames_with(StatusRequest(), arrays=[["photo", "uint8", [1]]]), b"\0"], "no array 'photo'"),
        ([*frames_with(RandomRequest(), arrays=[["model", "uint8", [1]]]), b"\0"], "no array 'model'"),
        (frames_with(ProjectRequest(PHOTO), body={"photo": "me"}), "no entry 'photo'"),
        (frames_with(ProjectRequest(PHOTO), body={"model": 7}), "'model' has the wrong type"),
        (frames_with(RandomRequest(), body={"model": "m" * (MAX_NAME + 1)}), "'model' is a text of 4097 characters"),
        (frames_with(CancelRequest(JOB), body={"job": "\\" * 10_000}), "'job' is a text of 10000 characters"),
        (frames_with(ProjectRequest(PHOTO), body={"crop": {"cx": 1.0}}), "without all of its entries"),
        (frames_with(ProjectRequest(PHOTO), body={"crop": {"cx": True, "cy": 1, "size": 1}}), "wrong type"),
        (frames_with(ProjectRequest(PHOTO), arrays=[["photo", "float64", [2, 3, 3]]]), "type 'float64' is unknown"),
        (frames_with(ProjectRequest(PHOTO), arrays=[["photo", "uint8", [2, 3, 0]]]), "shape"),
        (frames_with(ProjectRequest(PHOTO), arrays=[["photo", "uint8", [2, 3, -3]]]), "shape"),
        (frames_with(ProjectRequest(PHOTO), arrays=[["photo", "uint8", [True, 3, 6]]]), "no proper type or shape"),
        (frames_with(ProjectRequest(PHOTO), arrays=[["photo", "uint8", [1, 1, 1, 1, 18]]]), "shape"),
        (frames_with(ProjectRequest(PHOTO), arrays=[["photo", "uint8", [65537]]]), "shape"),
        (frames_with(ProjectRequest(PHOTO), arrays=[["photo", "uint8", [2, 3, 4]]]), "brings 18 bytes"),
        (frames_with(ProjectRequest(PHOTO), arrays=[["photo", "uint8", [3, 6]]]), "3 or 4 channels"),
        (frames_with(ProjectRequest(PHOTO), arrays=[]), "number of arrays"),
    ],
)
def test_a_malformed_message_is_refused_by_the_name_of_what_is_wrong(frames: list[bytes], words: str) -> None:
    with pytest.raises(WireError, match=words):
        wire.decode_request(frames)


def test_two_arrays_of_one_name_are_refused() -> None:
    twice = [["photo", "uint8", [2, 3, 3]]] * 2
    with pytest.raises(WireError, match="name of its own"):
        wire.decode_request([*frames_with(ProjectRequest(PHOTO), arrays=twice), bytes(18)])


def test_a_scribble_of_another_size_than_the_photo_is_refused() -> None:
    with pytest.raises(WireError, match="scribble"):
        EditRequest(PHOTO, Array("uint8", (3, 2, 4), bytes(24)))


def test_a_mask_of_another_size_than_the_photo_is_refused() -> None:
    with pytest.raises(WireError, match="mask"):
        ProjectRequest(PHOTO, Array("uint8", (3, 2), bytes(6)))


@pytest.mark.parametrize("name", ["noise", "residual"])
def test_what_belongs_to_a_latent_does_not_come_without_one(name: str) -> None:
    part = ARRAYS[name]
    announced = [["photo", "uint8", [2, 3, 3]], [name, part.dtype, list(part.shape)]]
    with pytest.raises(WireError, match=f"belongs to a latent came without one: {name}"):
        wire.decode_request([*frames_with(ProjectRequest(PHOTO), arrays=announced), part.data])


@pytest.mark.parametrize("name", ["z", "model", "ws"])
def test_a_request_has_no_array_for_what_its_start_does_not_need(name: str) -> None:
    announced = [["photo", "uint8", [2, 3, 3]], [name, "float32", [4]]]
    with pytest.raises(WireError, match=f"has no array '{name}'"):
        wire.decode_request([*frames_with(ProjectRequest(PHOTO), arrays=announced), bytes(16)])
    with pytest.raises(WireError, match="has no entry 'truncation_psi'"):
        wire.decode_request(frames_with(ProjectRequest(PHOTO), body={"truncation_psi": 0.5}))


def test_a_start_is_of_the_request_s_model_and_of_no_z() -> None:
    found = Latent(ARRAYS["latent"], z=ARRAYS["z"], truncation_psi=0.5, model="cats128")
    request = ProjectRequest(PHOTO, model="default", latent=found)
    assert request.latent == Latent(ARRAYS["latent"], model="default")
    assert wire.decode_request(wire.encode(JOB, request)) == (JOB, request)


def test_truncations_that_do_not_belong_to_one_z_each_are_refused() -> None:
    zs, ws = Array("float32", (2, 3), bytes(24)), Array("float32", (2, 1, 3), bytes(24))
    for latents, count in ((zs, 3), (ws, 2)):
        with pytest.raises(WireError, match="one for each z"):
            InterpolateRequest(latents, Array("float32", (count,), bytes(4 * count)))


def test_a_scribble_without_alpha_is_no_scribble() -> None:
    for scribble in (Array("uint8", (2, 3, 3), bytes(18)), Array("float32", (2, 3, 4), bytes(96))):
        with pytest.raises(WireError, match="scribble must be uint8, height × width × 4"):
            ImagineRequest(scribble)


@pytest.mark.parametrize("version", [PROTOCOL_VERSION - 1, PROTOCOL_VERSION + 1, 99, -1, True, "2", None, 2.0])
@pytest.mark.parametrize("message", [RandomRequest(), CancelRequest(JOB)])
def test_another_version_is_told_apart_from_a_damaged_message(message: Any, version: Any) -> None:
    with pytest.raises(WireError, match=f"version {version!r}") as caught:
        wire.decode_request(frames_with(message, version=version, type="NewRequest"))
    assert caught.value.code == "version_mismatch"
    with pytest.raises(WireError, match=f"version {version!r}"):
        wire.decode_request(frames_with(message, version=version))


@pytest.mark.parametrize("version", [1, PROTOCOL_VERSION + 1, 99])
def test_status_and_end_are_understood_in_every_version_with_whatever_that_adds(version: int) -> None:
    for message, read in ((StatusRequest(7), wire.decode_request), (ShutdownRequest(), wire.decode_request)):
        frames = frames_with(message, version=version, body={"user": 7, "more": [1]}, arrays=[["x", "y", 1]], new={})
        assert read([*frames, b"bytes"]) == (JOB, message)
    assert wire.decode_request(frames_with(StatusRequest(), version=version, body={"user": "me"})) == (
        JOB,
        StatusRequest(),
    )


@pytest.mark.parametrize("version", [1, PROTOCOL_VERSION + 1, 99])
def test_state_and_failures_of_every_version_can_be_read(version: int) -> None:
    status = EngineStatus(version="0.9", pid=5, workers=(WorkerStatus("idle"), WorkerStatus("busy", "cpu")), jobs=3)
    workers = [{"state": "idle", "device": {"name": "cpu"}}, {"state": "busy", "device": "cpu", "job": 7}]
    body = {"version": "0.9", "pid": 5, "workers": workers, "jobs": 3, "models": {"default": 1}, "queue": "long"}
    frames = frames_with(status, version=version, body=body)
    assert (wire.decode_event(frames), wire.version_of(frames)) == ((JOB, status), version)
    failure = Failed("version_mismatch", "No.")
    body = {"code": "version_mismatch", "message": "No.", "link": "here"}
    assert wire.decode_event(frames_with(failure, version=version, body=body)) == (JOB, failure)


@pytest.mark.parametrize("message", [StatusRequest(), ShutdownRequest(), RandomRequest()])
def test_what_is_written_in_this_version_has_no_entries_of_another(message: Any) -> None:
    with pytest.raises(WireError, match="no entry 'more'"):
        wire.decode_request(frames_with(message, body={"more": 1}))


@pytest.mark.parametrize("user", [0, -1, 1 << 31, 10**30])
def test_a_user_is_a_number_that_a_process_can_have(user: int) -> None:
    with pytest.raises(WireError, match="user of an engine"):
        wire.decode_request(frames_with(StatusRequest(), body={"user": user}))


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(text: str) -> None:
    frames = frames_with(RandomRequest(), body={"settings": {"truncation_psi": "HERE"}})
    with pytest.raises(GanEditError):
        wire.decode_request([frames[0].replace(b'"HERE"', text.encode())])


@pytest.mark.parametrize("value", [10**400, -(10**400), 2**31, -1, 0.5, "7", None, [7], {"a": 7}, True])
def test_a_seed_that_is_no_seed_is_a_bad_setting(value: Any) -> None:
    with pytest.raises(SettingError, match="seed"):
        wire.decode_request(frames_with(RandomRequest(), body={"settings": {"seed": value}}))


def test_a_whole_number_too_large_for_a_number_is_a_bad_setting() -> None:
    """float() of such a number raises OverflowError, which no client could have read."""
    with pytest.raises(SettingError, match="truncation_psi"):
        wire.decode_request(frames_with(RandomRequest(), body={"settings": {"truncation_psi": 10**400}}))


def test_a_setting_of_any_length_is_refused() -> None:
    with pytest.raises(SettingError, match="perceptual_layers is a text of 1001 characters"):
        wire.decode_request(frames_with(ProjectRequest(PHOTO), body={"settings": {"perceptual_layers": "c" * 1001}}))


def test_a_message_that_the_other_side_would_refuse_is_not_written() -> None:
    with pytest.raises(WireError, match="too long"):
        wire.encode(JOB, RandomRequest(model="m" * wire.MAX_HEADER_BYTES))


def test_deeply_nested_values_are_refused_wherever_they_stand() -> None:
    nested: Any = []
    for _ in range(900):
        nested = [nested]
    for changes in ({"version": nested}, {"body": {"settings": {"seed": nested}}}, {"arrays": nested}):
        with pytest.raises(GanEditError):
            wire.decode_request(frames_with(RandomRequest(), **changes))


def test_an_announced_size_allocates_nothing() -> None:
    """A message of 200 bytes must not make the engine reserve the gigabyte that it announces."""
    announced = [["photo", "uint8", [16384, 16384, 4]]]
    assert MAX_ARRAY_BYTES == 16384 * 16384 * 4
    frames = frames_with(ProjectRequest(PHOTO), arrays=announced)
    tracemalloc.start()
    with pytest.raises(WireError, match="brings 18 bytes"):
        wire.decode_request(frames)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_the_job_of_a_bad_message_is_still_answered_where_it_can_be_read() -> None:
    assert wire.job_of(frames_with(StatusRequest(), type="nonsense")) == JOB


def test_the_specification_is_of_the_version_that_is_spoken() -> None:
    written = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
    assert written.startswith(f"# The wire: version {PROTOCOL_VERSION}\n")
    assert f"| `version` | {PROTOCOL_VERSION} |" in written
