"""``gan-edit find``, and edits for which nobody says where the model looks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from chelsea import chelsea_turned
from evaluate_alignment import eye_error
from gan_edit_engine.cli.app import main
from gan_edit_engine.cli.looking import find_place
from gan_edit_engine.finding.choice import chosen_face
from gan_edit_engine.finding.find import Face
from gan_edit_engine.imaging.image_files import Picture, read_picture, write_png
from gan_edit_protocol.geometry import Crop
from shipped_pictures import shipped

TRUTH = chelsea_turned(0)[1].points


@pytest.fixture
def cat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """cat.png in the current folder."""
    monkeypatch.chdir(tmp_path)
    pixels = chelsea_turned(0)[0]
    Image.fromarray(pixels).save("cat.png")
    return pixels


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(list(words))
    assert not end.value.code
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(list(words))
    assert end.value.code == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    return output.err


def test_json_is_exactly_the_faces_with_points_crop_and_score(
    cat: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    about: dict[str, Any] = json.loads(printed(capsys, "find", "cat.png", "--json"))
    assert set(about) == {"faces"}
    (face,) = about["faces"]
    assert set(face) == {"points", "crop", "score"}
    assert np.array(face["points"]).shape == (2, 2)
    assert eye_error(np.array(face["points"]), TRUTH) < 0.08
    assert set(face["crop"]) == {"cx", "cy", "size", "angle"}
    assert all(type(value) is float for value in face["crop"].values())
    assert 0 <= face["score"] <= 1


def test_without_options_a_table_says_the_crop_as_an_edit_takes_it(
    cat: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    face = json.loads(printed(capsys, "find", "cat.png", "--json"))["faces"][0]
    text = printed(capsys, "find", "cat.png")
    crop = face["crop"]
    assert f"{crop['cx']:.0f},{crop['cy']:.0f},{crop['size']:.0f},{crop['angle']:.1f}" in text
    assert f"{face['score']:.2f}" in text


def test_a_photo_without_a_face_says_so_and_what_then_happens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (picture,) = shipped(["rocket.jpg"])
    Image.fromarray(picture).save(tmp_path / "rocket.png")
    said = printed(capsys, "find", str(tmp_path / "rocket.png"))
    assert "No cat face was found" in said
    assert "the square around the selection" in said
    assert json.loads(printed(capsys, "find", str(tmp_path / "rocket.png"), "--json")) == {"faces": []}


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "16 bit"])
def test_the_picture_shows_the_square_and_the_points_in_the_photos_own_kind(
    cat: np.ndarray, capsys: pytest.CaptureFixture[str], mode: str
) -> None:
    if mode == "16 bit":
        write_png(Path("cat.png"), Picture(cat.astype(np.uint16) * 257))
    else:
        Image.fromarray(cat).convert(mode).save("cat.png")
    before = read_picture(Path("cat.png")).pixels
    face = json.loads(printed(capsys, "find", "cat.png", "--output", "shown.png", "--json"))["faces"][0]
    after = read_picture(Path("shown.png")).pixels
    assert after.dtype == before.dtype
    assert after.shape == before.shape
    changed = (after != before).any(axis=2)
    for x, y in face["points"]:
        assert changed[int(y), int(x)]
    assert 0 < changed.mean() < 0.1


def test_bad_input_is_one_sentence(cat: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    assert "none.png cannot be read" in refused(capsys, "find", "none.png")
    Path("text.png").write_text("no picture")
    assert "is not an image" in refused(capsys, "find", "text.png")
    assert "is not a PNG" in refused(capsys, "find", "cat.png", "--output", "x.jpg")
    assert "zebras" in refused(capsys, "find", "cat.png", "--model", "zebras")


def face_at(cx: float, cy: float, size: float, score: float, angle: float = 0.0) -> Face:
    return Face(((cx, cy), (cx + 1, cy)), Crop(cx, cy, size, angle), score)


def test_the_face_that_is_meant_is_the_one_with_most_of_the_selection() -> None:
    faces = [face_at(50, 50, 40, 0.9), face_at(150, 50, 60, 0.8)]
    marked = np.zeros((100, 200), np.uint8)
    assert chosen_face(faces, None) is faces[0]
    assert chosen_face([], None) is None
    marked[60:65, 60:66] = 255
    assert chosen_face(faces, marked) is faces[0]
    marked[30:70, 125:140] = 255
    assert chosen_face(faces, marked) is faces[1]


def test_a_selection_outside_of_every_face_means_none() -> None:
    marked = np.zeros((100, 200), np.uint8)
    assert chosen_face([face_at(50, 50, 40, 0.9)], marked) is None
    marked[:5, 190:] = 255
    assert chosen_face([face_at(50, 50, 40, 0.9), face_at(500, 500, 40, 0.9)], marked) is None
    # Within the box around a square that stands on its corner, but outside of the square itself.
    marked[:] = 0
    marked[24:27, 24:27] = 255
    assert chosen_face([face_at(50, 50, 40, 0.9, angle=45)], marked) is None


def test_an_edit_looks_at_the_face_under_the_strokes(cat: np.ndarray) -> None:
    marked = np.zeros(cat.shape[:2], np.uint8)
    marked[110:125, 160:185] = 255
    looking = find_place(cat, marked, "default")
    assert looking.face is not None
    assert eye_error(np.array(looking.face.points), TRUTH) < 0.08
    assert looking.crop == looking.face.crop
    assert "cat face was found" in (looking.told or "")


def test_without_a_face_an_edit_looks_around_the_selection_and_says_so() -> None:
    (picture,) = shipped(["rocket.jpg"])
    looking = find_place(picture, None, "default")
    assert (looking.align, looking.crop, looking.face) == (None, None, None)
    assert "the square around the selection is used" in (looking.told or "")


def test_nothing_is_looked_for_where_the_model_needs_no_alignment(tmp_path: Path) -> None:
    other = tmp_path / "other.pt"
    other.write_bytes(b"\x80\x02.")
    looking = find_place(np.zeros((9, 9, 3), np.uint8), None, str(other))
    assert (looking.crop, looking.told) == (None, None)


def test_what_cannot_be_written_is_said_before_a_face_is_looked_for(
    cat: np.ndarray, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gan_edit_engine.cli.edit.find_place", lambda *_: pytest.fail("a face was looked for"))
    Image.new("RGBA", cat.shape[1::-1], (0, 0, 200, 255)).save("scribble.png")
    for words in (["project", "cat.png"], ["edit", "cat.png", "--scribble", "scribble.png"]):
        assert "no folder missing" in refused(capsys, *words, "--output", "missing/out.png")
