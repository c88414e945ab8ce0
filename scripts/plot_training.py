#!/usr/bin/env python3
"""Draw the log of a training run: scripts/plot_training.py my-run writes my-run/log.png (needs the extra `train`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import matplotlib
import typer
from matplotlib import pyplot as plt

PANELS = (
    ("losses", ("loss_d", "loss_g")),
    ("mean logits of photos", ("real_0", "real_1", "real_2", "real_3")),
    ("mean logits of samples", ("fake_0", "fake_1", "fake_2", "fake_3")),
    ("images per second", ("images_per_second", "images_per_processor_second")),
)


def main(folder: Annotated[Path, typer.Argument(help="Folder of the run.")]) -> None:
    """One panel per group of metrics, over the images seen."""
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    matplotlib.use("Agg")
    figure, axes = plt.subplots(len(PANELS), sharex=True, figsize=(8, 10), layout="constrained")
    for axis, (title, names) in zip(axes, PANELS, strict=True):
        for name in names:
            points = [(row["images"], row[name]) for row in rows if name in row]
            axis.plot(*zip(*points, strict=True), label=name, linewidth=1)
        axis.set_title(title)
        axis.grid(alpha=0.3)
        axis.legend(loc="upper right", fontsize="small")
    axes[-1].set_xlabel("images seen")
    figure.savefig(folder / "log.png", dpi=100)


if __name__ == "__main__":
    typer.run(main)
