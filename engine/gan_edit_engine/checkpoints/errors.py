"""The one error of this room: which file cannot be used, and why."""

from __future__ import annotations

from pathlib import Path

from gan_edit_protocol.errors import GanEditError


class CheckpointError(GanEditError):
    """A model file that cannot be read; the message names the file and the reason."""

    def __init__(self, path: Path, reason: str, hint: str = "") -> None:
        super().__init__("bad_checkpoint", f"Cannot read the model {path.name}: {reason}.", hint)
        self.path = path
        self.reason = reason
