"""``gan-edit find``, and edits for which nobody says where the model looks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_process import EngineProcess
from PIL import Image

from chelsea import chelsea_turned
from evaluate_alignment import eye_error
from gan_edit_engine.cli import session
from gan_edit_engine.cli.app import main
from gan_edit_engine.imaging.image_files import Picture, read_picture, write_png
from gan_edit_engine.imaging.looking import Looking, Sight, find_place
from gan_edit_protocol import connection
from gan_edit_protocol.events import Notice
from gan_edit_protocol.geometry import Align
from shipped_pictures import shipped

TRUTH = chelsea_turned(0)[1].points


@pytest.fixture(scope="module")
def engine_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    running = EngineProcess(tmp_path_factory.mktemp("engine"), "--idle-timeout", "0").wait_until_ready()
    yield running.file
    running.end()


@pytest.fixture(autouse=True)
def engine_of_this_file(engine_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(connection.ENVIRONMENT_VARIABLE, str(engine_file))


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
    assert eye_error(Align(*np.ravel(face["points"])), TRUTH) < 0.08
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


def looked(sight: Sight) -> tuple[Looking, str]:
    """Where the model looks, and what a person reads of it."""
    told: list[str] = []

    def hear(event: object) -> None:
        if isinstance(event, Notice):
            told.append(str(event))

    with session.engine() as client:
        return find_place(sight, client, hear, lambda: False), " ".join(told)


def test_an_edit_looks_at_the_face_under_the_strokes(cat: np.ndarray) -> None:
    marked = np.zeros(cat.shape[:2], np.uint8)
    marked[110:125, 160:185] = 255
    looking, told = looked(Sight(cat, marked, "default"))
    assert looking.face is not None
    assert eye_error(looking.face.align, TRUTH) < 0.08
    assert looking.crop == looking.face.crop
    assert "cat face was found" in told


def test_without_a_face_an_edit_looks_around_the_selection_and_says_so() -> None:
    (picture,) = shipped(["rocket.jpg"])
    looking, told = looked(Sight(picture, None, "default", selected=True))
    assert looking == Looking()
    assert "the square around the selection is used" in told
    assert "the whole photo is used" in looked(Sight(picture, None, "default"))[1]


def test_a_photo_too_large_to_be_looked_through_is_reduced_and_told_of_in_its_own_pixels(
    cat: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    marked = np.zeros(cat.shape[:2], np.uint8)
    marked[110:125, 160:185] = 255
    monkeypatch.setattr("gan_edit_engine.imaging.looking._MOST_PIXELS", cat.shape[0] * cat.shape[1] // 3)
    looking, _ = looked(Sight(cat, marked, "default"))
    assert looking.face is not None
    assert eye_error(looking.face.align, TRUTH) < 0.08


def test_nothing_is_looked_for_where_the_model_needs_no_alignment(tmp_path: Path) -> None:
    other = tmp_path / "other.pt"
    other.write_bytes(b"\x80\x02.")
    assert looked(Sight(np.zeros((9, 9, 3), np.uint8), None, str(other))) == (Looking(), "")


def test_what_cannot_be_written_is_said_before_a_face_is_looked_for(
    cat: np.ndarray, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gan_edit_engine.cli.edit.find_place", lambda *_: pytest.fail("a face was looked for"))
    Image.new("RGBA", cat.shape[1::-1], (0, 0, 200, 255)).save("scribble.png")
    for words in (["project", "cat.png"], ["edit", "cat.png", "--scribble", "scribble.png"]):
        assert "no folder missing" in refused(capsys, *words, "--output", "missing/out.png")
