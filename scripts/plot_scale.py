#!/usr/bin/env python3
"""Draw what scale.py found, as docs/images/scaling.webp shows it.

    scripts/plot_scale.py results.jsonl picture.webp

Needs the extra `train`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import matplotlib
import typer
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import StrMethodFormatter

from scale import Row, read
from scaling.engines import PROCESSES, RAY

NAMES = {RAY: "actors on Ray", PROCESSES: "worker processes"}


def main(
    results: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="File of scale.py.")],
    picture: Annotated[Path, typer.Argument(help="Picture to write, as PNG or WebP.")],
) -> None:
    """How much of their time workers that only take time have to wait, and how soon they begin."""
    rows = [row for row in read(results) if row.kind in NAMES]
    matplotlib.use("Agg")
    figure, (efficiency, overhead, begun) = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
    _lines(efficiency, rows, lambda row: 100 * row.efficiency)
    efficiency.axhline(90, color="grey", linewidth=1)
    efficiency.set(title="Of their time at work, in %", ylim=(0, 103))
    _lines(overhead, rows, lambda row: row.overhead_ms)
    overhead.axhline(25, color="grey", linewidth=1)
    overhead.set(title="A worker's time beside each job, in ms", yscale="log")
    overhead.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    _lines(begun, rows, lambda row: row.begun_ms or 0.0)
    begun.set(title="From sending to the first word, in ms", ylim=(0, None))
    for axis in (efficiency, overhead, begun):
        axis.set_xscale("log", base=2)
        axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_xlabel("workers" if axis is begun else "workers (line: the aim)")
        axis.grid(alpha=0.3)
        axis.legend()
    figure.savefig(picture, dpi=100)


def _lines(axis: Axes, rows: list[Row], measure: Callable[[Row], float]) -> None:
    for load in sorted({row.load for row in rows}):
        own = sorted((row for row in rows if row.load == load), key=lambda row: row.workers)
        label = load.replace(own[0].kind, NAMES[own[0].kind], 1)
        axis.plot([row.workers for row in own], [measure(row) for row in own], marker="o", label=label)


if __name__ == "__main__":
    typer.run(main)
