"""An optimisation's Steps as Progress events, with a small preview now and then."""

from __future__ import annotations

from collections.abc import Generator

import cv2
import numpy as np

from gan_edit_engine.imaging.arrays import to_message
from gan_edit_engine.imaging.crop import Image, from_unit
from gan_edit_engine.imaging.view import to_colours
from gan_edit_engine.inversion.optimize import ResultT, Step
from gan_edit_protocol.arrays import Array
from gan_edit_protocol.events import Progress

_PREVIEW_EVERY = 10  # steps
_PREVIEW_SIDE = 256


def report(
    steps: Generator[Step, None, ResultT], stage: str, done: int, of: int, previews: bool
) -> Generator[Progress, None, ResultT]:
    """Yields Progress for each of ``steps``, ``done`` of ``of`` being behind; returns what they return.

    ``previews``: with pictures of what the steps look at.
    """
    taken = 0
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return end.value
        taken += step.taken
        shown = previews and taken % _PREVIEW_EVERY == 0
        picture = preview(to_colours(step.image)) if shown else None
        yield Progress(stage, min(done + taken, of), of, step.loss, picture)


def exploring(looks: Generator[Step, None, ResultT], count: int) -> Generator[Progress, None, ResultT]:
    """The looks at a model, ``count`` of them, which are no pictures of what becomes of the photo."""
    return report(looks, "Exploring the model", 0, count, previews=False)


def preview(colours: Image) -> Array:
    """[R, R, 3] in 0..1 as uint8 of at most 256 pixels a side."""
    side = min(len(colours), _PREVIEW_SIDE)
    small = np.asarray(cv2.resize(colours, (side, side), interpolation=cv2.INTER_AREA), dtype=np.float32)
    return to_message(from_unit(small, np.dtype(np.uint8)))
