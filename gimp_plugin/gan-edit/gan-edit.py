#!/usr/bin/env python3
"""GIMP's way in: the entries under Filters > GAN Edit, registered whatever else is missing, explained when run.

GIMP starts this file once to ask what it offers and again for every call. What an entry does is in ``actions``; if that
cannot be imported, the entries are still in the menu and say why they cannot work.
"""

from __future__ import annotations  # noqa: N999  (GIMP wants the file named as its folder)

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SYSTEM_PYTHON = "/usr/bin/python3"

try:
    import gi
except ImportError:
    # GIMP was started from an activated virtual environment, whose Python hides the system's.
    if sys.executable != SYSTEM_PYTHON and os.path.exists(SYSTEM_PYTHON):
        os.execv(SYSTEM_PYTHON, [SYSTEM_PYTHON, *sys.argv])
    raise

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp, Gio, GLib  # noqa: E402  (after require_version)

try:
    import actions
    import arguments

    MISSING = ""
except Exception as error:  # the menu entries must appear even then: they are where a person reads what is wrong
    MISSING = f"The GAN Edit plug-in is incomplete ({error}). Run gan-edit install-plugin again and restart GIMP."

HELP_DOMAIN = "gan-edit"
"""GIMP opens the help of this plug-in's procedures from the folder registered for it, not from its own manual."""

MENU = "<Image>/Filters/GAN Edit"
ALWAYS = Gimp.ProcedureSensitivityMask.ALWAYS
ONE_LAYER = Gimp.ProcedureSensitivityMask.DRAWABLE
SEVERAL_LAYERS = ONE_LAYER | Gimp.ProcedureSensitivityMask.DRAWABLES


@dataclass(frozen=True)
class Entry:
    """One menu entry: its label, when it can be chosen, and what GIMP's help and procedure browser say."""

    label: str
    sensitivity: Gimp.ProcedureSensitivityMask
    blurb: str
    help: str


ENTRIES = {
    "gan-edit-scribble": Entry(
        "_Edit Photo with Scribble…",
        ONE_LAYER,
        "Let a generative network follow a colour scribble inside the selection",
        "Paint rough colours on a transparent layer above the photo, select the region that may change, and run this "
        "on the painted layer or the photo's. The result is a new layer with a layer mask; the photo's layer is not "
        "touched. "
        "The model looks at the face that is found under the selection or the paint, or where a path named “align” has "
        "one anchor on each eye.",
    ),
    "gan-edit-project": Entry(
        "_Project Photo…",
        ONE_LAYER,
        "Find the image of the generative network that is nearest to the photo",
        "The result is a new layer with the network's own version of the selected region, or of the whole layer. "
        "The model looks at the face that is found under the selection or the paint, or where a path named “align” has "
        "one anchor on each eye.",
    ),
    "gan-edit-random": Entry(
        "_Random Image…",
        ALWAYS,
        "Draw a random image of the generative network",
        "The result is a new layer, scaled into the selection when there is one, or a new image when none is open.",
    ),
    "gan-edit-imagine": Entry(
        "Image _from Scribble…",
        ONE_LAYER,
        "Draw images of the generative network that follow a colour scribble, without a photo",
        "Paint rough colours on a transparent layer: eyes where the model has them, fur, a background, as much or as "
        "little as you like. The results are new layers on top, the best of them visible, in the selection's square, "
        "else in the largest square in the middle of the canvas.",
    ),
    "gan-edit-interpolate": Entry(
        "_Interpolate Layers…",
        SEVERAL_LAYERS,
        "Make an animation of the way between layers that GAN Edit made",
        "Every layer that GAN Edit makes keeps its latent. The way between the latents of the selected layers, or of "
        "all layers when fewer than two are selected, becomes a new image with a frame a layer, ready for export.",
    ),
    "gan-edit-status": Entry(
        "Engine _Status…",
        ALWAYS,
        "Show what the GAN Edit engine is doing, start it or end it",
        "The engine is the program beside GIMP that runs the generative networks. The window also tells of the servers "
        "that the command gan-edit connect knows, whose engines can be chosen in the other dialogs.",
    ),
}


class GanEdit(Gimp.PlugIn):
    """The plug-in as GIMP sees it."""

    def do_set_i18n(self, name: str) -> bool:
        return False

    def do_query_procedures(self) -> list[str]:
        self.set_help_domain(HELP_DOMAIN, Gio.File.new_for_path(str(Path(__file__).resolve().with_name("help"))))
        return list(ENTRIES)

    def do_create_procedure(self, name: str) -> Gimp.Procedure:
        entry = ENTRIES[name]
        procedure = Gimp.ImageProcedure.new(self, name, Gimp.PDBProcType.PLUGIN, run, None)
        procedure.set_image_types("*")
        procedure.set_sensitivity_mask(entry.sensitivity)
        procedure.set_menu_label(entry.label)
        procedure.add_menu_path(MENU)
        procedure.set_documentation(entry.blurb, entry.help, name)
        procedure.set_attribution("The GAN Edit developers", "MIT licence", "2026")
        if not MISSING:
            arguments.declare(procedure, name)
        return procedure


def run(
    procedure: Gimp.ImageProcedure,
    run_mode: Gimp.RunMode,
    image: Gimp.Image | None,
    drawables: list[Gimp.Drawable],
    config: Gimp.ProcedureConfig,
    data: Any,
) -> Gimp.ValueArray:
    """Called by GIMP when an entry is chosen or its procedure is called."""
    if MISSING:
        return procedure.new_return_values(Gimp.PDBStatusType.EXECUTION_ERROR, GLib.Error(MISSING))
    return actions.run(procedure, run_mode, image, drawables, config)


Gimp.main(GanEdit.__gtype__, sys.argv)
