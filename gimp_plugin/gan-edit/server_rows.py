"""The rows of the engine's window that tell of the servers known here."""

from __future__ import annotations

import gi

from asking import Asking
from choosers import ADDRESS_CHARACTERS, TEXT_CHARACTERS
from engines import Engines

gi.require_version("Gtk", "3.0")

from gi.repository import Gtk, Pango  # noqa: E402  (after require_version)

from gan_edit_protocol.default_model import shown_model  # noqa: E402
from gan_edit_protocol.errors import GanEditError  # noqa: E402
from gan_edit_protocol.events import EngineStatus  # noqa: E402

LISTED_MODELS = 6


def add(grid: Gtk.Grid, engines: Engines) -> list[Asking[EngineStatus]]:
    """A row for each known server, which is asked how it is."""
    try:
        servers = engines.servers()
    except GanEditError as error:
        _add_row(grid, "Servers", str(error))
        return []
    askings = []
    for url in servers:
        told = _add_row(grid, url, "Asking …")

        def answered(answer: EngineStatus | GanEditError, told: Gtk.Label = told) -> None:
            told.set_text(str(answer) if isinstance(answer, GanEditError) else _server_line(answer))

        askings.append(Asking(engines, url, lambda client, _: client.status(), answered))
    return askings


def _add_row(grid: Gtk.Grid, name: str, text: str) -> Gtk.Label:
    label = Gtk.Label(label=name, xalign=1.0, yalign=0.0, ellipsize=Pango.EllipsizeMode.MIDDLE)
    label.set_width_chars(min(len(name), ADDRESS_CHARACTERS))
    label.set_tooltip_text(name)
    told = Gtk.Label(label=text, xalign=0.0, selectable=True, max_width_chars=TEXT_CHARACTERS)
    told.set_line_wrap(True)
    told.set_line_wrap_mode(Pango.WrapMode.WORD_CHAR)
    grid.attach_next_to(label, None, Gtk.PositionType.BOTTOM, 1, 1)
    grid.attach_next_to(told, label, Gtk.PositionType.RIGHT, 1, 1)
    return told


def _server_line(status: EngineStatus) -> str:
    models = ", ".join(map(shown_model, status.models[:LISTED_MODELS]))
    more = len(status.models[LISTED_MODELS:]) + status.more_models
    names = f"{models} and {more} more" if more else models
    return f"version {status.version}; jobs waiting or running: {status.jobs}; models: {names}"
