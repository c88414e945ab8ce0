"""The number format of the search: what is chosen, and that the choice lasts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gan_edit_engine import precision
from gan_edit_engine.precision import search_dtype, speedup

CPU = torch.device("cpu")


@pytest.mark.parametrize(("times", "expected"), [(3.0, torch.bfloat16), (1.1, torch.float32), (0.0, torch.float32)])
def test_bfloat16_is_taken_where_it_is_plainly_faster(monkeypatch, tmp_path: Path, times, expected) -> None:
    monkeypatch.setattr(precision, "speedup", lambda device: times)
    assert search_dtype("auto", CPU, tmp_path) == expected


def test_the_choice_is_kept_so_that_the_same_request_gives_the_same_image_tomorrow(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(precision, "speedup", lambda device: 3.0)
    search_dtype("auto", CPU, tmp_path)
    monkeypatch.setattr(precision, "speedup", lambda device: 0.5)
    assert search_dtype("auto", CPU, tmp_path) == torch.bfloat16


@pytest.mark.parametrize("content", ["", "[]", "{", '{"x": 1}'])
def test_a_damaged_note_is_measured_anew(monkeypatch, tmp_path: Path, content: str) -> None:
    (tmp_path / "precision.json").write_text(content)
    monkeypatch.setattr(precision, "speedup", lambda device: 3.0)
    assert search_dtype("auto", CPU, tmp_path) == torch.bfloat16


def test_a_cache_that_cannot_be_written_does_no_harm(monkeypatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(precision, "speedup", lambda device: 0.5)
    assert search_dtype("auto", CPU, tmp_path / "file" / "below") == torch.float32


def test_a_format_that_is_asked_for_is_not_measured(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(precision, "speedup", None)
    assert search_dtype("bfloat16", CPU, tmp_path) == torch.bfloat16
    assert search_dtype("float32", CPU, tmp_path) == torch.float32


def test_a_device_without_the_format_keeps_float32(monkeypatch) -> None:
    def refuse(*arguments: object) -> float:
        raise RuntimeError("bfloat16 is not supported")

    monkeypatch.setattr(precision, "_time", refuse)
    assert speedup(CPU) == 0.0


def test_the_measurement_leaves_the_number_of_threads_alone() -> None:
    before = torch.get_num_threads()
    assert speedup(CPU) > 0
    assert torch.get_num_threads() == before
