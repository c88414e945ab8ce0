"""What is asked of an engine while a window goes on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from gi.repository import GLib

from engines import Engines
from gan_edit_protocol.client import Client
from gan_edit_protocol.errors import GanEditError, JobCancelledError

Answer = TypeVar("Answer")
Question = Callable[[Client, Callable[[], bool]], Answer]
"""Asks a client, until what it is given second says that nobody waits for the answer any more."""


class Asking(Generic[Answer]):
    """A question to ``engine``, in a thread: ``answered`` is called from the main loop, once at most."""

    def __init__(
        self,
        engines: Engines,
        engine: str,
        question: Question[Answer],
        answered: Callable[[Answer | GanEditError], None],
    ) -> None:
        self._engines, self._engine = engines, engine
        self._question, self._answered = question, answered
        self._given_up = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def give_up(self) -> None:
        """Nobody is told any more; the engine is no longer asked."""
        self._given_up.set()

    def _run(self) -> None:
        answer: Answer | GanEditError
        try:
            with self._engines.client(self._engine, self._stop_when_given_up) as client:
                answer = self._question(client, self._given_up.is_set)
        except GanEditError as error:
            answer = error
        except Exception as error:  # the window must hear of it: nobody else can
            logging.getLogger("gan-edit").exception("asking the engine")
            answer = GanEditError("internal_error", f"The engine could not be asked ({error!r}).")
        GLib.idle_add(self._tell, answer)

    def _stop_when_given_up(self, _: float) -> None:
        if self._given_up.is_set():
            raise JobCancelledError

    def _tell(self, answer: Answer | GanEditError) -> bool:
        if not self._given_up.is_set():
            self._answered(answer)
        return bool(GLib.SOURCE_REMOVE)
