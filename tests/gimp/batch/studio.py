"""Runs inside GIMP: edits through a server, which is not on this computer as far as the plug-in knows."""

import json
from pathlib import Path

from at_work import kill_the_plug_in
from scenes import call, changed_pixels, describe, make_image, projection, select, selection_values

FEW_STEPS = {"steps": 4, "edit_steps": 12, "init_samples": 1}


def main(config_file, url, wrong, gone, connection_file):
    """``wrong`` and ``gone``: addresses with a key that is not the server's, and with no server."""
    plug_in = Path(config_file).parent
    return {
        "status": call("gan-edit-status", engine=url),
        "edit": edit(url),
        "without zmq": without_zmq(plug_in, url),
        "errors": errors(url, wrong, gone),
        "killed": killed(url, Path(connection_file), plug_in),
    }


def edit(url):
    image, photo, _ = make_image()
    select(image, 6)
    before, size = projection(image)
    status, values = call("gan-edit-scribble", image, [photo], engine=url, **FEW_STEPS)
    after, _ = projection(image)
    described = describe(values[0]) if status == "success" else str(values[0])
    return status, described, changed_pixels(before, after, selection_values(image), size)


def without_zmq(plug_in, url):
    hidden = plug_in / "zmq.py"
    hidden.write_text("raise ImportError('no zmq here')")
    status, values = call("gan-edit-random", engine=url + "/", seed=3)
    hidden.unlink()
    return status, describe(values[0]) if status == "success" else str(values[0])


def errors(url, wrong, gone):
    image, photo, _ = make_image()
    engines = {"local": "local", "nothing": " ", "unknown": "https://a.example", "wrong key": wrong, "gone": gone}
    answers = {name: call("gan-edit-project", image, [photo], engine=engine) for name, engine in engines.items()}
    answers["unknown model"] = call("gan-edit-project", image, [photo], engine=url, model="no-such-model")
    answers["end"] = call("gan-edit-status", engine=url, end_engine=True)
    answers["status gone"] = call("gan-edit-status", engine=gone)
    answers["layers afterwards"] = [layer.get_name() for layer in image.get_layers()]
    return json.loads(json.dumps(answers, default=str))


def killed(url, connection_file, plug_in):
    image, photo, _ = make_image()
    return kill_the_plug_in(connection_file, plug_in, image, photo, engine=url)
