"""What ``gan-edit evaluate`` prints: how well a model reproduces photos."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gan_edit_engine.inversion.optimize import result_of
from gan_edit_engine.worker.device import choose_device
from gan_edit_engine.worker.evaluate import evaluate as evaluate_photos
from gan_edit_engine.worker.evaluate import mean
from gan_edit_engine.worker.workspace import Workspace
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.settings import ProjectSettings


def evaluate(files: list[Path], model: str, settings: ProjectSettings, device: str | None, as_json: bool) -> None:
    """Project photos, at least one, and print a table, or one JSON object, of their scores."""
    # A kept projection would be found in no time, and say nothing of the search.
    settings = replace(settings, cache=False)
    console = Console(stderr=True)
    with console.status("Loading the model …") as status:
        projector = result_of(Workspace(choose_device(device)).prepare(model, settings))
        names = {file.name: f"{number} of {len(files)}: {file.name}" for number, file in enumerate(files, start=1)}
        skipped: dict[str, str] = {}

        def skip(name: str, error: GanEditError) -> None:
            skipped[name] = error.message
            console.print(f"Skipped: {error.message}", markup=False, highlight=False, soft_wrap=True)

        def begin(name: str) -> None:
            status.update(names[name])

        scores = list(evaluate_photos(files, projector, begin, skip))
    if not scores:
        raise GanEditError(
            "no_photos", f"Nothing in {files[0].parent} is a photo that can be evaluated.", "Look at its files."
        )
    if as_json:
        found = [asdict(score) for score in scores]
        print(json.dumps({"photos": found, "skipped": skipped, "mean": asdict(mean(scores))}))
        return
    table = Table("photo", "PSNR dB", "SSIM", "LPIPS", "seconds", "steps", title=f"{model}, {len(scores)} photos")
    for score in [*scores, mean(scores)]:
        figures = (f"{score.psnr:.2f}", f"{score.ssim:.3f}", f"{score.lpips:.3f}", f"{score.seconds:.1f}")
        table.add_row(score.photo, *figures, str(score.steps))
    Console().print(table)
