"""What a dialog lets a person choose of engines and their models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import gi

from asking import Asking
from engines import LOCAL, LOCAL_SHOWN, Engines

gi.require_version("Gtk", "3.0")

from gi.repository import Gimp, Gtk, Pango  # noqa: E402  (after require_version)

from gan_edit_protocol.default_model import DEFAULT, meant_model, shown_model  # noqa: E402
from gan_edit_protocol.errors import GanEditError  # noqa: E402
from gan_edit_protocol.events import EngineStatus  # noqa: E402

TEXT_CHARACTERS = 40
"""Room for a setting's text: the longest default, the names of five layers of a network."""

ADDRESS_CHARACTERS = 24
"""Room for a server's address; the middle of a longer one is left out."""


class Follower(Protocol):
    """Who has to do with the chosen engine."""

    def wait_for_engine(self) -> None:
        """Another one is chosen, and asked."""

    def follow_engine(self, engine: str, status: EngineStatus) -> None:
        """It answers."""


class EngineChooser(Gtk.ComboBoxText):
    """This computer and each of ``servers``; the chosen one is asked at once, and ``followers`` hear of it.

    ``told`` says how it is, or in one sentence why it cannot be used.
    """

    def __init__(
        self, config: Gimp.ProcedureConfig, engines: Engines, servers: Sequence[str], followers: Sequence[Follower]
    ) -> None:
        super().__init__()
        self._config, self._engines, self._followers = config, engines, followers
        self._asking: Asking[EngineStatus] | None = None
        self.told = Gtk.Label(xalign=0.0, max_width_chars=TEXT_CHARACTERS, visible=True)
        self.told.set_line_wrap(True)
        self.told.set_line_wrap_mode(Pango.WrapMode.WORD_CHAR)
        for cell in self.get_cells():
            cell.set_properties(ellipsize=Pango.EllipsizeMode.MIDDLE, width_chars=ADDRESS_CHARACTERS)
        self.append(LOCAL, LOCAL_SHOWN)
        for address in servers:
            self.append(address, address)
        self.set_active_id(config.get_property("engine"))
        self.connect("changed", lambda _: config.set_property("engine", self.get_active_id()))
        config.connect("notify::engine", self._show)
        self.connect("destroy", lambda _: self._stop())
        self._ask()

    def _show(self, *_: object) -> None:
        self.set_active_id(self._config.get_property("engine"))
        self._ask()

    def _ask(self) -> None:
        self._stop()
        engine = self._config.get_property("engine")
        self.told.set_text("Asking …")
        for follower in self._followers:
            follower.wait_for_engine()
        self._asking = Asking(
            self._engines, engine, lambda client, _: client.status(), lambda answer: self._answered(engine, answer)
        )

    def _answered(self, engine: str, answer: EngineStatus | GanEditError) -> None:
        self._asking = None
        if isinstance(answer, GanEditError):
            self.told.set_text(str(answer))
            return
        waiting = f" Jobs before yours: {answer.jobs}." if answer.jobs else ""
        self.told.set_text(f"Ready: GAN Edit {answer.version}.{waiting}")
        for follower in self._followers:
            follower.follow_engine(engine, answer)

    def _stop(self) -> None:
        if self._asking is not None:
            self._asking.give_up()
            self._asking = None


class ModelChooser(Gtk.ComboBoxText):
    """The known models to choose from, or any other name or file typed in."""

    def __init__(self, config: Gimp.ProcedureConfig, models: Sequence[str]) -> None:
        super().__init__(has_entry=True)
        self._config = config
        self._missed = ""
        self._entry = self.get_child()
        self._entry.set_activates_default(True)
        self._offer(models)
        config.connect("notify::model", self._show)
        self._show()
        self._entry.connect("changed", self._keep)

    def wait_for_engine(self) -> None:
        """What is offered stays until it is known what there is instead."""

    def follow_engine(self, engine: str, status: EngineStatus) -> None:
        """Offer the engine's models. For one that a server has not the default one stands in, until it is there."""
        wanted = self._missed or self._config.get_property("model")
        names = self._offer(status.models)
        # A server opens no files; but it may have more models than fit its answer.
        is_there = engine == LOCAL or wanted in names or status.more_models > 0
        self._config.set_property("model", wanted if is_there else DEFAULT)
        self._missed = "" if is_there else wanted

    def _offer(self, models: Sequence[str]) -> list[str]:
        names = list(dict.fromkeys((DEFAULT, *models)))
        self.remove_all()
        for name in names:
            self.append_text(shown_model(name))
        return names

    def _show(self, *_: object) -> None:
        if meant_model(self._entry.get_text()) != self._config.get_property("model"):
            self._entry.set_text(shown_model(self._config.get_property("model")))

    def _keep(self, *_: object) -> None:
        self._missed = ""
        self._config.set_property("model", meant_model(self._entry.get_text()))
