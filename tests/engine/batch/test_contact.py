"""The contact sheet shows each photo before and after, and what failed, in pages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from batch.many import WANTED
from PIL import Image

from gan_edit_engine.batch.contact import FOLDER, SIDE, keep_thumbnail, make_sheet, small, thumbnail
from gan_edit_engine.batch.jobs import Job
from gan_edit_engine.batch.report import Report
from gan_edit_engine.imaging.image_files import Picture, write_png
from gan_edit_protocol.geometry import Crop

RED, GREEN, BLUE = (200, 30, 30), (30, 160, 30), (30, 30, 200)


def picture(colour: tuple[int, ...], dtype: type = np.uint8) -> Picture:
    pixels = np.broadcast_to(np.array(colour, np.uint16), (40, 60, len(colour))).copy()
    return Picture((pixels * (257 if dtype is np.uint16 else 1)).astype(dtype))


def job(folder: Path, name: str) -> Job:
    return Job(folder / name, name, f"{name}.png", WANTED)


def near(pixel: object, colour: tuple[int, int, int]) -> bool:
    return bool(np.abs(np.asarray(pixel, int) - colour).max() < 20)


def test_a_sheet_shows_what_was_what_became_of_it_and_what_failed(tmp_path: Path) -> None:
    done, failed, later = (job(tmp_path, name) for name in ("a.jpg", "b.png", "c.jpg"))
    write_png(failed.photo, picture(BLUE))
    with Report(tmp_path) as report:
        keep_thumbnail(thumbnail(tmp_path, done.output), picture(RED), picture(GREEN), Crop(30, 20, 40), alone=False)
        report.add(done, {})
        report.add(failed, {"error": "no_face", "message": "No cat face was found.", "hint": ""})
        (path,) = make_sheet(tmp_path, [done, failed, later], report)
    assert path == tmp_path / "contact.webp"
    with Image.open(path) as image:
        sheet = np.asarray(image.convert("RGB"))
    middle = 10 + SIDE // 2
    assert near(sheet[middle, middle], RED)
    assert near(sheet[middle, middle + SIDE], GREEN)
    second = 10 + 2 * SIDE + 20
    assert near(sheet[middle, second + SIDE // 2], BLUE)
    words = sheet[10 : 10 + SIDE, second + SIDE + 4 : second + 2 * SIDE].astype(int)
    assert (words[..., 0] - words[..., 1]).max() > 60  # the reason, in red


def test_pages_follow_one_another_and_those_of_before_go(tmp_path: Path) -> None:
    some = [job(tmp_path, f"{n:03d}.jpg") for n in range(170)]
    with Report(tmp_path) as report:
        for each in some:
            report.lines[each.output] = {"output": each.output}
        made = make_sheet(tmp_path, some, report)
        assert [path.name for path in made] == ["contact-001.webp", "contact-002.webp", "contact-003.webp"]
        assert [path.name for path in make_sheet(tmp_path, some[:3], report)] == ["contact.webp"]
    assert sorted(path.name for path in tmp_path.glob("contact*")) == ["contact.webp"]


def test_a_batch_that_did_nothing_has_no_sheet(tmp_path: Path) -> None:
    with Report(tmp_path) as report:
        assert make_sheet(tmp_path, [job(tmp_path, "a.jpg")], report) == []


def test_small_pictures_are_in_colours_of_eight_bits_on_white(tmp_path: Path) -> None:
    assert near(small(picture(GREEN, np.uint16), Crop(30, 20, 20, 45))[64, 64], GREEN)
    assert near(small(picture((*BLUE, 0)), Crop(30, 20, 20))[64, 64], (255, 255, 255))
    whole = small(picture(RED), None)
    assert near(whole[64, 64], RED)
    assert near(whole[2, 64], (255, 255, 255))  # beyond the photo
    assert near(small(picture(RED), Crop(0, 20, 40))[64, 10], (255, 255, 255))


def test_small_pictures_that_are_damaged_or_gone_leave_their_place_empty(tmp_path: Path) -> None:
    first, second = job(tmp_path, "a.jpg"), job(tmp_path, "b.jpg")
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / f"{first.output}.webp").write_bytes(b"RIFF\0\0\0\0WEBPnonsense")
    with Report(tmp_path) as report:
        for each in (first, second):
            report.add(each, {})
        assert len(make_sheet(tmp_path, [first, second], report)) == 1
