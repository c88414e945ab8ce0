"""One call of a procedure, and the engine that does its work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gi.repository import Gimp

import arguments
import dialogs
import stack
import typed
from engines import LOCAL, Engines, meant_engine
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
    engines: Engines

    @property
    def engine(self) -> str:
        """The one that is to do the work: ``LOCAL``, or a server's address."""
        return meant_engine(self.config.get_property("engine"))

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
        servers, models = self._known_servers(), ()
        self.config.set_property("engine", self.engine if self.engine in servers else LOCAL)
        if not servers:
            # Started before the dialog: it lists the installed models, and the worker is ready when OK is pressed.
            with engine_for(self, "Starting the GAN Edit engine") as (client, _):
                models = client.status().models
        choices = dialogs.Choices(plain, models, ordered or [], photos or {}, self.engines, servers)
        accepted, crop = dialogs.ask(self.procedure, self.config, choices)
        if not accepted:
            raise JobCancelledError
        typed.keep(self.config, self.image)
        return crop

    def _known_servers(self) -> tuple[str, ...]:
        try:
            return self.engines.servers()
        except GanEditError as error:  # the work can be done here, but not without a word
            Gimp.message(str(error))
            return ()


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
    """The engine that the call names, started if it is this computer's and none answers; a bar for its work."""
    bar = ProgressBar(title)
    waiting = bar.starting if call.engine == LOCAL else bar.connecting
    try:
        with call.engines.client(call.engine, waiting) as client:
            yield client, bar
    finally:
        bar.end()
