"""Runs inside GIMP: what happens to an engine, or to the plug-in, while a job is computed."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

from scenes import call


def when_busy(connection_file, plug_in, action):
    """Wait until the engine works on a job, then ``action(client, connection)``."""
    sys.path.insert(0, str(plug_in))
    from gan_edit_protocol import client, connection, transport  # noqa: PLC0415  (the installed plug-in's own copy)

    while not connection_file.exists():
        time.sleep(0.05)
    found = connection.read(connection_file)
    with client.Client(transport.SocketTransport(found)) as asking:
        while asking.status().workers[0].state != "busy":
            time.sleep(0.05)
        action(asking, found)


def kill_the_plug_in(connection_file, plug_in, image, photo, **arguments):
    """Kill the plug-in in the middle of an edit, as GIMP's Cancel button does.

    ``seconds``: until the engine with that connection file is idle. ``layers``: how many the image has then.
    """
    seconds = []

    def kill(client, _):
        os.kill(plug_in_process(), signal.SIGKILL)
        started = time.monotonic()
        while client.status().jobs:
            time.sleep(0.05)
        seconds.append(time.monotonic() - started)

    helper = threading.Thread(target=when_busy, args=(connection_file, plug_in, kill), daemon=True)
    helper.start()
    status, _ = call("gan-edit-scribble", image, [photo], steps=20000, **arguments)
    helper.join(100)
    return {"status": status, "seconds": seconds[0], "layers": len(image.get_layers())}


def plug_in_process():
    """The process that runs gan-edit.py for this GIMP."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            status = (folder / "stat").read_text()
        except OSError:
            continue
        parent = int(status.rsplit(")", 1)[1].split()[1])
        if parent == os.getppid() and any(word.endswith(b"gan-edit.py") for word in words):
            return int(folder.name)
    raise RuntimeError("the plug-in is not running")
