"""The folder of a training run: its state, samples, log and models, written so that a crash at any time costs little.

state.pt            everything to go on from, replaced atomically
log.jsonl           one line of metrics per report
samples/N.png       grids of the averaged generator after N images
models/N.safetensors  the averaged generator after N images
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from gan_edit_engine.system.atomic_write import make_folder, replacing, writing
from gan_edit_protocol.errors import GanEditError


class RunFolder:
    """Paths and files of one run; GanEditError (bad_output) when its folders cannot be made."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state = path / "state.pt"
        self.log = path / "log.jsonl"
        self.samples = path / "samples"
        self.models = path / "models"
        for folder in (self.samples, self.models):
            make_folder(folder)

    def save(self, content: dict[str, Any]) -> None:
        """Replace the state (tensors and plain values), whole or not at all; GanEditError (bad_output) if it fails."""
        with replacing(self.state) as part, part.open("wb") as file:
            torch.save(content, file)

    def load(self) -> dict[str, Any]:
        """What was saved last; GanEditError when the file is damaged."""
        try:
            content: dict[str, Any] = torch.load(self.state, map_location="cpu", weights_only=True)
            return content
        except Exception as error:  # torch.load raises many kinds on a damaged file
            hint = "Start anew with --init and the newest file of its models folder."
            raise GanEditError("bad_state", f"The training state {self.state} cannot be read.", hint) from error

    def report(self, metrics: dict[str, float]) -> None:
        """Append one line to the log; GanEditError (bad_output) if that fails."""
        with writing(self.log), self.log.open("a", encoding="utf-8") as file:
            file.write(json.dumps({k: round(v, 5) for k, v in metrics.items()}) + "\n")
