"""Several pictures are looked at at once, each by threads of its own, and afterwards all is as it was."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from gan_edit_engine.finding.abreast import abreast


@pytest.fixture
def four_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("parts", "share"), [(1, 2), (2, 2), (4, 1), (9, 1)])
def test_the_parts_share_the_threads_and_give_them_back(four_threads: None, parts: int, share: int) -> None:
    def compute(part: int) -> tuple[int, int, bool]:
        return part, torch.get_num_threads(), torch.is_inference_mode_enabled()

    assert abreast(compute, range(parts)) == [(part, share, True) for part in range(parts)]
    assert torch.get_num_threads() == 4


def test_two_parts_are_computed_at_the_same_time(four_threads: None) -> None:
    both = threading.Barrier(2)
    abreast(lambda part: both.wait(timeout=60), "ab")
    assert not both.broken


def test_what_one_part_raises_is_raised_and_the_threads_are_given_back(four_threads: None) -> None:
    with pytest.raises(ZeroDivisionError):
        abreast(lambda part: 1 / part, [1, 0, 1])
    assert torch.get_num_threads() == 4


def test_one_thread_computes_all_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert set(abreast(lambda part: threading.current_thread(), range(3))) == {threading.current_thread()}
