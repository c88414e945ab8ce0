"""The number format of the search: what is chosen, that the choice lasts, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gan_edit_engine.inversion import precision
from gan_edit_engine.inversion.invert import invert
from gan_edit_engine.inversion.latents import statistics
from gan_edit_engine.inversion.optimize import result_of
from gan_edit_engine.inversion.precision import dtype_of, faster_precision, speedup
from gan_edit_engine.inversion.prepared import Projector
from gan_edit_engine.inversion.subject import Subject
from gan_edit_engine.networks.vgg import Vgg
from gan_edit_engine.worker import workspace
from gan_edit_protocol.settings import ProjectSettings

CPU = torch.device("cpu")


@pytest.mark.parametrize(("times", "expected"), [(3.0, "bfloat16"), (1.1, "float32"), (0.0, "float32")])
def test_bfloat16_is_taken_where_it_is_plainly_faster(monkeypatch, tmp_path: Path, times, expected) -> None:
    monkeypatch.setattr(precision, "speedup", lambda device: times)
    assert faster_precision(CPU, tmp_path) == expected


def test_the_choice_is_kept_so_that_the_same_request_gives_the_same_image_tomorrow(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(precision, "speedup", lambda device: 3.0)
    faster_precision(CPU, tmp_path)
    monkeypatch.setattr(precision, "speedup", lambda device: 0.5)
    assert faster_precision(CPU, tmp_path) == "bfloat16"


@pytest.mark.parametrize("content", ["", "[]", "{", '{"x": 1}'])
def test_a_damaged_note_is_measured_anew(monkeypatch, tmp_path: Path, content: str) -> None:
    (tmp_path / "precision.json").write_text(content)
    monkeypatch.setattr(precision, "speedup", lambda device: 3.0)
    assert faster_precision(CPU, tmp_path) == "bfloat16"


def test_a_cache_that_cannot_be_written_does_no_harm(monkeypatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(precision, "speedup", lambda device: 0.5)
    assert faster_precision(CPU, tmp_path / "file" / "below") == "float32"


def test_a_precision_is_a_number_format() -> None:
    assert dtype_of("bfloat16") == torch.bfloat16
    assert dtype_of("float32") == torch.float32
    assert dtype_of("auto") == torch.float32


def test_a_device_without_the_format_keeps_float32(monkeypatch) -> None:
    def refuse(*arguments: object) -> float:
        raise RuntimeError("bfloat16 is not supported")

    monkeypatch.setattr(precision, "_time", refuse)
    assert speedup(CPU) == 0.0


def test_the_measurement_leaves_the_number_of_threads_alone() -> None:
    before = torch.get_num_threads()
    assert speedup(CPU) > 0
    assert torch.get_num_threads() == before


def test_a_search_in_bfloat16_finds_an_image_as_near_and_gives_it_in_float32(tiny_generator, perceptual) -> None:
    target = tiny_generator(torch.randn(1, 32, generator=torch.Generator().manual_seed(3)))
    subject = Subject(target, torch.ones(1, 1, 16, 16))
    found = {}
    for choice in ("float32", "bfloat16"):
        settings = ProjectSettings(steps=80, precision=choice)
        found[choice] = result_of(
            invert(Projector(tiny_generator, statistics(tiny_generator, CPU), settings, perceptual), subject)
        )
    exact, coarse = found["float32"], found["bfloat16"]
    assert not torch.equal(exact.ws, coarse.ws)
    assert abs(exact.psnr - coarse.psnr) < 2
    assert torch.equal(coarse.image, tiny_generator.synthesis(coarse.ws))


def test_features_of_a_vgg_in_bfloat16_are_nearly_the_same_numbers() -> None:
    generator = torch.Generator().manual_seed(0)
    state = {f"features.{i}.weight": torch.randn(8, c, 3, 3, generator=generator) / 5 for i, c in ((0, 3), (2, 8))}
    state |= {f"features.{i}.bias": torch.zeros(8) for i in (0, 2)}
    image = torch.rand(1, 3, 16, 16, generator=generator)
    exact, coarse = (Vgg("vgg16", state, ["conv1_2"], dtype)(image)[0] for dtype in (torch.float32, torch.bfloat16))
    assert coarse.dtype == torch.float32
    assert 0 < (exact - coarse).abs().max() < 0.03 * exact.max()


def test_auto_is_resolved_before_a_search_and_l_bfgs_stays_exact(monkeypatch) -> None:
    monkeypatch.setattr(workspace, "faster_precision", lambda device, cache: "bfloat16")
    desk = workspace.Workspace(CPU)

    def resolved(**settings) -> str:
        return result_of(desk.explore("default", ProjectSettings(axes="own", **settings))).settings.precision

    assert resolved() == "bfloat16"
    assert resolved(precision="float32") == "float32"
    assert resolved(optimizer="lbfgs") == "float32"
