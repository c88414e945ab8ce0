"""Keeps what a person has typed into a dialog before the work begins: a run that fails or is cancelled loses nothing.

GIMP keeps the values of a run that succeeded: in a file of its settings folder, and in a parasite of the image, which
counts first. A run that GIMP's own Cancel ends never gets to its end. So the same file is written here, and the older
parasite removed.
"""

from __future__ import annotations

import os

from gi.repository import Gimp, GLib, GObject

FOLDER = "plug-in-settings"
KEPT_TYPES = (GObject.TYPE_BOOLEAN, GObject.TYPE_INT, GObject.TYPE_DOUBLE, GObject.TYPE_STRING)
"""Layers are not kept, by GIMP neither: they may be gone the next time."""


def keep(config: Gimp.ProcedureConfig, image: Gimp.Image | None) -> None:
    """Make the values of ``config`` those of the dialog's next opening and of GIMP's *Repeat Last*."""
    name = type(config).__gtype__.name
    path = os.path.join(Gimp.directory(), FOLDER, f"{name}.last")
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        GLib.file_set_contents(path, f"# settings\n\n{_serialized(config)}\n# end of settings\n".encode())
    except (OSError, GLib.Error):
        return  # an edit is worth more than what was typed for it
    if image is not None:
        image.detach_parasite(f"{name}-last")


def _serialized(config: Gimp.ProcedureConfig) -> str:
    lines = []
    for argument in config.list_properties():
        if argument.value_type in KEPT_TYPES:
            text = GLib.String.new("")
            value = GObject.Value(argument.value_type, config.get_property(argument.name))
            Gimp.config_serialize_value(value, text, True)
            lines.append(f"({argument.name} {text.str})\n")
    return "".join(lines)
