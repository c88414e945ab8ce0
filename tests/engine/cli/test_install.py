"""Finding GIMP's folders and putting the plug-in there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gan_edit_engine.cli import install
from gan_edit_protocol.errors import GanEditError

POSIX_ONLY = pytest.mark.skipif(sys.platform == "win32", reason="file modes are POSIX's")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder of a Linux user without GIMP."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "GIMP3_DIRECTORY", "GAN_EDIT_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def make_profiles(home: Path, *names: str) -> list[Path]:
    folders = [home / name for name in names]
    for folder in folders:
        folder.mkdir(parents=True)
    return folders


def test_native_flatpak_and_snap_profiles_of_any_gimp_3_are_found(home: Path) -> None:
    expected = make_profiles(
        home,
        ".config/GIMP/3.0",
        ".config/GIMP/3.2",
        ".var/app/org.gimp.GIMP/config/GIMP/3.1",
        "snap/gimp/current/.config/GIMP/3.0",
    )
    make_profiles(home, ".config/GIMP/2.10", ".config/GIMP/3.0.backup")
    assert install.existing_profiles() == expected


def test_windows_and_macos_profiles_lie_where_those_systems_keep_settings() -> None:
    windows = install.profile_roots("win32", Path("home"), {"APPDATA": "roaming"})
    macos = install.profile_roots("darwin", Path("home"), {})
    assert windows == [Path("roaming/GIMP")]
    assert macos == [Path("home/Library/Application Support/GIMP")]


def test_gimp3_directory_is_the_only_profile_when_it_is_set(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_profiles(home, ".config/GIMP/3.0")
    monkeypatch.setenv("GIMP3_DIRECTORY", str(home / "own"))
    assert install.existing_profiles() == [home / "own"]


def test_without_a_profile_and_without_gimp_every_stable_series_is_prepared(home: Path) -> None:
    install.install()
    for series in ("3.0", "3.2"):
        assert (home / ".config" / "GIMP" / series / "plug-ins" / "gan-edit" / "gan-edit.py").exists()


@POSIX_ONLY
def test_without_a_profile_only_the_series_of_the_installed_gimp_is_prepared(home: Path) -> None:
    program = home / "bin" / "gimp-console"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'GNU Image Manipulation Program version 3.2.6'\n")
    program.chmod(0o755)
    install.install()
    assert install.existing_profiles() == [home / ".config" / "GIMP" / "3.2"]


def test_gimp_2_is_not_taken_for_gimp_3() -> None:
    assert install.profile_of_version("GNU Image Manipulation Program version 2.10.34") is None
    assert install.profile_of_version("GNU Image Manipulation Program version 3.0.4") == "3.0"


def test_the_installed_folder_has_the_plug_in_the_protocol_and_its_config(tmp_path: Path) -> None:
    done = install.install([tmp_path], ["/opt/gan-edit"], tmp_path / "engine.json", tmp_path / "log")
    folder = tmp_path / "plug-ins" / "gan-edit"
    assert str(folder) in done[0]
    assert (folder / "gan_edit_protocol" / "wire.py").exists()
    assert json.loads((folder / "gan-edit.json").read_text()) == {
        "program": ["/opt/gan-edit"],
        "connection_file": str(tmp_path / "engine.json"),
        "engine_log": str(tmp_path / "log" / "engine.log"),
        "plugin_log": str(tmp_path / "log" / "plugin.log"),
    }
    assert not list(tmp_path.rglob("__pycache__"))
    assert [path.name for path in tmp_path.iterdir()] == ["plug-ins"]


@POSIX_ONLY
def test_gimp_may_execute_the_installed_plug_in(tmp_path: Path) -> None:
    install.install([tmp_path])
    assert os.access(tmp_path / "plug-ins" / "gan-edit" / "gan-edit.py", os.X_OK)


def test_the_installed_protocol_works_without_the_engines_environment(tmp_path: Path) -> None:
    install.install([tmp_path])
    folder = tmp_path / "plug-ins" / "gan-edit"
    code = (
        "import sys; sys.modules['zmq'] = None\n"
        "from gan_edit_protocol import client, launch, settings\n"
        "print(launch.__file__, launch.has_zmq())"
    )
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(folder)!r})\n{code}"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert answer.stdout.split() == [str(folder / "gan_edit_protocol" / "launch.py"), "False"]


def test_installing_again_replaces_the_old_copy_whole(tmp_path: Path) -> None:
    install.install([tmp_path])
    stale = tmp_path / "plug-ins" / "gan-edit" / "of_an_older_version.py"
    stale.write_text("")
    done = install.install([tmp_path])
    assert done[0].startswith("Replaced")
    assert not stale.exists()


@POSIX_ONLY
def test_a_link_to_a_working_copy_is_replaced_without_touching_what_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "working" / "copy").mkdir(parents=True)
    (tmp_path / "plug-ins").mkdir()
    (tmp_path / "plug-ins" / "gan-edit").symlink_to(tmp_path / "working")
    install.install([tmp_path])
    assert not (tmp_path / "plug-ins" / "gan-edit").is_symlink()
    assert (tmp_path / "working" / "copy").exists()


def test_uninstall_removes_the_plug_in_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "plug-ins" / "another").mkdir(parents=True)
    install.install([tmp_path])
    assert install.uninstall([tmp_path]) == [f"Removed {tmp_path / 'plug-ins' / 'gan-edit'}."]
    assert [path.name for path in (tmp_path / "plug-ins").iterdir()] == ["another"]
    assert "not installed" in install.uninstall([tmp_path])[0]


@pytest.mark.parametrize("inside", ["", "plug-ins", "plug-ins/gan-edit"])
def test_a_folder_inside_a_profile_means_that_profile(tmp_path: Path, inside: str) -> None:
    profile = tmp_path / "GIMP" / "3.0"
    done = install.install([profile / inside])
    assert done[0] == f"Installed the plug-in in {profile / 'plug-ins' / 'gan-edit'}."
    assert len(done) == 2
    assert install.uninstall([profile / inside]) == [f"Removed {profile / 'plug-ins' / 'gan-edit'}."]


@pytest.mark.parametrize("name", ["GIMP/2.10", "GIMP/2.10/plug-ins", "GIMP/3.0.4", "GIMP/4.0", "GIMP/3", "GIMP"])
@pytest.mark.parametrize("action", [install.install, install.uninstall])
def test_a_folder_where_gimp_3_never_looks_is_refused(
    tmp_path: Path, name: str, action: Callable[[list[Path]], list[str]]
) -> None:
    with pytest.raises(GanEditError) as caught:
        action([tmp_path / name])
    assert caught.value.code == "no_profile"
    assert str(tmp_path / "GIMP") in caught.value.message
    assert "GIMP/3.0" in caught.value.hint.replace("\\", "/")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_profiles_is_refused_with_one_of_them(home: Path) -> None:
    make_profiles(home, "anything/3.0", "anything/3.2")
    with pytest.raises(GanEditError, match="anything holds GIMP's profiles and is none.*anything/3.2"):
        install.install([home / "anything"])


def test_a_folder_of_any_name_needs_a_variable_and_says_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = install.install([home / "own"])[1]
    assert told == f"GIMP looks there only when GIMP3_DIRECTORY is set to {home / 'own'}."
    monkeypatch.setenv("GIMP3_DIRECTORY", str(home / "own"))
    assert told not in install.install([home / "own"])


def test_a_profile_given_twice_is_installed_once(tmp_path: Path) -> None:
    assert len(install.install([tmp_path / "3.0", tmp_path / "3.0" / "plug-ins"])) == 2


def test_a_profile_that_cannot_be_written_is_a_plain_error(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(GanEditError, match="cannot be written") as raised:
        install.install([blocked])
    assert raised.value.code == "cannot_install"


def test_the_engine_program_of_this_environment_answers() -> None:
    answer = subprocess.run(
        [*install.engine_program(), "--version"], capture_output=True, text=True, check=True, cwd=os.sep
    )
    assert answer.stdout.startswith("gan-edit ")
