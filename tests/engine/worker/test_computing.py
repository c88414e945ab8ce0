"""What becomes of a job that goes wrong where it is computed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from gan_edit_engine.worker import computing, device
from gan_edit_engine.worker.computing import Computer
from gan_edit_protocol import wire
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.events import Failed
from gan_edit_protocol.requests import RandomRequest


def outcome(monkeypatch: pytest.MonkeyPatch, error: Exception, device_works: bool) -> Any:
    """The last event of a job in which ``error`` is raised, after which the device computes, or does not."""

    def fail(*_: object) -> Iterator[Any]:
        yield from ()
        if not device_works:
            monkeypatch.setattr(torch, "ones", refuse)
        raise error

    def refuse(*_: object, **__: object) -> torch.Tensor:
        raise RuntimeError("CUDA error: unspecified launch failure")

    computer = Computer("cpu")
    monkeypatch.setattr(computing, "perform", fail)
    *_, last = computer.messages("0" * 32, RandomRequest(), lambda: False)
    return wire.decode_event(last)[1]


def test_an_unforeseen_error_is_told_and_the_next_job_comes_here(monkeypatch: pytest.MonkeyPatch) -> None:
    told = outcome(monkeypatch, ValueError("odd"), device_works=True)
    assert isinstance(told, Failed)
    assert told.code == "internal_error"


def test_a_process_whose_device_computes_no_more_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    # A card's context that one error has broken fails all jobs that follow.
    with pytest.raises(RuntimeError, match="illegal memory access"):
        outcome(monkeypatch, RuntimeError("CUDA error: an illegal memory access was encountered"), device_works=False)


def test_what_cannot_be_done_asks_nothing_of_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    told = outcome(monkeypatch, GanEditError("bad_image", "It is none.", "Use another."), device_works=False)
    assert told.code == "bad_image"


def test_a_device_that_is_not_there_does_not_work() -> None:
    assert device.still_works(torch.device("cpu"))
    assert not device.still_works(torch.device("cuda:99"))
