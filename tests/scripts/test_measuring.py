"""The scripts that measure: the yardstick is what it says, and the figures are worked out right."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import conv_flop_count, flop_registry
from typer.testing import CliRunner

import bench
import compare_projectors
import narrow_lpips
from benching import large, parts, turns
from gan_edit_engine import generators
from gan_edit_engine.checkpoints import safetensors_file
from gan_edit_engine.finding.network import FinderNetworks
from gan_edit_engine.generators.stylegan2 import StyleGAN2Config
from gan_edit_engine.inversion.latents import statistics
from gan_edit_engine.inversion.optimize import Step, result_of
from gan_edit_engine.inversion.perceptual import load_lpips, load_perceptual
from gan_edit_engine.inversion.prepared import Projector
from gan_edit_engine.inversion.subject import Subject
from gan_edit_engine.library.models_folder import MODELS_DIR_VARIABLE
from gan_edit_engine.networks.encoder import Encoder, EncoderConfig
from gan_edit_engine.worker import workspace
from gan_edit_protocol.settings import ProjectSettings
from official_projector import project_officially

CPU = torch.device("cpu")


def test_the_official_algorithm_finds_an_image_in_w_and_throws_its_noise_away() -> None:
    torch.manual_seed(0)
    config = StyleGAN2Config(z_dim=8, w_dim=8, resolution=16, channel_base=64, channel_max=8, mapping_layers=1)
    generator = generators.build(config).requires_grad_(False).eval()
    for name, weight in generator.named_parameters():
        if name.endswith("noise_strength"):
            weight += 0.5
    target = generator(torch.randn(1, 8)).clamp(-1, 1)
    lite0 = load_perceptual("efficientnet-lite0", CPU)
    subject = Subject(target, torch.ones(1, 1, 16, 16))
    steps: list[Step] = []
    projector = Projector(generator, statistics(generator, CPU), ProjectSettings(precision="float32"), lite0)
    image = result_of(project_officially(projector, subject, 60), steps.append)
    assert len(steps) == 60
    shown = lite0.target(target, subject.weight)
    start = generator.synthesis(generator.w_avg.expand(1, generator.num_ws, -1))
    assert lite0.loss(image, shown) < lite0.loss(start, shown)
    # The step's image had searched noise; the result has the model's own, and is another image.
    assert not torch.allclose(image, steps[-1].image, atol=1e-2)


def test_the_table_gives_means_and_the_ratios_aimed_at(tmp_path: Path) -> None:
    def row(photo: str, reached: float | None, **more: object) -> dict[str, object]:
        figures = {"photo": photo, "ssim": 0.5, "steps": 10}
        return {
            "photo": photo,
            "official": {"lpips": 0.2, "psnr": 15.0, "seconds": 100.0, **figures},
            "default": {"lpips": 0.1, "psnr": 22.0, "seconds": 30.0, **figures},
            "reached_after": reached,
            **more,
        }

    results = tmp_path / "results.jsonl"
    longer = {"lpips": 0.08, "psnr": 24.0, "seconds": 100.0, "photo": "b", "ssim": 0.5, "steps": 33}
    rows = [row("a", 5.0), row("b", 7.0, equal_time=longer), row("c", None)]
    results.write_text("".join(json.dumps(each) + "\n" for each in rows))
    table = compare_projectors.table(compare_projectors.read(results))
    assert "(3 photos), in 0.30 of the official seconds: LPIPS 50 % lower, PSNR 7.0 dB higher." in table
    assert "(1 photos), in 1.00 of the official seconds: LPIPS 60 % lower, PSNR 9.0 dB higher." in table
    assert "on 2 of 3 photos, after 0.060 of its time" in table


def test_without_results_the_comparison_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(compare_projectors.GanEditError, match="no results") as caught:
        compare_projectors.compare(tmp_path / "none.jsonl")
    assert "--photos" in caught.value.hint


class Clock:
    """A clock that goes only when it is told to."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def perf_counter(self) -> float:
        return self.seconds


def test_cases_take_turns_and_the_median_counts_without_the_first_two(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, order = Clock(), []
    monkeypatch.setattr(turns, "time", clock)

    def case(name: str, *seconds: float) -> turns.Case:
        left = iter(seconds)

        def run() -> None:
            order.append(name)
            clock.seconds += next(left)

        return run

    group = {"a": case("a", 50, 60, 1, 2, 9), "b": case("b", 0, 0, 0.004, 0.002, 0.003)}
    assert dict(turns.measure(group, 3, CPU)) == pytest.approx({"a": 2000, "b": 3})
    assert order == ["a", "b"] * 5


def test_an_edit_in_a_large_model_is_set_against_its_steps_at_full_size() -> None:
    found = large.LargeEdit(first_edit=20.0, next_edit=10.0, step=2.0, peak=1)
    # 32 looks for the axes, 40 steps of the projection, and in W+ the last quarter of 30.
    assert found.at_full_size(first=True) == 2 * (32 + 40 + 7)
    assert found.at_full_size(first=False) == 2 * (40 + 7)


@pytest.mark.slow
def test_the_bench_makes_two_edits_in_a_large_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MODELS_DIR_VARIABLE, str(tmp_path / "models"))
    monkeypatch.setenv("GAN_EDIT_CACHE_DIR", str(tmp_path / "cache"))
    narrow_lpips.install()
    config = StyleGAN2Config(z_dim=8, w_dim=8, resolution=64, channel_base=512, channel_max=8, mapping_layers=1)
    monkeypatch.setattr(large, "LARGE", config)
    stages: list[set[str]] = []
    perform = large.perform

    def seen(*arguments: Any) -> list[Any]:
        events = list(perform(*arguments))
        stages.append({getattr(event, "stage", "") for event in events})
        return events

    monkeypatch.setattr(large, "perform", seen)
    app = bench.typer.Typer()
    app.command()(bench.bench)
    arguments = ["--device", "cpu", "--threads", "1", "--large"]
    found = json.loads(CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False).stdout)
    assert all(found[name] > 0 for name in ("first_edit", "next_edit", "step"))
    assert found["peak"] > 50 << 20
    assert ["Exploring the model" in each for each in stages] == [True, False]
    assert "random weights" in CliRunner().invoke(app, arguments, catch_exceptions=False).stdout


def test_only_the_groups_that_are_asked_for_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MODELS_DIR_VARIABLE, str(tmp_path / "models"))  # without LPIPS, which others of them need
    monkeypatch.setattr(workspace, "PROBES", 2)
    app = bench.typer.Typer()
    app.command()(bench.bench)
    arguments = ["--device", "cpu", "--threads", "1", "--rounds", "1", "--only", "first latent", "--only", "of the lat"]
    found = json.loads(CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False).stdout)
    assert list(found["ms"]) == ["image and gradient of the latent", "a photo's first latent"]


class Operations(TorchDispatchMode):
    """A clock that goes by what is computed: the same for every run, on any machine."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, operation: Any, types: object, args: Any = (), kwargs: Any = None) -> Any:
        result = operation(*args, **(kwargs or {}))
        if operation._overloadpacket in flop_registry:
            self.count += flop_registry[operation._overloadpacket](*args, **(kwargs or {}), out_val=result)
        elif "convolution_pointwise" in str(operation):  # oneDNN's, which torch does not count
            self.count += conv_flop_count(list(args[0].shape), list(args[1].shape), list(result.shape))
        return result

    def perf_counter(self) -> float:
        return self.count / 1000  # so that what the bench calls milliseconds are operations

    def of(self, run: Callable[[], object]) -> int:
        before = self.count
        run()
        return self.count - before


@pytest.mark.slow
def test_every_part_of_the_bench_computes_what_its_title_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MODELS_DIR_VARIABLE, str(tmp_path / "models"))
    monkeypatch.setenv("GAN_EDIT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(workspace, "PROBES", 2)
    narrow_lpips.install()
    torch.manual_seed(0)
    config = StyleGAN2Config(z_dim=8, w_dim=8, resolution=32, channel_base=512, channel_max=16, mapping_layers=1)
    generator = generators.build(config).requires_grad_(False).eval()
    safetensors_file.write(tmp_path / "tiny.safetensors", generator, {})
    every = parts.Bench.groups
    # Laying an edit on a photo is not torch's work, and no operation of it is counted.
    monkeypatch.setattr(
        parts.Bench,
        "groups",
        lambda self: {title: make for title, make in every(self).items() if "laid" not in title},
    )
    app = bench.typer.Typer()
    app.command()(bench.bench)
    arguments = ["--model", str(tmp_path / "tiny.safetensors"), "--device", "cpu", "--rounds", "1", "--threads", "1"]
    arguments += ["--photos", "6"]  # by one, two, three and six at once
    ws, image, everywhere = torch.zeros(1, generator.num_ws, 8), torch.zeros(1, 3, 32, 32), torch.ones(1, 1, 32, 32)
    lpips, lite0 = load_lpips(CPU), load_perceptual("efficientnet-lite0", CPU)
    encoder = Encoder(EncoderConfig(generator.num_ws, 8, 1.0)).eval()
    with Operations() as operations:
        monkeypatch.setattr(turns, "time", operations)
        answer = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False).stdout
        found = {title: list(group.values()) for title, group in json.loads(answer)["ms"].items()}
        # What is searched for gets its gradient through as many operations as the way there took.
        drawn = 2 * operations.of(lambda: generator.synthesis(ws))
        seen, seen_by_lite0 = (
            2 * (operations.of(lambda: network.target(image, everywhere)))  # noqa: B023
            for network in (lpips, lite0)
        )
        read = operations.of(lambda: encoder(image))
        heat = operations.of(lambda: FinderNetworks().eval().detect(torch.zeros(1, 3, 272, 416)))
    step = drawn + seen
    expected = {
        "image and gradient of the latent": [drawn, drawn],
        "LPIPS and gradient of the image": [seen, seen],
        "one step of a projection": [step, step, step, drawn + seen_by_lite0],
        "one step of an edit": [drawn, drawn],
        "a photo's first latent": [step, read],
        "a finder's heat on the finest level": [heat, heat],
        # The same operations, however many photos a pass takes.
        "a step's loss and gradient for 6 photos, seen at 32 pixels": [6 * step] * 4,
    }
    assert found == {title: pytest.approx(operations, rel=0.1) for title, operations in expected.items()}
    assert list(json.loads(answer)["ms"]["one step of a projection"])[0] == "official algorithm, float32"
