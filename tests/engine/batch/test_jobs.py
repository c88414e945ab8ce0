"""What a folder or a file of jobs asks for, and what is said of lines that ask for nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gan_edit_engine.batch.jobs import Job, Wanted, check_apart, jobs_of
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.geometry import Crop


def folder_of(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(name.encode())
    return folder


def lines(folder: Path, *said: Any, **texts: str) -> Path:
    file = folder / "jobs.jsonl"
    file.write_text("".join(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in said))
    return file


def test_a_folder_s_photos_come_by_name_and_their_results_have_names_of_their_own(tmp_path: Path) -> None:
    names = ("b.JPG", "a.png", "a.jpg", "c.txt", "a.jpg.jpg", "é.webp")
    found = jobs_of(folder_of(tmp_path / "in", *names), Wanted())
    outputs = {job.name: job.output for job in found}
    assert outputs == {
        "a.jpg": "a.jpg.png",
        "a.jpg.jpg": "a.jpg.jpg.png",
        "a.png": "a.png.png",
        "b.JPG": "b.png",
        "é.webp": "é.png",
    }


def test_a_link_that_leads_nowhere_is_a_photo_that_fails_and_a_folder_is_none(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "in", "a.jpg")
    (folder / "gone.png").symlink_to("nowhere")
    (folder / "folder.png").mkdir()
    assert [job.name for job in jobs_of(folder, Wanted())] == ["a.jpg", "gone.png"]


def test_an_empty_folder_and_a_file_that_is_not_there_are_said(tmp_path: Path) -> None:
    for source in (folder_of(tmp_path / "in"), tmp_path / "jobs.jsonl", lines(tmp_path)):
        with pytest.raises(GanEditError) as caught:
            jobs_of(source, Wanted())
        assert caught.value.code == "no_photos"


def test_a_line_says_what_is_its_own_and_the_command_line_the_rest(tmp_path: Path) -> None:
    file = lines(
        tmp_path,
        {"photo": "a.jpg"},
        "",
        {
            "photo": "sub/b.jpg",
            "task": "edit",
            "scribble": "s.png",
            "mask": "m.png",
            "output": "x",
            "set": {"steps": 7, "cache": False},
            "crop": [1, 2, 30.5],
        },
    )
    first, second = jobs_of(file, Wanted(settings=("steps=5",)))
    assert (first.photo, first.output, first.wanted.task) == (tmp_path / "a.jpg", "a.png", "project")
    assert first.wanted.checked_settings.steps == 5
    wanted = second.wanted
    assert (second.photo, second.name, second.output) == (tmp_path / "sub/b.jpg", "sub/b.jpg", "x.png")
    assert (wanted.scribble, wanted.mask, wanted.crop) == (tmp_path / "s.png", tmp_path / "m.png", Crop(1, 2, 30.5))
    assert (wanted.checked_settings.steps, wanted.checked_settings.cache) == (7, False)
    assert not wanted.carried


def test_a_line_s_scribble_lies_on_its_photo_and_the_command_line_s_is_carried_to_it(tmp_path: Path) -> None:
    file = lines(
        tmp_path,
        {"photo": "a.jpg"},
        {"photo": "b.jpg", "scribble": "b-s.png"},
        {"photo": "c.jpg", "scribble": "c-s.png", "scribble_on": "d.jpg"},
    )
    shared, own, carried = (job.wanted for job in jobs_of(file, Wanted("edit", scribble=Path("s.png"))))
    assert shared.canonical
    assert not own.carried
    assert carried.carried
    assert not carried.canonical
    on = jobs_of(file, Wanted("edit", scribble=Path("s.png"), scribble_on=Path("p.png")))
    assert [job.wanted.scribble_on for job in on] == [Path("p.png"), None, tmp_path / "d.jpg"]
    assert not any(job.wanted.canonical for job in on)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "no JSON object"),
        ("[1]", "no JSON object"),
        ("[" * 100_000, "no JSON object"),
        ({}, "names no photo"),
        ({"photo": ""}, "names no photo"),
        ({"photo": 7}, '"photo" has no value'),
        ({"photo": "a\0.jpg"}, "no name has"),
        ({"photo": "a.jpg", "phato": 1}, "'phato'"),
        ({"photo": "a.jpg", "task": "paint"}, "no task 'paint'"),
        ({"photo": "a.jpg", "task": "edit"}, "needs a scribble or a direction"),
        ({"photo": "a.jpg", "scribble": "s.png"}, "takes no scribble"),
        ({"photo": "a.jpg", "task": "evaluate", "mask": "m.png"}, "takes no mask"),
        ({"photo": "a.jpg", "task": "edit", "direction": ["a", "b", "c"]}, "one file"),
        ({"photo": "a.jpg", "task": "edit", "direction": [1]}, '"direction" is'),
        ({"photo": "a.jpg", "amount": True}, '"amount" has no value'),
        ('{"photo": "a.jpg", "amount": NaN}', "The amount nan"),
        ({"photo": "a.jpg", "amount": 11}, "The amount 11"),
        ('{"photo": "\\ud800.jpg"}', "no name has"),
        ('{"photo": "a.jpg", "set": {"prior_weight": NaN}}', "prior_weight"),
        ({"photo": "a.jpg", "set": {"stepps": 1}}, "stepps"),
        ({"photo": "a.jpg", "set": {"steps": -1}}, "steps"),
        ({"photo": "a.jpg", "set": {"steps": [1]}}, "steps"),
        ({"photo": "a.jpg", "crop": [1, 2]}, '"crop" is'),
        ({"photo": "a.jpg", "crop": [1, 2, True]}, '"crop" is'),
        ('{"photo": "a.jpg", "crop": [1, 2, 1e999]}', '"crop" is'),
        ({"photo": "a.jpg", "output": "../x.png"}, '"output"'),
        ({"photo": "a.jpg", "output": "/x.png"}, '"output"'),
        ({"photo": "a.jpg", "output": ".hidden.png"}, '"output"'),
        ({"photo": "b.jpg", "output": "FIRST.PNG"}, "Line 1 writes"),
    ],
)
def test_a_wrong_line_is_named_by_its_number_before_anything_is_done(tmp_path: Path, line: Any, said: str) -> None:
    file = lines(tmp_path, {"photo": "first.jpg"}, "", line)
    with pytest.raises(GanEditError) as caught:
        jobs_of(file, Wanted())
    assert caught.value.code == "bad_job"
    assert f"Line 3 of {file}: " in caught.value.message
    assert said in caught.value.message


def test_of_many_wrong_lines_a_few_are_told_and_the_others_counted(tmp_path: Path) -> None:
    with pytest.raises(GanEditError) as caught:
        jobs_of(lines(tmp_path, *["{"] * 12), Wanted())
    assert caught.value.message.count("no JSON object") == 5
    assert "7 more lines" in caught.value.message


def test_a_file_that_is_no_text_is_said(tmp_path: Path) -> None:
    (tmp_path / "jobs.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(GanEditError, match="UTF-8"):
        jobs_of(tmp_path / "jobs.jsonl", Wanted())


def test_what_changes_a_result_changes_the_identity_and_nothing_else_does(tmp_path: Path) -> None:
    scribble = tmp_path / "s.png"
    scribble.write_bytes(b"one")
    wanted = Wanted("edit", scribble=scribble)
    same = Wanted("edit", scribble=tmp_path / "same.png", amount=3.0)  # no direction to which the amount would belong
    (tmp_path / "same.png").write_bytes(b"one")
    assert wanted.identity == same.identity
    (tmp_path / "other.png").write_bytes(b"two")
    others = [
        Wanted("edit", scribble=tmp_path / "other.png"),
        Wanted("edit", scribble=scribble, canonical=True),
        Wanted("edit", scribble=scribble, mask=tmp_path / "other.png"),
        Wanted("edit", scribble=scribble, settings=("steps=9",)),
        Wanted("edit", scribble=scribble, model="other"),
        Wanted("edit", scribble=scribble, crop=Crop(1, 2, 30)),
        Wanted("edit", scribble=scribble, latents=True),
        Wanted("project"),
        Wanted("edit", direction=(scribble,)),
        Wanted("edit", direction=(scribble,), amount=2.0),
    ]
    assert len({wanted.identity, *(other.identity for other in others)}) == len(others) + 1


def test_no_result_takes_the_place_of_a_photo(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "in", "a.png")
    with pytest.raises(GanEditError, match="would be replaced"):
        check_apart(jobs_of(folder, Wanted()), folder)
    (tmp_path / "out").symlink_to("in")
    with pytest.raises(GanEditError, match="would be replaced"):
        check_apart(jobs_of(folder, Wanted()), tmp_path / "out")
    check_apart(jobs_of(folder, Wanted()), tmp_path / "elsewhere")


def test_the_stamp_of_a_photo_changes_with_it(tmp_path: Path) -> None:
    photo = tmp_path / "a.jpg"
    job = Job(photo, "a.jpg", "a.png", Wanted())
    assert job.stamp == [0, 0]
    photo.write_bytes(b"1")
    before = job.stamp
    photo.write_bytes(b"12")
    assert job.stamp != before
