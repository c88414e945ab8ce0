"""Nobody fills the server's disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gan_edit_engine.serving import room as rooms
from gan_edit_engine.serving.limits import Limits
from gan_edit_engine.serving.room import Room
from gan_edit_protocol.errors import GanEditError

MB = 1 << 20


def room_in(folder: Path, kept: int = 10 * MB, disk: int = 25 * MB) -> Room:
    return Room(folder, folder / "jobs", Limits(kept=kept, disk=disk))


def bring(room: Room, visitor: str, size: int, came: int | None = None) -> None:
    with room.bringing(visitor, size) as entry:
        entry[1] = size if came is None else came


def test_a_visitor_has_so_much_room_and_the_others_theirs(tmp_path: Path) -> None:
    room = room_in(tmp_path)
    bring(room, "anna", 9 * MB)
    with pytest.raises(GanEditError, match="keeps 10 MB of each visitor's pictures") as caught:
        bring(room, "anna", 2 * MB)
    assert caught.value.code == "too_much_kept"
    bring(room, "anna", 1 * MB)
    bring(room, "ben", 9 * MB)


def test_what_was_announced_and_did_not_come_takes_no_room(tmp_path: Path) -> None:
    room = room_in(tmp_path)
    for _ in range(20):
        bring(room, "anna", 8 * MB, came=100)


def test_any_number_of_small_files_is_not_kept(tmp_path: Path) -> None:
    room = room_in(tmp_path)
    for _ in range(160):
        bring(room, "anna", 1)
    with pytest.raises(GanEditError):
        bring(room, "anna", 1)


def test_all_together_have_so_much_and_it_is_measured(tmp_path: Path) -> None:
    room = room_in(tmp_path)
    for visitor in "abc":
        bring(room, visitor, 8 * MB)
    with pytest.raises(GanEditError, match="no room for more pictures") as caught:
        bring(room, "d", 2 * MB)
    assert caught.value.code == "server_full"
    room.measure()  # none of it was really kept
    bring(room, "d", 2 * MB)
    (tmp_path / "jobs" / "a").mkdir(parents=True)
    (tmp_path / "jobs" / "a" / "large").write_bytes(bytes(26 * MB))
    room.measure()
    with pytest.raises(GanEditError):
        room.check()


def test_what_is_coming_counts_while_it_comes(tmp_path: Path) -> None:
    room = room_in(tmp_path, kept=100 * MB)
    with room.bringing("anna", 20 * MB):
        room.measure()
        with pytest.raises(GanEditError):
            bring(room, "ben", 6 * MB)


def test_what_is_old_goes_with_its_folder_and_what_jobs_made_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = room_in(tmp_path)
    for name in ("jobs/a/result.png", "b/photo.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"x")
    bring(room, "anna", 9 * MB)
    room.measure()
    assert (tmp_path / "b" / "photo.png").exists()
    monkeypatch.setattr(rooms, "KEPT_SECONDS", -1.0)
    room.measure()
    room.measure()
    assert [os.path.relpath(file, tmp_path) for file in tmp_path.rglob("*") if file.is_file()] == ["jobs/a/result.png"]
    assert not (tmp_path / "b").exists()
    bring(room, "anna", 9 * MB)  # as much as if nothing had been brought before
