"""The errors of this room: which file cannot be used, and why."""

from __future__ import annotations

from pathlib import Path

from gan_edit_engine.system.printable import printable
from gan_edit_protocol.errors import GanEditError

# What a damaged file can make the readers, numpy and torch raise (MalformedError and StateMismatchError among them).
DAMAGE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError, MemoryError)


def one_line(error: Exception) -> str:
    """The error's first line, shortened: whatever a file makes a library say, the user reads one line."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:300].rstrip(".")


class MalformedError(ValueError):
    """Data that does not follow its format, or asks for something that is not allowed."""


class CheckpointError(GanEditError):
    """A model file that cannot be read; the message names the file and the reason."""

    def __init__(self, path: Path, reason: str, hint: str = "") -> None:
        self.path = path
        self.reason = printable(reason)
        super().__init__("bad_checkpoint", f"Cannot read the model {printable(path.name)}: {self.reason}.", hint)
