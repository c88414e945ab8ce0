"""What a visitor reads of what the engine says, which speaks to people with GIMP or a shell of its own machine.

A code's sentence here names what there is on the page. What has none is the server's trouble, which no visitor can end:
that is said, and the engine's own words, which may name files, go to the server's log.
"""

from __future__ import annotations

import logging

from gan_edit_protocol.errors import EngineUnavailableError, GanEditError, JobFailedError
from gan_edit_protocol.events import Failed, Notice

_AGAIN = "Try again in a minute; if it stays so, tell whoever runs this server."
_OTHER_MODEL = "Choose another model."
# Of each code the sentence, where the engine's own is not for everybody, and what a visitor can do.
_HERE: dict[str, tuple[str | None, str]] = {
    "bad_checkpoint": ("This model cannot be used.", _OTHER_MODEL),
    "bad_pixels": (None, "Save the photo as a PNG or TIFF of 16 bits, and choose that."),
    "empty_mask": ("Nothing is selected.", "Paint over what may change on the layer Selection, or clear that layer."),
    "empty_photo": (None, "Paint, or select, where there is something to see."),
    "missing_weights": ("This model cannot be used.", _OTHER_MODEL),
    "not_finite": ("The search for the edit ran away.", "Try it with other strokes, or with another quality."),
    "nothing_painted": (
        "Nothing is painted where the model could follow it.",
        "Paint on the layer Colours, where the model looks and, if something is selected, inside of that.",
    ),
    "out_of_memory": ("The server's memory is full.", "Make the picture smaller, or try again later."),
    "outside_crop": (None, "Paint there, or select a part that reaches there."),
    "queue_full": (None, "Wait until some are done, and try again."),
    "too_large": (None, "Select a smaller part on the layer Selection, or make the photo smaller."),
    "unknown_model": ("This model is no longer on this server.", "Load the page anew, and choose another one."),
}
_BEYOND = ("The engine behind this server could not do that.", _AGAIN)
_FULL = ("out_of_memory",)
"""Whoever says it: no visitor can close the server's programs."""
_NOTED = "Select another part on the layer Selection, or choose another model."

_log = logging.getLogger("gan_edit.serving")


def of_failure(error: GanEditError) -> Failed:
    """What is said of a failure: here, of a photo's file, or of the engine and on the way to it."""
    of_engine = isinstance(error, JobFailedError | EngineUnavailableError)
    if not of_engine and error.code not in _FULL:
        return Failed.of(error)
    if error.code not in _HERE:
        _log.warning("the engine failed (%s): %s", error.code, error)
    message, hint = _HERE.get(error.code, _BEYOND)
    return Failed(error.code, message or error.message, hint)


def of_notice(notice: Notice) -> Notice:
    """The same to know; another thing to do, where there is any."""
    return Notice(notice.message, _NOTED if notice.hint else "")
