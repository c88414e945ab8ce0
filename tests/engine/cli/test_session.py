"""Which engine a command uses, and with how many workers."""

from __future__ import annotations

import pytest

from gan_edit_engine.cli.session import MAX_WORKERS, computes_on, count_of
from gan_edit_protocol.errors import SettingError
from gan_edit_protocol.events import EngineStatus, WorkerStatus


@pytest.mark.parametrize(
    ("device", "described", "expected"),
    [
        ("cpu", ["cpu"], True),
        ("cpu", ["cpu", "", "cpu"], True),  # one has not started yet
        ("cpu", [""], False),
        ("cpu", [], False),
        ("cuda", ["cuda:0 (H100)", "cuda:1 (H100)"], True),
        ("cuda:1", ["cuda:1 (H100)"], True),
        ("cuda:1", ["cuda:0 (H100)", "cuda:1 (H100)"], False),  # a job might get either
        ("cuda:1", ["cuda:10 (H100)"], False),
        ("cpu", ["cuda:0 (H100)"], False),
    ],
)
def test_an_engine_computes_on_a_device_when_all_its_workers_do(
    device: str, described: list[str], expected: bool
) -> None:
    status = EngineStatus(workers=tuple(WorkerStatus("idle", name) for name in described))
    assert computes_on(device, status) is expected


def test_a_number_of_workers_is_given_or_left_to_the_devices() -> None:
    assert [count_of(text) for text in ("auto", "1", str(MAX_WORKERS))] == [None, 1, MAX_WORKERS]


@pytest.mark.parametrize("text", ["0", "-1", str(MAX_WORKERS + 1), "two", "", "1.5", "9" * 5000])
def test_what_is_no_number_of_workers_is_told_in_a_sentence(text: str) -> None:
    with pytest.raises(SettingError, match="is no number of workers. Give one from 1 to 256, or auto."):
        count_of(text)
