#!/usr/bin/env python3
"""Run every experiment of the report that GAN Edit implements, and write them down as a page.

    gan-edit models pull vgg16-lpips
    scripts/reproduce_report.py --dcgan my-run/models/000060000.safetensors
    scripts/reproduce_report.py --model my-model.safetensors --output /tmp/report

Writes index.html, report.json and pictures. Pictures show scikit-image's `chelsea` (CC0) and images of the generator;
``--photos`` are measured too, but never shown.
"""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from gan_edit_engine.training.photos import read_names
from gan_edit_engine.worker.device import choose_device, describe_device
from gan_edit_engine.worker.workspace import Workspace
from gan_edit_protocol.errors import GanEditError
from report import edits, inversions, page
from report.bench import QUICK, REPORT_LAYERS, Bench, Budget, layers_network, say
from report.figure import Figure
from report.targets import chelsea_target, other_targets, sample_target

REPOSITORY = Path(__file__).resolve().parents[1]
TITLE = "The report, reproduced with GAN Edit"
OTHERS = 2  # photos of --photos that are measured


def reproduce(
    model: Annotated[str, typer.Option(help="Model name or file.")] = "default",
    dcgan: Annotated[Path | None, typer.Option(help="A DCGAN to compare with (scripts/train_dcgan.py).")] = None,
    photos: Annotated[Path | None, typer.Option(help="Folder or zip file of aligned photos to measure too.")] = None,
    names: Annotated[Path | None, typer.Option(help="List of which of them, one name a line.")] = None,
    output: Annotated[Path, typer.Option(help="Folder of the page.")] = REPOSITORY / "docs" / "report",
    device: Annotated[str | None, typer.Option(help="cuda, mps, xpu or cpu; by default the engine's choice.")] = None,
    steps: Annotated[int, typer.Option(help="Optimisation steps of each inversion and of the edit.")] = Budget.steps,
    threads: Annotated[int, typer.Option(help="Processor threads.")] = os.cpu_count() or 1,
    quick: Annotated[bool, typer.Option(help="A few steps only, to see that everything runs.")] = False,
) -> None:
    """Run all experiments."""
    started = time.monotonic()
    torch.set_num_threads(threads)
    workspace = Workspace(choose_device(device))
    chosen = read_names(names) if names else []
    budget = QUICK if quick else Budget(steps=steps, edit_steps=steps)
    benches = [bench(one, workspace, budget, photos, chosen) for one in (model, *([str(dcgan)] if dcgan else []))]
    main_bench, dcgan_bench = benches[0], benches[1] if dcgan else None
    perceptual = layers_network(REPORT_LAYERS, workspace.device)
    figures = all_figures(main_bench, dcgan_bench)
    seconds = time.monotonic() - started
    facts = describe(main_bench, dcgan_bench, perceptual.name, seconds)
    page.write(output, figures, TITLE, intro(facts, main_bench), facts)
    say(f"{output / 'index.html'}: {len(figures)} figures in {seconds / 60:.1f} minutes.")


def bench(model: str, workspace: Workspace, budget: Budget, photos: Path | None, names: list[str]) -> Bench:
    """A model with its targets: the photo, a sample of its own, and the photos that are only measured."""
    empty = Bench(model, workspace, budget)
    device = workspace.device
    targets = [chelsea_target(empty.model, device), sample_target(empty.model, device)]
    targets += other_targets(photos, names, OTHERS, empty.model, device) if photos else []
    return Bench(model, workspace, budget, targets)


def all_figures(bench: Bench, dcgan: Bench | None) -> list[Figure]:
    """In the order of the report."""
    perceptual = layers_network(REPORT_LAYERS, bench.device)
    say("Layers of the perceptual loss")
    figures = [inversions.layers(bench)]
    say("Weights of the losses")
    figures.append(inversions.weights(bench, perceptual))
    say("Latent spaces and starts")
    figures.append(inversions.spaces(bench, dcgan, perceptual))
    say("Optimisers")
    compared, trials = inversions.optimisers(bench, dcgan, perceptual)
    say("Interpolation")
    figures += [compared, edits.interpolation(bench, trials)]
    say("Style loss")
    figures.append(inversions.style(bench, perceptual))
    say("Scribble to image")
    figures.append(edits.scribbles(bench))
    say("Edit of a photo")
    return [*figures, edits.edit(bench)]


def describe(bench: Bench, dcgan: Bench | None, network: str, seconds: float) -> dict[str, Any]:
    """What the figures were made with."""
    photos = [target.name for target in bench.targets if target.photo]
    return {
        "model": about(bench),
        "dcgan": about(dcgan) if dcgan else None,
        "machine": machine(bench.device),
        "torch": torch.__version__,
        "perceptual_network": network,
        "photos": photos,
        "steps": bench.budget.steps,
        "seconds": seconds,
    }


def about(bench: Bench) -> dict[str, Any]:
    """The model, without where it lies."""
    info = bench.model.info
    return {"name": info.name, "family": info.family, "resolution": info.resolution, "sha256": info.sha256}


def intro(facts: dict[str, Any], bench: Bench) -> list[str]:
    """The page's first paragraphs."""
    info, settings = bench.model.info, bench.settings
    others = len(facts["photos"]) - 1
    compared = f" The DCGAN is {facts['dcgan']['name']}, {facts['dcgan']['resolution']} px." if facts["dcgan"] else ""
    network = "VGG-19" if facts["perceptual_network"] == "vgg19" else "VGG-16 (VGG-19 is not installed here)"
    seconds = "seconds of processor time" if bench.device.type == "cpu" else "seconds"
    more = f" and the mean includes {others} more that may not be shown" if others else ""
    return [
        f"Every experiment of the report that GAN Edit implements, run through its engine with {info.name} "
        f"({info.family}, {info.resolution} px; {info.domain}) on {facts['machine']} in "
        f"{facts['seconds'] / 60:.1f} minutes.{compared}",
        f"The report takes 1,000 steps of Adam at a rate of 0.003; here an inversion takes {settings.steps} at a peak "
        f"rate of {settings.learning_rate:g} that rises and falls, along the directions that change the model's image, "
        f"in {settings.space} where nothing else is said. "
        f"The perceptual loss compares layers of {network}.",
        f"PSNR, SSIM, LPIPS (VGG-16, v0.1) and {seconds} in tables are those of the photos: chelsea "
        f"(CC0) is shown{more}. The sample of the generator is an image whose latent is known "
        "to exist, and counts in no mean.",
    ]


def machine(device: torch.device) -> str:
    """The kind of computer, such as "two cores of an AMD EPYC"."""
    if device.type != "cpu":
        return describe_device(device)
    cores = torch.get_num_threads()
    words = {1: "one core", 2: "two cores", 4: "four cores", 8: "eight cores"}
    name = processor()
    article = "an" if name[:1].upper() in "AEIOU" else "a"
    return f"{words.get(cores, f'{cores} cores')} of {article} {name}"


def processor() -> str:
    """The processor's name as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def main() -> None:
    try:
        typer.run(reproduce)
    except GanEditError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
