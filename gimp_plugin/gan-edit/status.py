"""How the engine is, and its end."""

from __future__ import annotations

from gi.repository import GObject

import dialogs
from call import Call, Values, engine_for
from gan_edit_protocol import launch
from gan_edit_protocol.errors import EngineSilentError, EngineUnavailableError
from gan_edit_protocol.events import EngineStatus


def show_status(call: Call) -> Values:
    """Tell how the engine is, in a small window or as return values, and end it when asked to."""
    if call.interactive:
        dialogs.show_status(lambda: _status(call.engine), lambda: _start(call), lambda: _end(call.engine))
    status = _status(call.engine)
    if status is not None and call.config.get_property("end-engine") and not call.interactive:
        _end(call.engine)
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
