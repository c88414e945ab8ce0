"""Runs inside GIMP: a model that was imported in a shell, with an engine that the plug-in starts by itself."""

import json
from pathlib import Path

from scenes import call, describe, make_image


def main(config_file, scratch, name):
    config = json.loads(Path(config_file).read_text())
    own = {"connection_file": str(Path(scratch) / "imported.json"), "engine_log": str(Path(scratch) / "imported.log")}
    Path(config_file).write_text(json.dumps({**config, **own}))
    try:
        image, _, _ = make_image()
        random, (layer,) = call("gan-edit-random", image, model=name)
        status, (_, _, _, _, models, _) = call("gan-edit-status", end_engine=True)
        return {"random": random, "layer": describe(layer), "models": models.splitlines()}
    finally:
        Path(config_file).write_text(json.dumps(config))
