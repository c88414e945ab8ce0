"""The faces in a photo, or whatever else a model knows, as the engine finds them."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from gi.repository import Gimp, GLib

import look
import pixels
from gan_edit_protocol import launch
from gan_edit_protocol.client import Client
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.events import FacesFound
from gan_edit_protocol.requests import FindRequest

MOST_PIXELS = 12_000_000
"""What is looked through for faces; of a larger photo a reduced copy."""


@dataclass(frozen=True)
class Question:
    """What is asked, and how much smaller the photo in it is than the layer."""

    request: FindRequest
    scale: float

    @classmethod
    def about(cls, photo: Gimp.Layer, scribble: Gimp.Layer | None, model: str) -> Question:
        """Of several faces the one under most of the selection is meant, else the one under most of the paint."""
        image = photo.get_image()
        scale = min(1.0, math.sqrt(MOST_PIXELS / (photo.get_width() * photo.get_height())))
        with look.photo_as_seen(photo) as seen:
            pixels_of_it = pixels.read_reduced(seen, scale)
        mask = None
        if not Gimp.Selection.is_empty(image):
            mask = pixels.read_reduced_selection(image, photo, scale)
        elif scribble is not None:
            mask = pixels.read_reduced_paint(scribble, photo, scale)
        return cls(FindRequest(pixels_of_it, mask, model), scale)

    def for_model(self, model: str) -> Question:
        """The same, of another model."""
        return replace(self, request=replace(self.request, model=model))

    def ask(
        self,
        client: Client,
        on_event: Callable[[Any], None] = lambda event: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> FacesFound:
        """The engine's answer, in pixels of the layer."""
        return client.run(self.request, on_event, cancelled).enlarged(1 / self.scale)


class Search:
    """A question that is answered while a dialog goes on: ``answered`` is called from the main loop, once at most."""

    def __init__(
        self, engine: launch.EngineCommand, question: Question, answered: Callable[[FacesFound | GanEditError], None]
    ) -> None:
        self._engine, self._question, self._answered = engine, question, answered
        self._given_up = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def give_up(self) -> None:
        """Nobody is told any more; the engine is no longer asked."""
        self._given_up.set()

    def _run(self) -> None:
        answer: FacesFound | GanEditError
        try:
            with launch.connect(self._engine) as client:
                answer = self._question.ask(client, cancelled=self._given_up.is_set)
        except GanEditError as error:
            answer = error
        except Exception as error:  # the dialog must hear of it: nobody else can
            logging.getLogger("gan-edit").exception("looking for faces")
            answer = GanEditError("internal_error", f"No face could be looked for ({error!r}).")
        GLib.idle_add(self._tell, answer)

    def _tell(self, answer: FacesFound | GanEditError) -> bool:
        if not self._given_up.is_set():
            self._answered(answer)
        return bool(GLib.SOURCE_REMOVE)
