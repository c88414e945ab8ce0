"""The client's side of the relay: a process that is ended without losing what was sent to it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gan_edit_protocol import transport
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
