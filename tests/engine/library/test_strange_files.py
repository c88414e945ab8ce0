"""What others may put into the models folder: names and texts that command a terminal, pipes, endless headers."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import pytest
from small_generators import small_stylegan2
from typer.testing import CliRunner

from gan_edit_engine.checkpoints import CheckpointError, read_discriminator, read_generator, safetensors_file
from gan_edit_engine.cli import models as models_cli
from gan_edit_engine.library import importing, models
from gan_edit_engine.library.models_folder import MODELS_DIR_VARIABLE, model_names
from gan_edit_engine.service.surroundings import Surroundings
from gan_edit_engine.system.printable import MAX_CHARACTERS, printable
from gan_edit_protocol import connection
from gan_edit_protocol.connection import Connection
from gan_edit_protocol.errors import EngineUnavailableError, GanEditError

COMMANDS = "\x1b]0;evil\x07\x1b[31m\r\n\x9b2J"
MARKUP = "[bold red]loud[/] :cat: [link=file:///]here[/link]"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv(MODELS_DIR_VARIABLE, str(folder))
    monkeypatch.setenv("COLUMNS", "300")
    return folder


def put(folder: Path, name: str, **header: str) -> None:
    safetensors_file.write(folder / f"{name}.safetensors", small_stylegan2(), header)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(models_cli.app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def prints(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


@pytest.mark.parametrize("kind", ["domain", "licence"])
def test_a_table_shows_what_a_file_says_and_does_nothing_of_it(folder: Path, kind: str) -> None:
    put(folder, "some", **{kind: f"{MARKUP}{COMMANDS}"})
    shown = run("list")
    assert prints(shown)
    assert f"{MARKUP}\\x1b]0;evil\\x07" in shown
    assert prints(run("info", "some"))
    assert f"{MARKUP}\\x1b" in run("info", "some")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("[red]x[:cat:]", "[red]x[:cat:]"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("two\nlines", "two\\nlines"),
        ("right\u202eleft", "right\\u202eleft"),
        ("Kätzchen 猫", "Kätzchen 猫"),
    ],
)
def test_a_files_name_is_listed_as_it_can_be_shown_and_found_by_that(folder: Path, name: str, shown: str) -> None:
    put(folder, name)
    assert model_names() == ("default", shown)
    assert shown in run("list")
    assert prints(run("list"))
    assert json.loads(run("list", "--json"))["installed"][1]["name"] == shown
    assert models.open_model(shown).info.name == shown
    with pytest.raises(GanEditError) as unknown:
        models.open_model("nothere")
    assert shown in unknown.value.hint
    assert prints(str(unknown.value))


def test_a_name_that_is_no_text_spoils_no_list(folder: Path) -> None:
    put(folder, os.fsdecode(b"latin \xe9"))
    assert model_names() == ("default", "latin \\udce9")
    assert "cats256" in run("list")
    with pytest.raises(CheckpointError, match="not valid UTF-8") as caught:
        models.open_model("latin \\udce9")
    assert prints(caught.value.message)


def test_an_error_quotes_a_file_in_one_line_that_prints(tmp_path: Path) -> None:
    safetensors_file.write(tmp_path / "x\x1b[2J.safetensors", small_stylegan2(), {"align_points": COMMANDS})
    with pytest.raises(CheckpointError) as caught:
        models.open_model(tmp_path / "x\x1b[2J.safetensors")
    assert prints(caught.value.message)
    assert "x\\x1b[2J.safetensors" in caught.value.message


def test_a_text_without_end_is_cut_off() -> None:
    assert printable("x" * MAX_CHARACTERS) == "x" * MAX_CHARACTERS
    assert len(printable("\0" * 10**6)) <= MAX_CHARACTERS + 1


def test_a_header_larger_than_any_models_is_not_read(folder: Path) -> None:
    put(folder, "good")
    header = json.dumps({"__metadata__": {"architecture": "stylegan2", "licence": "x" * 5_000_000}}).encode()
    (folder / "large.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    assert [info.name for info in models.installed()] == ["cats256", "good"]
    with pytest.raises(CheckpointError, match="header is larger"):
        models.open_model("large")


def test_pipes_devices_and_folders_are_no_models(folder: Path, never_waits: None) -> None:
    put(folder, "good")
    os.mkfifo(folder / "pipe.safetensors")
    (folder / "device.safetensors").symlink_to("/dev/zero")
    (folder / "folder.safetensors").mkdir()
    (folder / "gone.safetensors").symlink_to("nowhere")
    assert model_names() == ("default", "good")
    assert [info.name for info in models.installed()] == ["cats256", "good"]
    assert "good" in run("list")
    for name in ("pipe", "device", "folder", "gone"):
        with pytest.raises(GanEditError, match="no model or file"):
            models.open_model(name)
        with pytest.raises(GanEditError, match="no imported model"):
            importing.remove_model(name)


def test_a_pipe_or_device_that_is_given_as_a_file_is_named_and_not_opened(tmp_path: Path, never_waits: None) -> None:
    os.mkfifo(tmp_path / "pipe.safetensors")
    for path in (tmp_path / "pipe.safetensors", Path("/dev/zero")):
        for read in (read_generator, read_discriminator, safetensors_file.read_header, importing.import_model):
            with pytest.raises(CheckpointError, match="a pipe or a device"):
                read(path)


@pytest.mark.parametrize("place", ["mine.safetensors", "discriminators/mine.safetensors"])
def test_nothing_is_imported_into_a_pipe(folder: Path, tmp_path: Path, never_waits: None, place: str) -> None:
    safetensors_file.write(tmp_path / "mine.safetensors", small_stylegan2(), {})
    (folder / place).parent.mkdir(exist_ok=True)
    os.mkfifo(folder / place)
    with pytest.raises(GanEditError, match="is no file"):
        importing.import_model(tmp_path / "mine.safetensors")


def test_a_pipe_in_the_connection_files_place_is_no_engine_and_is_replaced(tmp_path: Path, never_waits: None) -> None:
    place = tmp_path / "engine.json"
    own = Connection("tcp://127.0.0.1:1", "a" * 40, "b" * 40, "c" * 40, 1)
    os.mkfifo(place, 0o600)
    with pytest.raises(EngineUnavailableError, match="holds no file"):
        connection.read(place)
    surroundings = Surroundings(place, None)
    assert not surroundings.is_published(own)
    connection.write(place, own)
    assert surroundings.is_published(own)
    assert connection.read(place) == own
