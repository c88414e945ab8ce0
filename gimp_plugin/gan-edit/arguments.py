"""The procedures' arguments and return values, derived from the protocol's settings.

A setting ``scribble_weight`` is the argument ``scribble-weight``; its type, default, range and help are the protocol's.
"""

from __future__ import annotations

import sys
from typing import TypeVar

from gi.repository import Gimp, GObject

from engines import LOCAL
from gan_edit_protocol.default_model import DEFAULT
from gan_edit_protocol.settings import (
    EditSettings,
    ImagineSettings,
    InterpolateSettings,
    ProjectSettings,
    RandomSettings,
)
from gan_edit_protocol.spec import Settings, Spec

SettingsT = TypeVar("SettingsT", bound=Settings)

SETTINGS: dict[str, type[Settings]] = {
    "gan-edit-scribble": EditSettings,
    "gan-edit-project": ProjectSettings,
    "gan-edit-random": RandomSettings,
    "gan-edit-imagine": ImagineSettings,
    "gan-edit-interpolate": InterpolateSettings,
}
"""Which settings a procedure takes."""

START_LAYER = "start-layer"

READ_WRITE = GObject.ParamFlags.READWRITE


def declare(procedure: Gimp.Procedure, name: str) -> None:
    """Add the arguments and return values of the procedure ``name``."""
    procedure.add_string_argument(
        "engine", "_Engine", "What does the work: local, which is this computer, or the address of a server that the "
        "command gan-edit connect knows", LOCAL, READ_WRITE
    )  # fmt: skip
    if name == "gan-edit-status":
        _declare_status(procedure)
        return
    if name == "gan-edit-scribble":
        procedure.add_layer_argument(
            "scribble", "Scri_bble layer", "The layer with the painted colours; by default the selected one if it has "
            "transparency above an opaque layer, else the one named “scribble”, else the topmost transparent one above "
            "the photo's", True, READ_WRITE
        )  # fmt: skip
        procedure.add_boolean_argument(
            "hide-scribble", "_Hide the scribble afterwards", "Hide the scribble layer so that the result is seen",
            True, READ_WRITE
        )  # fmt: skip
    if name == "gan-edit-imagine":
        procedure.add_layer_argument(
            "scribble", "Scri_bble layer", "The layer with the painted colours; by default the selected one, or, "
            "where that is opaque or made by GAN Edit, the one named “scribble”", True, READ_WRITE
        )  # fmt: skip
    if name in ("gan-edit-scribble", "gan-edit-project"):
        procedure.add_layer_argument(
            START_LAYER, "Start _from",
            "A layer made by GAN Edit: its kept latent is projected further, or, in an edit, what the photo was "
            "projected to is edited again without a new projection", True, READ_WRITE
        )  # fmt: skip
    if name != "gan-edit-interpolate":  # the layers' latents say which model
        procedure.add_string_argument(
            "model", "_Model", "Name of an installed model, or the path of a checkpoint file", DEFAULT, READ_WRITE
        )
    for spec in SETTINGS[name].specs():
        _declare_setting(procedure, spec)
    if name == "gan-edit-interpolate":
        procedure.add_image_return_value("animation", "Animation", "The new image, a frame a layer", False, READ_WRITE)
    else:
        procedure.add_layer_return_value("layer", "Layer", "The new layer", False, READ_WRITE)


def argument_name(spec: Spec) -> str:
    """GIMP's name of a setting's argument."""
    return spec.name.replace("_", "-")


def read_settings(config: Gimp.ProcedureConfig, kind: type[SettingsT]) -> SettingsT:
    """The settings that a call was made with; :class:`SettingError` when one is out of range."""
    return kind.from_dict({spec.name: config.get_property(argument_name(spec)) for spec in kind.specs()})


def _declare_setting(procedure: Gimp.Procedure, spec: Spec) -> None:
    name, nick = argument_name(spec), spec.label
    if spec.type is bool:
        procedure.add_boolean_argument(name, nick, spec.help, spec.default, READ_WRITE)
    elif spec.choices:
        choice = Gimp.Choice.new()
        for number, text in enumerate(spec.choices):
            choice.add(text, number, text, "")
        procedure.add_choice_argument(name, nick, spec.help, choice, spec.default, READ_WRITE)
    elif spec.type is int:
        low = -(2**31) if spec.minimum is None else int(spec.minimum)
        high = 2**31 - 1 if spec.maximum is None else int(spec.maximum)
        procedure.add_int_argument(name, nick, spec.help, low, high, spec.default, READ_WRITE)
    elif spec.type is float:
        low = -sys.float_info.max if spec.minimum is None else spec.minimum
        high = sys.float_info.max if spec.maximum is None else spec.maximum
        procedure.add_double_argument(name, nick, spec.help, low, high, spec.default, READ_WRITE)
    else:
        procedure.add_string_argument(name, nick, spec.help, spec.default, READ_WRITE)


def _declare_status(procedure: Gimp.Procedure) -> None:
    procedure.add_boolean_argument(
        "end-engine", "_End the engine", "End this computer's engine, after telling how it is", False, READ_WRITE
    )
    procedure.add_boolean_return_value("running", "Running", "Whether an engine answers", False, READ_WRITE)
    for name, meaning in (
        ("version", "Version of the engine"),
        ("worker", "What its workers do, one a line: starting, idle, busy or failed"),
        ("device", "What each worker runs on, one a line"),
        ("models", "Installed models, one a line"),
    ):
        procedure.add_string_return_value(name, name.capitalize(), meaning, "", READ_WRITE)
    procedure.add_int_return_value("jobs", "Jobs", "Jobs that wait or run", 0, 2**31 - 1, 0, READ_WRITE)
