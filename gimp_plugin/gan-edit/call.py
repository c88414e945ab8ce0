"""One call of a procedure, and the engine that does its work."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gi.repository import Gimp

import arguments
import dialogs
import stack
import typed
from gan_edit_protocol import launch
from gan_edit_protocol.client import Client
from gan_edit_protocol.errors import GanEditError, JobCancelledError
from gan_edit_protocol.events import ResultReady
from gan_edit_protocol.geometry import Crop
from gan_edit_protocol.requests import EditRequest, ProjectRequest, RandomRequest
from progress import ProgressBar

Values = list[tuple[Any, Any]]
"""Return values with their GObject types, in the order in which the procedure declares them."""


@dataclass(frozen=True)
class Call:
    """One call of a procedure. ``interactive``: its dialog is wanted; ``attended``: there is a person to ask."""

    procedure: Gimp.ImageProcedure
    interactive: bool
    attended: bool
    image: Gimp.Image | None
    drawables: list[Gimp.Drawable]
    config: Gimp.ProcedureConfig
    engine: launch.EngineCommand

    def ask(
        self, ordered: list[str] | None = None, photos: dict[Gimp.Layer | None, Gimp.Layer] | None = None
    ) -> Crop | None:
        """Show the dialog when there is a person; :class:`JobCancelledError` when it is dismissed.

        ``ordered`` and ``photos``: as in ``dialogs.Choices``. Gives the square of the photo that the dialog showed, if
        there was one.
        """
        if not self.interactive:
            return None
        plain = stack.plain_layers(self.image) if self.image else []
        if self.config.find_property(arguments.START_LAYER):
            self.config.set_property(arguments.START_LAYER, None)  # last time's may be of another photo
        # Started before the dialog: it lists the installed models, and the worker is ready when OK is pressed.
        with engine_for(self, "Starting the GAN Edit engine") as (client, _):
            choices = dialogs.Choices(plain, client.status().models, ordered or [], photos or {}, self.engine)
        accepted, crop = dialogs.ask(self.procedure, self.config, choices)
        if not accepted:
            raise JobCancelledError
        typed.keep(self.config, self.image)
        return crop


def image_of(call: Call) -> Gimp.Image:
    """The open image that the procedure was called on; :class:`GanEditError` without one."""
    if call.image is None:
        raise GanEditError("no_image", "No image is open.", "Open a photo first.")
    return call.image


def run_job(
    call: Call,
    request: Callable[[Client, ProgressBar], EditRequest | ProjectRequest | RandomRequest],
    title: str,
) -> ResultReady:
    """Run the job that ``request`` gives when the engine is there."""
    with engine_for(call, title) as (client, bar):
        return client.run(request(client, bar), bar.show)


@contextmanager
def engine_for(call: Call, title: str) -> Iterator[tuple[Client, ProgressBar]]:
    """The engine, started when none answers, which ends with GIMP and its other users; a progress bar for its work."""
    bar = ProgressBar(title)
    try:
        with launch.connect_or_start(call.engine, os.getppid(), bar.starting) as client:
            yield client, bar
    finally:
        bar.end()
