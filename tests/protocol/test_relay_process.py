"""The client's side of the relay: a process that is ended without losing what was sent to it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gan_edit_protocol import transport
from gan_edit_protocol.errors import EngineUnavailableError
from gan_edit_protocol.launch import clean_environment
from gan_edit_protocol.transport import PipeTransport


def test_the_relay_reads_all_that_was_sent_before_it_ends(tmp_path: Path) -> None:
    """It may not even have started when it is closed."""
    program = f"import pathlib, sys; pathlib.Path({str(tmp_path / 'read')!r}).write_bytes(sys.stdin.buffer.read())"
    relay = PipeTransport([sys.executable, "-c", program], clean_environment())
    relay.send([b"first"])
    relay.send([b"last"])
    relay.close()
    assert (tmp_path / "read").read_bytes().endswith(b"last")


def test_a_relay_that_does_not_end_with_its_input_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "RELAY_END_SECONDS", 0.1)
    relay = PipeTransport([sys.executable, "-c", "import time; time.sleep(600)"], clean_environment())
    relay.close()
    assert relay._process.returncode != 0


def test_a_relay_that_has_ended_is_closed_like_any_other() -> None:
    relay = PipeTransport([sys.executable, "-c", ""], clean_environment())
    relay._process.wait()
    relay.close()


def sentence_of(program: str, **variables: str) -> str:
    """What whoever listens to a relay that is this program is told at its end; whoever sends is told the same."""
    relay = PipeTransport([sys.executable, "-c", program], {**clean_environment(), **variables})
    try:
        with pytest.raises(EngineUnavailableError) as told:
            relay.receive(60)
        with pytest.raises(EngineUnavailableError) as told_again:
            relay.send([bytes(1 << 20)])
    finally:
        relay.close()
    assert str(told.value) == str(told_again.value)
    return str(told.value)


def test_why_a_relay_ends_is_told_in_its_own_sentence() -> None:
    program = "import sys; print('a warning', 'gan-edit: No key. Give one.', 'junk', sep='\\n', file=sys.stderr)"
    assert sentence_of(program) == "No key. Give one."


def test_its_letters_are_read_as_they_are_written_whatever_the_system_writes() -> None:
    assert sentence_of("import sys; sys.exit('gan-edit: Größe “é”.')", PYTHONIOENCODING="latin-1") == "Größe “é”."


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("raise ImportError('no httpx')", "was lost (ImportError: no httpx). Try again."),
        ("import os; os.abort()", "The connection to the GAN Edit engine was lost"),
        ("import sys; sys.stderr.buffer.write(b'\\xff' * 5000)", "was lost (\ufffd\ufffd"),
    ],
)
def test_a_relay_that_ends_without_a_sentence_is_a_lost_connection(program: str, told: str) -> None:
    assert told in sentence_of(program)
    assert len(sentence_of(program)) < 1200


def test_a_relay_that_says_much_is_not_held_up() -> None:
    program = "import sys; sys.stderr.write('no matter\\n' * 500_000); sys.exit('gan-edit: The end.')"
    assert sentence_of(program) == "The end."
