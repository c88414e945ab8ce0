#!/usr/bin/env python3
"""Draw what compare_projectors.py found, as docs/images/projectors.webp shows it.

    scripts/plot_comparison.py results.jsonl picture.webp

Needs the extra `train`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import matplotlib
import typer
from matplotlib import pyplot as plt

from compare_projectors import read

MEASURES = {"lpips": "LPIPS (lower is nearer)", "psnr": "PSNR in dB (higher is nearer)"}


def main(
    results: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="File of compare_projectors.py.")],
    picture: Annotated[Path, typer.Argument(help="Picture to write, as PNG or WebP.")],
) -> None:
    """One point per photo: the official result against the default's, and when the default was as near."""
    rows = read(results)
    matplotlib.use("Agg")
    figure, (*pairs, times) = plt.subplots(1, len(MEASURES) + 1, figsize=(12, 4), layout="constrained")
    for axis, (measure, title) in zip(pairs, MEASURES.items(), strict=True):
        official, default = ([row[method][measure] for row in rows] for method in ("official", "default"))
        axis.scatter(official, default, s=12)
        # On this line both are equal; it must not widen the picture.
        axis.axline((official[0], official[0]), slope=1, color="grey", linewidth=1)
        axis.set(title=title, xlabel="official algorithm (line: as good)", ylabel="GAN Edit's default")
    reached = [
        100 * row["reached_after"] / row["official"]["seconds"] for row in rows if row["reached_after"] is not None
    ]
    times.hist(reached, bins=20)
    times.axvline(100 / 8, color="grey", linewidth=1)
    times.set(title="As near (LPIPS) as the official result", ylabel="photos")
    times.set_xlabel("after so many % of its time (line: an eighth)")
    for axis in (*pairs, times):
        axis.grid(alpha=0.3)
    figure.savefig(picture, dpi=100)


if __name__ == "__main__":
    typer.run(main)
