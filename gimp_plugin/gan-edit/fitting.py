"""Keeps a dialog on the screen: its settings scroll in what room there is, by the wheel too, and its buttons stay."""

from __future__ import annotations

import gi

gi.require_version("Gdk", "3.0")
gi.require_version("Gtk", "3.0")

from gi.repository import Gdk, GLib, Gtk  # noqa: E402  (after require_version)

DECORATION = 48
"""What window managers put above and below a window, in the units of the screen's size: more than most do."""

CHANGED_BY_THE_WHEEL = (Gtk.SpinButton, Gtk.Scale, Gtk.ComboBox)


def fit(dialog: Gtk.Dialog, scrolled: Gtk.ScrolledWindow) -> None:
    """Let ``scrolled`` be as high as what it holds, and never higher than leaves the whole dialog on the screen.

    It follows when something in it is shown, hidden or unfolded.
    """
    scrolled.set_policy(Gtk.PolicyType.NEVER, Gtk.PolicyType.AUTOMATIC)
    scrolled.set_overlay_scrolling(False)  # a bar that is always seen tells that there is more
    content = scrolled.get_child().get_child()
    content.connect_after("size-allocate", lambda *_: GLib.idle_add(_set_height, dialog, scrolled, content))
    # Where it is first shown the window manager says, which may be too low for one as high as the screen.
    dialog.connect_after("map-event", lambda *_: GLib.idle_add(_set_height, dialog, scrolled, content) and False)
    _prepare(content)
    dialog.realize()
    _set_height(dialog, scrolled, content)


def _set_height(dialog: Gtk.Dialog, scrolled: Gtk.ScrolledWindow, content: Gtk.Widget) -> bool:
    if dialog.get_window() is None:
        return GLib.SOURCE_REMOVE  # it was closed meanwhile
    screen = dialog.get_display().get_monitor_at_window(dialog.get_window()).get_workarea()
    others = dialog.get_preferred_height()[0] - scrolled.get_preferred_height()[0]
    room = screen.height - DECORATION - others
    height = min(content.get_preferred_height()[1], room)
    if height != scrolled.get_min_content_height():
        scrolled.set_min_content_height(height)
        dialog.resize(dialog.get_size().width, 1)  # as low as it can be
    _move_up(dialog, screen.y, lowest=screen.y + room - height)
    return GLib.SOURCE_REMOVE


def _move_up(dialog: Gtk.Dialog, top: int, lowest: int) -> None:
    left, now = dialog.get_position()
    if dialog.get_mapped() and now > lowest:
        dialog.move(left, max(top, lowest))


def _prepare(widget: Gtk.Widget) -> None:
    """Let the wheel scroll the dialog over numbers and choices too, instead of changing them; show numbers whole."""
    if isinstance(widget, CHANGED_BY_THE_WHEEL):
        widget.connect("scroll-event", _leave_to_parents)
    if isinstance(widget, Gtk.SpinButton):
        widget.set_width_chars(max(widget.get_width_chars(), len(widget.get_text()) + 1))  # GIMP counts one short
    if isinstance(widget, Gtk.Container):
        widget.forall(_prepare)


def _leave_to_parents(widget: Gtk.Widget, _: Gdk.Event) -> bool:
    widget.stop_emission_by_name("scroll-event")
    return Gdk.EVENT_PROPAGATE
