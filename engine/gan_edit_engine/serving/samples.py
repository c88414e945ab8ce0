"""A picture of each model: drawn by the engine when it is first asked for, the same for everybody."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gan_edit_engine.imaging.arrays import from_message
from gan_edit_protocol.client import Client
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.requests import RandomRequest
from gan_edit_protocol.settings import RandomSettings

_SEED = 3

_log = logging.getLogger("gan_edit.serving")


@dataclass
class Samples:
    """``connect`` gives a client of the engine."""

    connect: Callable[[], Client]
    _drawn: dict[str, NDArray[np.uint8]] = field(default_factory=dict)
    _drawing: dict[str, threading.Thread] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, model: str) -> NDArray[np.uint8] | None:
        """Its picture [H, W, 3]; None while it is drawn, which begins when it is asked for."""
        with self._lock:
            if model in self._drawn:
                return self._drawn[model]
            thread = self._drawing.get(model)
            if thread is None or not thread.is_alive():
                thread = self._drawing[model] = threading.Thread(target=self._draw, args=(model,), daemon=True)
                thread.start()
        return None

    def _draw(self, model: str) -> None:
        try:
            with self.connect() as client:
                result = client.run(RandomRequest(model, RandomSettings(seed=_SEED)))
        except GanEditError as error:
            _log.warning("no picture of %s: %s", model, error)
            return
        picture = np.asarray(from_message(result.image), dtype=np.uint8)
        with self._lock:
            self._drawn[model] = picture
