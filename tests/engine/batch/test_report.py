"""The report holds one line for each photo, whatever ended the batch, and says what is still to be done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from batch.many import jobs
from disks import full_disk

from gan_edit_engine.batch.jobs import Job
from gan_edit_engine.batch.report import NAME, Report, UnwritableError, check_writable, held, left_of
from gan_edit_protocol.errors import GanEditError

JOBS = jobs(4)
FAILED = {"error": "bad_image", "message": "It is damaged.", "hint": ""}


def left(folder: Path, some: list[Job] = JOBS, retry: bool = False, there: bool = True) -> list[str]:
    with Report(folder) as report:
        return [job.name for job in left_of(some, report, retry, lambda job: there)]


def recorded(folder: Path, *names: str, **failed: str) -> None:
    with Report(folder) as report:
        for job in JOBS:
            if job.name in names:
                report.add(job, {"task": "project"})
            if job.name.removesuffix(".jpg") in failed.values():
                report.add(job, FAILED)


def test_what_is_in_the_report_is_not_done_again(tmp_path: Path) -> None:
    assert left(tmp_path) == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    recorded(tmp_path, "0.jpg", "2.jpg")
    assert left(tmp_path) == ["1.jpg", "3.jpg"]
    told = [json.loads(line) for line in (tmp_path / NAME).read_text().splitlines()]
    assert [line["photo"] for line in told] == ["0.jpg", "2.jpg"]


def test_a_failed_photo_is_tried_again_only_when_asked_for_and_its_last_line_holds(tmp_path: Path) -> None:
    recorded(tmp_path, "0.jpg", failed="1")
    assert left(tmp_path) == ["2.jpg", "3.jpg"]
    assert left(tmp_path, retry=True) == ["1.jpg", "2.jpg", "3.jpg"]
    recorded(tmp_path, "1.jpg")
    assert left(tmp_path, retry=True) == ["2.jpg", "3.jpg"]


def test_a_result_that_somebody_deleted_is_made_again(tmp_path: Path) -> None:
    recorded(tmp_path, "0.jpg")
    assert left(tmp_path, there=False) == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]


def test_a_photo_that_changed_is_done_again(tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"one")
    job = replace(JOBS[0], photo=photo)
    with Report(tmp_path) as report:
        report.add(job, {})
    assert left(tmp_path, [job]) == []
    photo.write_bytes(b"another")
    assert left(tmp_path, [job]) == ["0.jpg"]


@pytest.mark.parametrize(
    "torn", [b'{"photo": "1.jpg", "outp', b'{"photo": "1.jpg"}\n', b"\0" * 300, b"\0" * 300 + b"\n"]
)
def test_a_line_that_a_crash_tore_is_cut_off_and_its_photo_done_again(tmp_path: Path, torn: bytes) -> None:
    recorded(tmp_path, "0.jpg")
    whole = (tmp_path / NAME).read_bytes()
    (tmp_path / NAME).write_bytes(whole + torn)
    assert left(tmp_path) == ["1.jpg", "2.jpg", "3.jpg"]
    assert (tmp_path / NAME).read_bytes() == whole
    recorded(tmp_path, "1.jpg")
    assert left(tmp_path) == ["2.jpg", "3.jpg"]


def test_a_file_that_is_all_torn_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b'{"pho')
    assert len(left(tmp_path)) == 4
    assert (tmp_path / NAME).read_bytes() == b""


def test_damage_in_the_middle_is_named_and_nothing_is_changed(tmp_path: Path) -> None:
    recorded(tmp_path, "0.jpg", "1.jpg")
    first, second = (tmp_path / NAME).read_bytes().splitlines(keepends=True)
    damaged = first + b"nonsense\n" + second
    (tmp_path / NAME).write_bytes(damaged)
    with pytest.raises(GanEditError, match="Line 2 of .* is damaged"):
        Report(tmp_path)
    assert (tmp_path / NAME).read_bytes() == damaged


def test_other_settings_or_other_photos_are_another_batch(tmp_path: Path) -> None:
    recorded(tmp_path, "0.jpg", failed="1")
    changed = [replace(job, wanted=replace(job.wanted, settings=("steps=9",))) for job in JOBS]
    with pytest.raises(GanEditError, match="another batch: 0.png was made of 0.jpg") as caught:
        left(tmp_path, changed)
    assert caught.value.code == "other_batch"
    with pytest.raises(GanEditError, match="knows none of these photos"):
        left(tmp_path, [replace(job, output=f"other-{job.output}") for job in JOBS])
    # What only failed may be asked for otherwise.
    assert left(tmp_path, [JOBS[0], *changed[1:]]) == ["1.jpg", "2.jpg", "3.jpg"]


def test_photos_that_came_or_went_are_no_other_batch(tmp_path: Path) -> None:
    recorded(tmp_path, "0.jpg", "1.jpg")
    assert left(tmp_path, JOBS[1:3]) == ["2.jpg"]


def test_names_of_any_bytes_come_back(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9\n.jpg")
    job = replace(JOBS[0], name=name, output=f"{name}.png")
    with Report(tmp_path) as report:
        report.add(job, {})
    assert left(tmp_path, [job]) == []


def test_a_figure_that_is_no_number_is_none(tmp_path: Path) -> None:
    with Report(tmp_path) as report:
        report.add(JOBS[0], {"psnr": float("nan"), "lpips": 0.5})
    line = json.loads((tmp_path / NAME).read_text(), parse_constant=pytest.fail)
    assert (line["psnr"], line["lpips"]) == (None, 0.5)


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Report(tmp_path) as report:
        report.add(JOBS[0], {})
        before = (tmp_path / NAME).read_bytes()
        write = os.write

        def half(file: int, content: bytes) -> int:
            if len(content) < 20:
                raise OSError(28, "No space left on device")
            return write(file, content[: len(content) // 2])

        monkeypatch.setattr(os, "write", half)
        with pytest.raises(GanEditError, match="No space left"):
            report.add(JOBS[1], {})
        monkeypatch.undo()
        assert (tmp_path / NAME).read_bytes() == before
        report.add(JOBS[1], {})
    assert left(tmp_path) == ["2.jpg", "3.jpg"]


HOLD = """
import sys
from pathlib import Path
from gan_edit_engine.batch.report import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_folder_belongs_to_one_batch_until_that_ends_however_it_does(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(GanEditError) as caught, held(tmp_path):
            pass
        assert caught.value.code == "busy_folder"
        other.kill()
    (tmp_path / ".gan-edit-0123.part").write_bytes(b"half a picture")
    with held(tmp_path):
        assert not (tmp_path / ".gan-edit-0123.part").exists()


def test_a_folder_without_room_is_no_photo_s_fault(tmp_path: Path) -> None:
    check_writable(tmp_path)
    with full_disk(10_000), pytest.raises(UnwritableError):
        check_writable(tmp_path)
    assert list(tmp_path.iterdir()) == []
