"""What one visitor may ask for, so that there is something left for the others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from gan_edit_engine.library.models_folder import DEFAULT_NAMES, model_names
from gan_edit_protocol.arrays import Array
from gan_edit_protocol.entries import to_entries
from gan_edit_protocol.errors import GanEditError


@dataclass(frozen=True)
class Limits:
    """Of each visitor: ``bytes`` of a request, ``pixels`` of a picture, ``jobs`` at once, ``seconds`` of a job.

    ``kept``: bytes of a visitor's pictures on the server's disk; ``disk``: of all visitors' together.
    """

    bytes: int = 128 << 20
    pixels: int = 50_000_000
    jobs: int = 4
    seconds: float = 900.0
    kept: int = 1 << 30
    disk: int = 8 << 30

    def check_size(self, width: int, height: int) -> None:
        """GanEditError (too_large) when a picture has more pixels than allowed."""
        if width * height > self.pixels:
            raise GanEditError(
                "too_large",
                f"The picture has {width}×{height} pixels; this server takes up to {self.pixels / 1e6:.0f} megapixels.",
                "Make the picture smaller.",
            )

    def checked(self, request: Any) -> Any:
        """The request, if it is within the limits and of a model that is installed here under that name.

        Never of a file that the server could open.
        """
        for value in to_entries(request).values():
            if isinstance(value, Array) and len(value.shape) > 1:
                self.check_size(value.shape[1], value.shape[0])
        if not hasattr(request, "model"):
            return request
        return replace(request, model=installed(request.model))


def installed(name: str) -> str:
    """``name``, if a model is installed under it; GanEditError (unknown_model) otherwise."""
    names = dict.fromkeys((*DEFAULT_NAMES, *model_names()))
    if name not in names:
        raise GanEditError(
            "unknown_model",
            f"This server has no model named {name[:100]!r}.",
            f"Its models are: {', '.join(list(names)[1:])}",
        )
    return name
