"""Which function does the work of which procedure, from GIMP's call to its return values."""

from __future__ import annotations

import logging
from collections.abc import Callable

from gi.repository import Gimp, GLib, GObject

import edits
import installation
import pictures
import status
from call import Call, Values
from engines import Engines
from gan_edit_protocol.errors import GanEditError, JobCancelledError

ACTIONS: dict[str, Callable[[Call], Values]] = {
    "gan-edit-scribble": edits.edit_with_scribble,
    "gan-edit-project": edits.project,
    "gan-edit-random": pictures.random_image,
    "gan-edit-imagine": pictures.imagine,
    "gan-edit-interpolate": pictures.interpolate,
    "gan-edit-status": status.show_status,
}


def run(
    procedure: Gimp.ImageProcedure,
    run_mode: Gimp.RunMode,
    image: Gimp.Image | None,
    drawables: list[Gimp.Drawable],
    config: Gimp.ProcedureConfig,
) -> Gimp.ValueArray:
    """Perform the call. Whatever goes wrong is returned as one plain sentence; the details are in the log."""
    log = logging.getLogger("gan-edit")
    try:
        installed = installation.read()
        log = installation.start_log(installed.log_file)
        log.info("%s (%s)", procedure.get_name(), run_mode.value_nick)
        interactive, attended = run_mode == Gimp.RunMode.INTERACTIVE, run_mode != Gimp.RunMode.NONINTERACTIVE
        values = ACTIONS[procedure.get_name()](
            Call(procedure, interactive, attended, image, list(drawables), config, Engines(installed.engine))
        )
    except JobCancelledError:
        return procedure.new_return_values(Gimp.PDBStatusType.CANCEL, None)
    except GanEditError as error:
        log.warning("%s: %s", error.code, error)
        return _failure(procedure, str(error))
    except MemoryError:
        log.warning("the memory is full", exc_info=True)
        return _failure(procedure, "The memory is full. Select a smaller part of the photo, or close other programs.")
    except Exception as error:  # GIMP would pass on nothing at all
        log.exception("unexpected")
        return _failure(procedure, f"GAN Edit failed unexpectedly ({error!r}). The plug-in's log has the details.")
    log.info("done")
    returned = procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, None)
    for number, (kind, value) in enumerate(values, start=1):
        returned.remove(number)
        returned.insert(number, GObject.Value(kind, value))
    return returned


def _failure(procedure: Gimp.Procedure, text: str) -> Gimp.ValueArray:
    return procedure.new_return_values(Gimp.PDBStatusType.EXECUTION_ERROR, GLib.Error(text))
