"""The number format of the search: what is chosen, that the choice lasts, and what it leaves alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from snapshots import small_stylegan2

from gan_edit_engine.generators import Generator
from gan_edit_engine.inversion import precision
from gan_edit_engine.inversion.invert import invert
from gan_edit_engine.inversion.latents import statistics
from gan_edit_engine.inversion.optimize import result_of
from gan_edit_engine.inversion.precision import dtype_of, faster_precision, processor_speedup, speedup
from gan_edit_engine.inversion.prepared import Projector
from gan_edit_engine.inversion.search_size import search_side
from gan_edit_engine.inversion.subject import Drawing, Subject, synthesise
from gan_edit_engine.networks.vgg import Vgg
from gan_edit_engine.worker import workspace
from gan_edit_protocol.settings import ProjectSettings

CPU = torch.device("cpu")
CARD = torch.device("mps")  # the name is asked for, and nothing computed there


def choice(generator: Generator, cache: Path, device: torch.device = CPU) -> str:
    return faster_precision(generator, device, cache)


@pytest.fixture
def takes(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Pretends that bfloat16 is measured to be so many times faster."""
    return lambda times: monkeypatch.setattr(precision, "speedup", lambda run, clock: times)


@pytest.mark.parametrize(
    ("device", "times", "expected"),
    [
        (CPU, 3.0, "bfloat16"),
        (CPU, 1.1, "float32"),
        (CPU, 0.0, "float32"),
        (CARD, 3.0, "bfloat16"),
        (CARD, 1.4, "float32"),
        (CARD, 0.9, "float32"),
    ],
)
def test_bfloat16_is_taken_where_it_is_plainly_faster(
    takes, tiny_generator, tmp_path: Path, device, times, expected
) -> None:
    takes(times)
    assert choice(tiny_generator, tmp_path, device) == expected


@pytest.mark.parametrize("device", [CPU, CARD], ids=str)
def test_the_choice_is_kept_so_that_the_same_request_gives_the_same_image_tomorrow(
    takes, tiny_generator, tmp_path: Path, device
) -> None:
    takes(3.0)
    choice(tiny_generator, tmp_path, device)
    takes(0.5)
    assert choice(tiny_generator, tmp_path, device) == "bfloat16"


def test_a_card_is_asked_about_each_model_and_a_processor_once(takes, tiny_generator, tmp_path: Path) -> None:
    other = small_stylegan2()
    takes(3.0)
    assert [choice(tiny_generator, tmp_path, device) for device in (CPU, CARD)] == ["bfloat16", "bfloat16"]
    takes(0.9)
    assert [choice(other, tmp_path, device) for device in (CPU, CARD)] == ["bfloat16", "float32"]
    assert choice(tiny_generator, tmp_path, CARD) == "bfloat16"


@pytest.mark.parametrize("content", ["", "[]", "{", '{"x": 1}'])
def test_a_damaged_note_is_measured_anew(takes, tiny_generator, tmp_path: Path, content: str) -> None:
    (tmp_path / "precision.json").write_text(content)
    takes(3.0)
    assert choice(tiny_generator, tmp_path) == "bfloat16"


def test_a_cache_that_cannot_be_written_does_no_harm(takes, tiny_generator, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    takes(0.5)
    assert choice(tiny_generator, tmp_path / "file" / "below") == "float32"


def test_a_precision_is_a_number_format() -> None:
    assert dtype_of("bfloat16") == torch.bfloat16
    assert dtype_of("float32") == torch.float32
    assert dtype_of("auto") == torch.float32


class Machine:
    """Runs that take the seconds they are told to, by a clock of their own; the last of them again and again."""

    def __init__(self, float32: list[float], bfloat16: list[float]) -> None:
        self.now, self.runs = 0.0, 0
        self._seconds = {torch.float32: float32, torch.bfloat16: bfloat16}

    def run(self, dtype: torch.dtype) -> None:
        self.runs += 1
        left = self._seconds[dtype]
        self.now += left.pop(0) if len(left) > 1 else left[0]

    def speedup(self) -> float:
        return speedup(self.run, lambda: self.now)


def test_neither_the_first_run_nor_those_that_were_disturbed_count() -> None:
    # What a graphics card took, and what it does when it loads or has others' work to do.
    slow_start, disturbed = 8.0, 0.09
    machine = Machine([slow_start, disturbed, disturbed, 0.023, disturbed, disturbed], [0.026])
    assert machine.speedup() == pytest.approx(0.023 / 0.026)


def test_what_takes_long_is_not_measured_often() -> None:
    machine = Machine([4.0], [2.0])
    assert machine.speedup() == pytest.approx(2.0)
    assert machine.runs == 4


def test_a_clock_that_is_too_coarse_to_tell_keeps_float32() -> None:
    assert Machine([0.0], [0.0]).speedup() == 0.0


def test_a_device_without_the_format_keeps_float32() -> None:
    def refuse(dtype: torch.dtype) -> None:
        raise RuntimeError("bfloat16 is not supported")

    assert speedup(refuse, time.perf_counter) == 0.0


def test_a_full_memory_is_no_answer(tiny_generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(*arguments: object) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(precision, "synthesise", fill)
    with pytest.raises(RuntimeError, match="out of memory"):
        choice(tiny_generator, tmp_path, CARD)
    assert not (tmp_path / "precision.json").exists()


def test_the_measurement_leaves_the_number_of_threads_alone() -> None:
    before = torch.get_num_threads()
    assert processor_speedup() > 0
    assert torch.get_num_threads() == before


def test_a_card_is_asked_for_what_a_search_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator, drawn = small_stylegan2(resolution=256, channel_base=512, channel_max=4), []

    def draw(generator: Generator, ws: torch.Tensor, drawing: Drawing) -> torch.Tensor:
        image = synthesise(generator, ws, drawing)
        drawn.append((drawing.dtype, image.shape[-1]))
        return image

    monkeypatch.setattr(precision, "synthesise", draw)
    assert choice(generator, tmp_path, CARD) in ("float32", "bfloat16")
    assert {side for _, side in drawn} == {search_side(generator)} == {128}
    assert {dtype for dtype, _ in drawn} == {torch.float32, torch.bfloat16}
    assert generator.synthesis.b4.compute_dtype == torch.float32


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
    monkeypatch.setattr(workspace, "faster_precision", lambda generator, device, cache: "bfloat16")
    desk = workspace.Workspace(CPU)

    def resolved(**settings) -> str:
        return result_of(desk.explore("default", ProjectSettings(axes="own", **settings))).settings.precision

    assert resolved() == "bfloat16"
    assert resolved(precision="float32") == "float32"
    assert resolved(optimizer="lbfgs") == "float32"
