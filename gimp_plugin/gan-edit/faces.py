"""The faces in a photo, or whatever else a model knows, as the engine finds them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from gi.repository import Gimp

import look
import pixels
from engines import LOCAL
from gan_edit_protocol.client import Client
from gan_edit_protocol.events import FacesFound
from gan_edit_protocol.requests import FindRequest

MOST_PIXELS = 12_000_000
"""What is looked through for faces; of a larger photo a reduced copy."""
MOST_PIXELS_SENT = 2_400_000
"""To a server, whose line may be slow: as much as the finders see of a whole photo."""


@dataclass(frozen=True)
class Question:
    """What is asked, and how much smaller the photo in it is than the layer."""

    request: FindRequest
    scale: float

    @classmethod
    def about(cls, photo: Gimp.Layer, scribble: Gimp.Layer | None, model: str, engine: str) -> Question:
        """Of several faces the one under most of the selection is meant, else the one under most of the paint."""
        image = photo.get_image()
        most = MOST_PIXELS if engine == LOCAL else MOST_PIXELS_SENT
        scale = min(1.0, math.sqrt(most / (photo.get_width() * photo.get_height())))
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
