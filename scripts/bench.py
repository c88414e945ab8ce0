#!/usr/bin/env python3
"""How fast the engine's parts are, as ratios within one run: on a shared machine single times say little.

    scripts/bench.py                     # the default model, all processors
    scripts/bench.py --threads 1 --device cuda
    scripts/bench.py --threads 1 --large  # an edit in a model of 1024 pixels instead: some minutes

Each group's cases take turns, so that a machine that slows down slows all of them; printed are the median of each and
how many times faster it is than the first of its group.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table

from benching.large import LARGE, LargeEdit, large_edit
from benching.parts import PHOTOS, Bench
from benching.turns import measure
from gan_edit_engine.worker.device import choose_device, describe_device
from gan_edit_protocol.errors import GanEditError


def bench(
    model: Annotated[str, typer.Option(help="An installed model's name, or a model file.")] = "default",
    device: Annotated[str | None, typer.Option(help="cuda, mps, xpu or cpu; by default the first that works.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Processor threads.")] = os.cpu_count() or 1,
    rounds: Annotated[int, typer.Option(min=1, help="Measurements of each case.")] = 15,
    only: Annotated[
        list[str] | None, typer.Option(help="Only the groups whose title holds this text; may be repeated.")
    ] = None,
    photos: Annotated[int, typer.Option(min=1, help="Photos that one pass takes at most.")] = PHOTOS,
    large: Annotated[bool, typer.Option("--large", help="An edit in StyleGAN2's config-f at 1024 pixels.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Time the parts of a projection and an edit."""
    torch.set_num_threads(threads)
    chosen = choose_device(device)
    if large:
        _print_large(large_edit(chosen), as_json)
        return
    table = Table("", "ms", "times faster", title=f"{model} on {describe_device(chosen)}, {threads} threads")
    found: dict[str, dict[str, float]] = {}
    for title, make in Bench(model, chosen, photos).groups().items():
        if only and not any(text in title for text in only):
            continue
        found[title] = dict(measure(make(), rounds, chosen))
        table.add_section()
        table.add_row(f"[bold]{title}")
        first = next(iter(found[title].values()))
        for name, milliseconds in found[title].items():
            table.add_row(f"  {name}", f"{milliseconds:.1f}", f"{first / milliseconds:.2f}")
    if as_json:
        print(json.dumps({"model": model, "device": describe_device(chosen), "threads": threads, "ms": found}))
    else:
        Console().print(table)


def _print_large(found: LargeEdit, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(found)))
        return
    memory = f"{found.peak / 2**30:.1f} GiB"
    if found.peak_on_card:
        memory += f" and {found.peak_on_card / 2**30:.1f} GiB on the card"
    title = f"official config-f, {LARGE.resolution} px, random weights, peak memory {memory}"
    seconds_of_what = "seconds" if found.peak_on_card else "processor seconds"
    table = Table("", seconds_of_what, "its steps at full size", "times less", title=title)
    for name, seconds, first in (("first edit", found.first_edit, True), ("next edit", found.next_edit, False)):
        whole = found.at_full_size(first)
        table.add_row(name, f"{seconds:.0f}", f"{whole:.0f}", f"{whole / seconds:.1f}")
    Console().print(table)


def main() -> None:
    try:
        typer.run(bench)
    except GanEditError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
