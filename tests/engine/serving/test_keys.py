"""Keys: made private, read only where they are, and of visitors who can be told apart."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from gan_edit_engine.cli.app import main
from gan_edit_engine.serving import keys
from gan_edit_protocol.errors import GanEditError


def test_the_command_makes_a_private_file_of_keys_that_are_not_to_be_guessed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "new" / "keys"
    for name in ("anna", "ben"):
        with pytest.raises(SystemExit) as ended:
            main(["keys", "--file", str(file), "--name", name])
        assert ended.value.code == 0
    printed = capsys.readouterr().out.splitlines()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    known = keys.read(file)
    assert known.of == {"anna": printed[0], "ben": printed[2]}
    assert len(printed[0]) >= 43
    assert known.name_of(printed[0]) == "anna"
    assert known.name_of(printed[2]) == "ben"


@pytest.mark.parametrize("key", ["", "x", "anna", "\udcff", "ä" * 43])
def test_what_is_no_key_is_nobodys(tmp_path: Path, key: str) -> None:
    keys.add(tmp_path / "keys", "anna")
    assert keys.read(tmp_path / "keys").name_of(key) is None


def test_a_name_has_one_key_and_is_a_name(tmp_path: Path) -> None:
    keys.add(tmp_path / "keys", "anna")
    before = (tmp_path / "keys").read_bytes()
    for name in ("anna", "", "a:b", "a\nb", "x" * 65):
        with pytest.raises(GanEditError):
            keys.add(tmp_path / "keys", name)
    assert (tmp_path / "keys").read_bytes() == before


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "holds no key"),
        ("nothing", "Line 1"),
        ("anna:" + "k" * 43 + "\nanna:" + "l" * 43, "Line 2"),
        ("anna:secret", "fewer than 16"),
        ("\xff", "cannot be read"),
    ],
)
def test_a_file_that_holds_something_else_is_refused_in_one_sentence(tmp_path: Path, content: str, told: str) -> None:
    file = tmp_path / "keys"
    file.write_bytes(content.encode("latin-1"))
    file.chmod(0o600)
    with pytest.raises(GanEditError, match=told) as caught:
        keys.read(file)
    assert caught.value.code == "bad_keys"
    assert caught.value.hint


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    keys.add(tmp_path / "keys", "anna")
    (tmp_path / "keys").chmod(mode)
    with pytest.raises(GanEditError, match="read by others"):
        keys.read(tmp_path / "keys")


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(GanEditError, match="gan-edit keys --file"):
        keys.read(tmp_path / "keys")
