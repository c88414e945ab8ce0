"""The connection file: only its owner may read it, and what is not one is refused in plain words."""

from __future__ import annotations

import json
import stat
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from gan_edit_protocol import connection
from gan_edit_protocol.connection import Connection
from gan_edit_protocol.errors import EngineUnavailableError
from protocol.strategies import json_values

KEY = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"  # the example key of rfc.zeromq.org/spec/32
GOOD = Connection("tcp://127.0.0.1:40000", KEY, KEY, KEY, 4711)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "engine.json"


def test_what_is_written_is_read(file: Path) -> None:
    connection.write(file, GOOD)
    assert connection.read(file) == GOOD


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no file modes; the user's folder is private there")
def test_the_file_and_its_folder_are_for_the_owner_only(file: Path) -> None:
    connection.write(file, GOOD)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no file modes")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_that_others_can_read_or_write_is_refused(file: Path, mode: int) -> None:
    connection.write(file, GOOD)
    file.chmod(mode)
    with pytest.raises(EngineUnavailableError, match="can be read by others.*Delete it"):
        connection.read(file)


def test_nothing_is_left_beside_the_file(file: Path) -> None:
    connection.write(file, GOOD)
    connection.write(file, GOOD)
    assert [path.name for path in file.parent.iterdir()] == ["engine.json"]


def test_a_missing_file_says_that_no_engine_runs(file: Path) -> None:
    with pytest.raises(EngineUnavailableError, match="No GAN Edit engine is running"):
        connection.read(file)


@pytest.mark.parametrize(
    "changes",
    [
        {"pid": "4711"},
        {"pid": None},
        {"endpoint": "tcp://example.com:80"},
        {"endpoint": "ipc:///tmp/socket"},
        {"endpoint": 5},
        {"server_public": "short"},
        {"client_secret": "~" * 40},
        {"client_public": list("0" * 40)},
        {"more": 1},
    ],
)
def test_a_file_with_a_bad_entry_is_called_damaged(file: Path, changes: dict[str, Any]) -> None:
    connection.write(file, GOOD)
    file.write_text(json.dumps({**asdict(GOOD), **changes}))
    with pytest.raises(EngineUnavailableError, match="is damaged"):
        connection.read(file)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=json_values)
def test_no_content_raises_anything_but_a_named_error(file: Path, values: Any) -> None:
    connection.write(file, GOOD)
    file.write_text(json.dumps(values))
    with pytest.raises(EngineUnavailableError):
        connection.read(file)


def test_bytes_that_are_no_text_are_refused(file: Path) -> None:
    connection.write(file, GOOD)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(EngineUnavailableError, match="cannot be read"):
        connection.read(file)


def test_the_environment_can_name_the_file(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    monkeypatch.setenv(connection.ENVIRONMENT_VARIABLE, str(file))
    assert connection.default_path() == file
