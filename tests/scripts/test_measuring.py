"""The scripts that measure: the yardstick is what it says, and the figures are worked out right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import bench
import compare_projectors
from gan_edit_engine import generators
from gan_edit_engine.generators.stylegan2 import StyleGAN2Config
from gan_edit_engine.inversion.invert import Subject
from gan_edit_engine.inversion.latents import statistics
from gan_edit_engine.inversion.optimize import Step, result_of
from gan_edit_engine.inversion.perceptual import load_perceptual
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
    image = result_of(project_officially(generator, statistics(generator, CPU), lite0, subject, 60), steps.append)
    assert [len(steps), steps[-1].of] == [60, 60]
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


@pytest.mark.slow
def test_the_bench_times_every_part_against_the_first_of_its_group() -> None:
    app = bench.typer.Typer()
    app.command()(bench.bench)
    arguments = ["--rounds", "1", "--threads", "1", "--json"]
    found = json.loads(CliRunner().invoke(app, arguments, catch_exceptions=False).stdout)
    assert all(milliseconds > 0 for group in found["ms"].values() for milliseconds in group.values())
    assert list(found["ms"]["one step of a projection"])[0] == "official algorithm, float32"
