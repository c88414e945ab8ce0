"""What a person who retouches asks for, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edits.painting import Oval, Polygon, Stroke
from edits.scenes import Scene

KEPT, WORK, NOT = "kept", "kept with work", "not kept"
"""Verdicts: taken as it is; taken after some work with mask, brush or settings; undone."""


@dataclass(frozen=True)
class Edit:
    """``strokes`` and ``selection`` in the face's own pixels; ``settings``: NAME=VALUE where a person would set it.

    ``verdict`` and ``reason``: of a person who looked at the result at full size.
    """

    name: str
    scene: Scene
    strokes: Sequence[Stroke]
    selection: Sequence[Oval | Polygon]
    verdict: str
    reason: str
    settings: Sequence[str] = ()
