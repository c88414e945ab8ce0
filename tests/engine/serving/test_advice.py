"""What a visitor reads of failures and notices: nothing of GIMP, of a shell, or of the server's files."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import gan_edit_engine
from gan_edit_engine.imaging.preflight import nothing_painted
from gan_edit_engine.imaging.square import nothing_selected, outside_crop
from gan_edit_engine.serving import advice
from gan_edit_engine.system.out_of_memory import out_of_memory
from gan_edit_protocol.errors import EngineUnavailableError, GanEditError, JobFailedError
from gan_edit_protocol.events import Notice

ROOT = Path(gan_edit_engine.__file__).parent
ELSEWHERE = re.compile(r"--\w|\b(?:gan-edit|crop|pip|path)\b|GIMP|dialog|scribble|command|process|/|~|\.py\b")
"""What the page has not."""


def codes(*rooms: str) -> Iterator[str]:
    """All that errors made in these rooms have, as far as they are written there."""
    for file in (file for room in rooms for file in sorted((ROOT / room).rglob("*.py"))):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("GanEditError", "Failed"):
                first = node.args[0] if node.args else None
                if isinstance(first, ast.Constant):
                    yield str(first.value)


ENGINES = ("worker", "service", "inversion", "imaging", "library")


@pytest.mark.parametrize("code", sorted({*codes(*ENGINES), "some_new_one"}))
def test_whatever_the_engine_fails_with_makes_sense_on_the_page(code: str) -> None:
    engine = JobFailedError(code, "What is wrong.", "Move the square in the dialog, or give --crop to gan-edit.")
    told = advice.of_failure(engine)
    assert told.code == code
    assert told.message
    assert told.hint
    assert not ELSEWHERE.search(f"{told.message} {told.hint}")


@pytest.mark.parametrize("error", [nothing_painted(), nothing_selected(), outside_crop(), out_of_memory()])
def test_sentences_of_the_engine_that_visitors_read_speak_of_nothing_else(error: GanEditError) -> None:
    told = advice.of_failure(JobFailedError(error.code, error.message, error.hint))
    assert not ELSEWHERE.search(f"{told.message} {told.hint}")


def test_where_the_servers_files_are_is_for_its_log(caplog: pytest.LogCaptureFixture) -> None:
    for error in (
        EngineUnavailableError("The connection file /home/ben/engine.json is damaged.", "Delete it."),
        JobFailedError("worker_start", "It does not start: /usr/lib/torch.so is missing."),
    ):
        told = advice.of_failure(error)
        assert not ELSEWHERE.search(f"{told.message} {told.hint}")
        assert error.message in caplog.text


def test_what_is_wrong_with_a_visitors_file_is_said_as_it_is() -> None:
    told = advice.of_failure(GanEditError("bad_image", "a.gif is a GIF picture.", "Export it as PNG."))
    assert (told.message, told.hint) == ("a.gif is a GIF picture.", "Export it as PNG.")
    full = advice.of_failure(GanEditError("out_of_memory", "The memory is full.", "Close other programs."))
    assert "programs" not in full.hint


def test_a_notice_says_what_can_be_done_on_the_page() -> None:
    noticed = advice.of_notice(Notice("What the model sees is strange.", "Move the square onto it."))
    assert noticed.message == "What the model sees is strange."
    assert "Selection" in noticed.hint
    assert advice.of_notice(Notice("Only known.")) == Notice("Only known.")
