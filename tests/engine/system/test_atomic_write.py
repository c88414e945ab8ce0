"""What takes a file's place, with which permissions, and what is left alone."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from gan_edit_engine.imaging.latent_files import write_latent
from gan_edit_engine.system.atomic_write import check_place, make_folder, replacing
from gan_edit_protocol.arrays import Array
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.latent import Latent

posix = pytest.mark.skipif(os.name != "posix", reason="permissions and links as POSIX has them")


def permissions(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_old_content_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with replacing(target) as part:
        part.write_text("ne")
        assert target.read_text() == "old"
        assert part.parent == tmp_path  # a rename works within one file system only
        part.write_text("new")
    assert target.read_text() == "new"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("raised", [ValueError("mine"), KeyboardInterrupt("mine"), GanEditError("code", "mine")])
def test_an_error_of_the_writer_passes_and_changes_nothing(tmp_path: Path, raised: BaseException) -> None:
    def write_half() -> None:
        with replacing(tmp_path / "a.txt") as part:
            part.write_text("half")
            raise raised

    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(type(raised)) as caught:
        write_half()
    assert caught.value is raised
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_sentence_for_people_stays_though_the_disk_is_its_reason(tmp_path: Path) -> None:
    def write() -> None:
        with replacing(tmp_path / "a.txt"):
            try:
                (tmp_path / "none").read_text()
            except OSError:
                raise GanEditError("bad_image", "The photo is gone.") from None

    with pytest.raises(GanEditError, match=r"The photo is gone\."):
        write()
    assert names(tmp_path) == []


def test_a_file_that_is_being_written_is_not_taken_for_a_finished_one(tmp_path: Path) -> None:
    with replacing(tmp_path / "a.safetensors") as part:
        assert part not in list(tmp_path.glob("*.safetensors"))
    with replacing(tmp_path / "a.mp4", ".mp4") as part:
        assert part.suffix == ".mp4"


def test_several_at_once_do_not_mix(tmp_path: Path) -> None:
    contents = [str(number) * 100_000 for number in range(8)]

    def write(content: str) -> None:
        with replacing(tmp_path / "a.txt") as part:
            part.write_text(content)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "a.txt").read_text() in contents
    assert names(tmp_path) == ["a.txt"]


def test_any_name_that_the_file_system_takes_can_be_written(tmp_path: Path) -> None:
    name = "a" * 251 + ".png"
    with replacing(tmp_path / name) as part:
        part.write_text("new")
    assert names(tmp_path) == [name]


# --- permissions -------------------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with replacing(tmp_path / "a.txt") as part:
            part.write_text("new")
        write_latent(tmp_path / "l.safetensors", Latent(Array("float32", (2, 3), bytes(24))))
    finally:
        os.umask(before)
    assert permissions(tmp_path / "a.txt") == 0o666 & ~umask
    assert permissions(tmp_path / "l.safetensors") == 0o666 & ~umask


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o755, 0o606])
def test_the_permissions_of_a_file_that_is_replaced_stay(tmp_path: Path, mode: int) -> None:
    target = tmp_path / "a.safetensors"
    target.write_text("old")
    target.chmod(mode)
    with replacing(target) as part:
        assert permissions(part) & ~0o600 & ~mode == 0  # at no time can more people read it
        save_file({"x": np.zeros(1)}, part)
    assert permissions(target) == mode


def test_a_write_protected_file_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    target.chmod(0o444)
    # As the system answers to everybody but root, who may write to everything.
    monkeypatch.setattr(os, "access", lambda path, mode: bool(permissions(path) & 0o200))
    with pytest.raises(GanEditError, match="Permission denied"), replacing(target) as part:
        part.write_text("new")
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


# --- links, devices, folders -------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize("exists", [True, False])
def test_a_link_stays_and_the_file_that_it_names_is_replaced(tmp_path: Path, exists: bool) -> None:
    (tmp_path / "real").mkdir()
    real = tmp_path / "real" / "photo.png"
    if exists:
        real.write_text("old")
    (tmp_path / "hop").symlink_to("real/photo.png")
    (tmp_path / "link.png").symlink_to("hop")
    with replacing(tmp_path / "link.png") as part:
        part.write_text("new")
    assert (tmp_path / "link.png").is_symlink()
    assert (tmp_path / "hop").is_symlink()
    assert real.read_text() == "new"
    assert names(tmp_path / "real") == ["photo.png"]


@posix
def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    received: list[str] = []
    reader = threading.Thread(target=lambda: received.append((tmp_path / "pipe").read_text()))
    reader.start()
    with replacing(tmp_path / "pipe") as part:
        part.write_text("new")
    reader.join()
    assert received == ["new"]
    assert names(tmp_path) == ["pipe"]
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@pytest.mark.parametrize(
    ("name", "reason"), [("none/a.txt", "No such file"), ("", "directory"), ("file/a.txt", "ot a directory")]
)
def test_a_place_where_nothing_can_be_written_is_named_with_the_reason(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(GanEditError, match=reason) as caught, replacing(tmp_path / name) as part:
        part.write_text("new")
    assert caught.value.code == "bad_output"
    assert str(tmp_path / name) in caught.value.message
    assert ".part" not in str(caught.value)
    assert names(tmp_path) == ["file"]


# --- before the work ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["a.txt", "file", "link"])
def test_a_place_where_a_file_can_be_written_is_left_as_it_is(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to("elsewhere")
    check_place(tmp_path / path, 1000)
    assert names(tmp_path) == ["file", "link"]
    assert (tmp_path / "file").read_text() == "old"


@posix
def test_a_device_has_room(tmp_path: Path) -> None:
    check_place(Path("/dev/null"), 1 << 62)
    os.mkfifo(tmp_path / "pipe")
    check_place(tmp_path / "pipe", 1 << 62)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("none/a.txt", "There is no folder"),
        ("file/a.txt", "There is no folder"),
        ("folder", "directory"),
        ("n" * 260 + ".png", "File name too long"),
        ("é" * 140 + ".png", "File name too long"),
        ("n" * 260 + "/a.png", "File name too long"),
    ],
)
def test_a_place_where_no_file_can_be_is_refused_with_the_reason(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(GanEditError, match=reason) as caught:
        check_place(tmp_path / name)
    assert caught.value.code == "bad_output"
    assert caught.value.hint
    assert names(tmp_path) == ["file", "folder"]


def test_a_place_without_room_is_refused_with_both_sizes(tmp_path: Path) -> None:
    check_place(tmp_path / "a.txt", 1000)
    with pytest.raises(GanEditError, match=r"a\.txt cannot be written \(it takes about [0-9.]+ MB, and [0-9.]+ MB are"):
        check_place(tmp_path / "a.txt", 1 << 62)


def test_a_folder_where_nobody_may_write_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(path: Path, flags: int, mode: int = 0o777) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "open", read_only)
    with pytest.raises(GanEditError, match="Read-only file system"):
        check_place(tmp_path / "a.txt")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(GanEditError, match=r"file/folder cannot be written \(Not a directory\)"):
        make_folder(tmp_path / "file" / "folder")
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
