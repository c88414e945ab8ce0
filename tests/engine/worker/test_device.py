"""Which devices a worker names. The cards are pretended: no more is asked of torch than how many there are."""

from __future__ import annotations

import pytest
import torch

from gan_edit_engine.worker.device import devices_like


@pytest.fixture(autouse=True)
def _three_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)


@pytest.mark.parametrize(
    ("chosen", "names"),
    [("cuda", ["cuda:1", "cuda:0", "cuda:2"]), ("cuda:2", ["cuda:2"]), ("cpu", ["cpu"]), ("mps", ["mps"])],
)
def test_the_own_device_comes_first_and_others_unless_it_was_chosen_by_its_number(
    chosen: str, names: list[str]
) -> None:
    assert list(map(str, devices_like(torch.device(chosen)))) == names
