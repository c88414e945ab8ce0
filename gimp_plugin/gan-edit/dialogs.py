"""The windows of the plug-in: a procedure's options, and the engine's state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import gi

import arguments
import fitting
import parasites
import server_rows
from choosers import TEXT_CHARACTERS, EngineChooser, ModelChooser
from engines import Engines

gi.require_version("GimpUi", "3.0")
gi.require_version("Gtk", "3.0")

from gi.repository import Gimp, GimpUi, GObject, Gtk, Pango  # noqa: E402  (after require_version)

from gan_edit_protocol.default_model import shown_model  # noqa: E402
from gan_edit_protocol.events import EngineStatus  # noqa: E402
from gan_edit_protocol.geometry import Crop  # noqa: E402

try:
    from looking import Looking
except ImportError:  # a GIMP without pycairo cannot draw on the photo
    Looking = None

START, END = 1, 2
NO_LAYER = "none"
LISTED_LINES = 6
NAME_CHARACTERS = 24
"""Room for the name of a layer; longer ones are cut, so that the dialog is no wider than a screen."""


@dataclass(frozen=True)
class Choices:
    """What a person is offered, and told, above the settings.

    ``stack``: the layers that may be the start when they keep a latent. ``models``: the names to offer. ``ordered``:
    names of layers that are told in this order. ``photos``: the layers that may be the scribble, and the photo's layer
    with each of them; with None where there is no scribble to choose. ``engines``: one of them finds the faces in it.
    ``servers``: those of them that may be chosen instead of this computer's, and then say themselves which models they
    have.
    """

    stack: list[Gimp.Layer]
    models: tuple[str, ...]
    ordered: list[str]
    photos: dict[Gimp.Layer | None, Gimp.Layer]
    engines: Engines
    servers: tuple[str, ...]


def ask(procedure: Gimp.Procedure, config: Gimp.ProcedureConfig, choices: Choices) -> tuple[bool, Crop | None]:
    """Let the person change the arguments in ``config``; whether they said OK.

    And the square of the photo that was shown, if there was one.
    """
    GimpUi.init("gan-edit")
    dialog = GimpUi.ProcedureDialog.new(procedure, config, _title(procedure))
    specs = arguments.SETTINGS[procedure.get_name()].specs()
    main = [arguments.argument_name(spec) for spec in specs if not spec.advanced]
    advanced = [arguments.argument_name(spec) for spec in specs if spec.advanced]
    widgets = [dialog.get_widget(name, GObject.TYPE_NONE) for name in main + advanced]
    labels = [widget.get_label() for widget in widgets if isinstance(widget, GimpUi.Labeled)]
    for widget in widgets:
        if isinstance(widget, GimpUi.LabelEntry):
            widget.get_entry().set_width_chars(TEXT_CHARACTERS)
    shown = None
    if Looking is not None and choices.photos:
        shown = Looking(config, choices.engines, choices.photos, waits=bool(choices.servers))
    rows = _rows(dialog, config, choices, labels, shown)
    contents = [*main, *_unfolding(dialog, advanced)]
    if config.find_property("hide-scribble"):
        contents.append("hide-scribble")
    box = dialog.fill_box("settings", contents)
    for place, row in enumerate(rows if shown is None else [shown, *rows]):
        box.pack_start(row, False, False, 0)
        box.reorder_child(row, place)
    scrolled = dialog.fill_scrolled_window("scrolled-settings", "settings")
    dialog.fill(["scrolled-settings"])
    _align(labels)
    fitting.fit(dialog, scrolled)
    accepted = dialog.run()
    crop = None if shown is None else shown.crop
    dialog.destroy()
    return bool(accepted), crop


def _rows(
    dialog: GimpUi.ProcedureDialog,
    config: Gimp.ProcedureConfig,
    choices: Choices,
    labels: list[Gtk.Label],
    shown: Looking | None,
) -> list[Gtk.Widget]:
    """What stands above the settings: layers, engine and model. Their labels are added to ``labels``."""
    rows = []
    if config.find_property("scribble"):
        painted = [*choices.photos] or choices.stack  # without a photo any layer may be it
        rows.append(_row(config, "scribble", _scribble_chooser(dialog, config, painted), labels))
    if choices.photos:
        rows.append(_labelled("Photo layer", _photo_name(config, choices.photos), labels))
        if Looking is None:
            told = Gtk.Label(
                label="With python3-gi-cairo installed, the photo is shown here.", xalign=0.0, visible=True
            )
            rows.append(told)
    models = ModelChooser(config, choices.models) if config.find_property("model") else None
    if choices.servers:
        followers = [each for each in (models, shown) if each is not None]
        chooser = EngineChooser(config, choices.engines, choices.servers, followers)
        rows += [_row(config, "engine", chooser, labels), chooser.told]
    if models is not None:
        rows.append(_row(config, "model", models, labels))
    starts = [layer for layer in choices.stack if parasites.keeps_latent(layer)]
    if config.find_property(arguments.START_LAYER) and starts:
        chooser = _layer_chooser(config, arguments.START_LAYER, starts, "nothing: project anew")
        rows.append(_row(config, arguments.START_LAYER, chooser, labels))
    if choices.ordered:
        rows.append(_order(choices.ordered))
    return rows


def _unfolding(dialog: GimpUi.ProcedureDialog, advanced: list[str]) -> list[str]:
    """The advanced settings, as what is put into the dialog: nothing, or one thing that unfolds them."""
    if not advanced:
        return []
    title = dialog.get_label("advanced-title", "_Advanced", False, True)
    dialog.fill_box("advanced-settings", advanced)
    expander = dialog.fill_expander("advanced", "advanced-title", False, "advanced-settings")
    expander.set_resize_toplevel(False)  # the dialog keeps itself on the screen
    title.set_mnemonic_widget(expander)
    return ["advanced"]


def _title(procedure: Gimp.Procedure) -> str:
    return str(procedure.get_menu_label()).replace("_", "").rstrip("…")


def _scribble_chooser(
    dialog: GimpUi.ProcedureDialog, config: Gimp.ProcedureConfig, choices: list[Gimp.Layer]
) -> Gtk.Widget:
    """One of ``choices``; without one there is no OK."""
    none = "choose the painted layer" if config.get_property("scribble") is None else None
    chooser = _layer_chooser(config, "scribble", choices, none)

    def allow(*_: object) -> None:
        dialog.set_response_sensitive(Gtk.ResponseType.OK, config.get_property("scribble") is not None)

    chooser.connect("changed", allow)
    allow()
    return chooser


def _photo_name(config: Gimp.ProcedureConfig, photos: dict[Gimp.Layer | None, Gimp.Layer]) -> Gtk.Widget:
    """The name of the photo that goes with the chosen scribble."""
    label = Gtk.Label(xalign=0.0, ellipsize=Pango.EllipsizeMode.END, max_width_chars=NAME_CHARACTERS)

    def show(*_: object) -> None:
        scribble = config.get_property("scribble") if config.find_property("scribble") else None
        photo = photos.get(scribble)
        label.set_text("" if photo is None else photo.get_name())

    if config.find_property("scribble"):
        config.connect("notify::scribble", show)
    show()
    return label


def _layer_chooser(
    config: Gimp.ProcedureConfig, name: str, choices: list[Gimp.Layer], none: str | None = None
) -> Gtk.Widget:
    """The layers by name (GIMP's own chooser shows a thumbnail only, and a scribble's is nearly empty).

    ``none``: what to call no layer, where that may be chosen.
    """
    chooser = Gtk.ComboBoxText()
    for cell in chooser.get_cells():
        cell.set_properties(ellipsize=Pango.EllipsizeMode.MIDDLE, width_chars=NAME_CHARACTERS)
    if none is not None:
        chooser.append(NO_LAYER, none)
    for layer in choices:
        chooser.append(str(layer.get_id()), layer.get_name())

    def show(*_: object) -> None:
        chosen = config.get_property(name)
        chooser.set_active_id(NO_LAYER if chosen is None else str(chosen.get_id()))

    def keep(of: Gtk.ComboBoxText) -> None:
        number = of.get_active_id()
        config.set_property(name, None if number in (None, NO_LAYER) else Gimp.Layer.get_by_id(int(number)))

    show()
    chooser.connect("changed", keep)
    return chooser


def _order(names: list[str]) -> Gtk.Widget:
    """The layers as the modes count them."""
    lines = _listed([f"{number}.  {name}" for number, name in enumerate(names, start=1)])
    label = Gtk.Label(label=f"Layers, the lowest first (move them to change the order):\n{lines}", xalign=0.0)
    label.set_ellipsize(Pango.EllipsizeMode.END)
    label.show()
    return label


def _listed(names: list[str], more: int = 0) -> str:
    """Names below each other, as many as a window has room for. ``more``: how many there are besides."""
    more += len(names[LISTED_LINES:])
    return "\n".join([*names[:LISTED_LINES], *([f"and {more} more"] if more else [])])


def _row(config: Gimp.ProcedureConfig, name: str, widget: Gtk.Widget, labels: list[Gtk.Label]) -> Gtk.Widget:
    """``widget``, labelled and explained as the argument ``name``."""
    argument = config.find_property(name)
    widget.set_tooltip_text(argument.blurb)
    return _labelled(argument.nick, widget, labels)


def _labelled(text: str, widget: Gtk.Widget, labels: list[Gtk.Label]) -> Gtk.Widget:
    label = Gtk.Label.new_with_mnemonic(text)
    label.set_mnemonic_widget(widget)
    row = Gtk.Box(orientation=Gtk.Orientation.HORIZONTAL, spacing=6)
    row.pack_start(label, False, False, 0)
    row.pack_start(widget, True, True, 0)
    row.show_all()
    labels.append(label)
    return row


def _align(labels: list[Gtk.Label]) -> None:
    group = Gtk.SizeGroup(mode=Gtk.SizeGroupMode.HORIZONTAL)
    for label in labels:
        label.set_xalign(0.0)
        group.add_widget(label)


def show_status(
    status: Callable[[], EngineStatus | None], start: Callable[[], None], end: Callable[[], None], engines: Engines
) -> None:
    """A window with the engine's state and buttons to start and end it, and the servers' states, until it is closed."""
    GimpUi.init("gan-edit")
    while True:
        answer = _status_window(status(), engines)
        if answer == START:
            start()
        elif answer == END:
            end()
        else:
            return


def _status_window(found: EngineStatus | None, engines: Engines) -> int:
    header = Gtk.Settings.get_default().get_property("gtk-dialogs-use-header")
    dialog = GimpUi.Dialog(use_header_bar=header, title="GAN Edit Engine", role="gan-edit-status")
    dialog.add_button("_End the Engine" if found else "_Start the Engine", END if found else START)
    dialog.add_button("_Close", Gtk.ResponseType.CLOSE)
    dialog.set_default_response(Gtk.ResponseType.CLOSE)
    grid = Gtk.Grid(row_spacing=6, column_spacing=18, border_width=12)
    for row, (name, text) in enumerate(_status_lines(found)):
        grid.attach(Gtk.Label(label=name, xalign=1.0, yalign=0.0), 0, row, 1, 1)
        grid.attach(Gtk.Label(label=text, xalign=0.0, selectable=True), 1, row, 1, 1)
    askings = server_rows.add(grid, engines)
    dialog.get_content_area().add(grid)
    grid.show_all()
    answer = dialog.run()
    for each in askings:
        each.give_up()
    dialog.destroy()
    return int(answer)


def _status_lines(found: EngineStatus | None) -> list[tuple[str, str]]:
    if found is None:
        return [("Engine", "not running; it starts by itself with the first edit")]
    return [
        ("Engine", f"version {found.version}, process {found.pid}"),
        *_worker_lines(found),
        ("Jobs", f"{found.jobs} waiting or running"),
        ("Models", _listed(list(map(shown_model, found.models)), found.more_models) or "none"),
    ]


def _worker_lines(found: EngineStatus) -> list[tuple[str, str]]:
    if len(found.workers) == 1:
        (worker,) = found.workers
        return [("Worker", worker.state), ("Device", worker.device or "not known yet")]
    lines = [f"{number}.  {worker}" for number, worker in enumerate(found.workers, start=1)]
    return [("Workers", _listed(lines, found.more_workers) or "none")]
