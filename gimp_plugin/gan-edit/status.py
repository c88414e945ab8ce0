"""How the engine is, and its end."""

from __future__ import annotations

from gi.repository import GObject

import dialogs
from call import Call, Values, engine_for
from engines import LOCAL
from gan_edit_protocol import launch
from gan_edit_protocol.errors import EngineSilentError, EngineUnavailableError, GanEditError
from gan_edit_protocol.events import EngineStatus


def show_status(call: Call) -> Values:
    """Tell how the engine is, in a small window or as return values, and end it when asked to."""
    here = call.engines.command
    if call.interactive:
        call.config.set_property("engine", LOCAL)  # the window shows them all
        dialogs.show_status(lambda: _status(here), lambda: _start(call), lambda: _end(here), call.engines)
    is_to_end = call.config.get_property("end-engine") and not call.interactive
    if is_to_end and call.engine != LOCAL:
        raise GanEditError("not_allowed", f"The engine of {call.engine} is not ended from here.", "Ask who runs it.")
    status = _status(here) if call.engine == LOCAL else _status_of_server(call)
    if status is not None and is_to_end:
        _end(here)
    shown = status or EngineStatus()
    states, devices = ([getattr(worker, name) for worker in shown.workers] for name in ("state", "device"))
    texts = (shown.version, *map("\n".join, (states, devices, shown.models)))
    return [
        (GObject.TYPE_BOOLEAN, status is not None),
        *((GObject.TYPE_STRING, text) for text in texts),
        (GObject.TYPE_INT, shown.jobs),
    ]


def _status(engine: launch.EngineCommand) -> EngineStatus | None:
    try:
        with launch.connect(engine) as client:
            return client.status()
    except EngineSilentError:
        raise
    except EngineUnavailableError:
        return None


def _status_of_server(call: Call) -> EngineStatus:
    with call.engines.client(call.engine) as client:
        return client.status()


def _start(call: Call) -> None:
    with engine_for(call, "Starting the GAN Edit engine"):
        pass


def _end(engine: launch.EngineCommand) -> None:
    try:
        with launch.connect(engine) as client:
            client.shutdown()
        launch.wait_for_end(engine.connection_file)
    except EngineSilentError:
        raise
    except EngineUnavailableError:
        return  # it has ended already
