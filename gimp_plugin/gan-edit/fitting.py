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
    _pass_wheel_on(content)
    dialog.realize()
    _set_height(dialog, scrolled, content)


def _set_height(dialog: Gtk.Dialog, scrolled: Gtk.ScrolledWindow, content: Gtk.Widget) -> bool:
    if dialog.get_window() is None:
        return GLib.SOURCE_REMOVE  # it was closed meanwhile
    screen = dialog.get_display().get_monitor_at_window(dialog.get_window()).get_workarea()
    before = scrolled.get_min_content_height()
    others = dialog.get_preferred_height()[0] - max(before, 0)
    height = min(content.get_preferred_height()[1], screen.height - DECORATION - others)
    if height != before:
        scrolled.set_min_content_height(height)
        dialog.resize(dialog.get_size().width, 1)  # as low as it can be
    return GLib.SOURCE_REMOVE


def _pass_wheel_on(widget: Gtk.Widget) -> None:
    """Let the wheel scroll the dialog over numbers and choices too, instead of changing them."""
    if isinstance(widget, CHANGED_BY_THE_WHEEL):
        widget.connect("scroll-event", _leave_to_parents)
    if isinstance(widget, Gtk.Container):
        widget.forall(_pass_wheel_on)


def _leave_to_parents(widget: Gtk.Widget, _: Gdk.Event) -> bool:
    widget.stop_emission_by_name("scroll-event")
    return Gdk.EVENT_PROPAGATE
