"""What ``gan-edit install-plugin`` wrote beside this file: how to run the engine, and where the logs go."""

from __future__ import annotations

import json
import logging
import os
import shlex
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path

from gan_edit_protocol import connection
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.launch import EngineCommand

CONFIG_FILE = Path(__file__).resolve().with_name("gan-edit.json")
HOST_PREFIX = "GAN_EDIT_HOST_PREFIX"
"""Set where GIMP lives in a root folder of its own: the words that run a command of the host ("chroot /host")."""

LOG_BYTES = 500_000
LOG_FILES = 3


@dataclass(frozen=True)
class Installation:
    """The engine's command and files, and the plug-in's own log."""

    engine: EngineCommand
    log_file: Path


def read(path: Path = CONFIG_FILE) -> Installation:
    """Read the config file; :class:`GanEditError` when it is missing or damaged."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        program = (*shlex.split(os.environ.get(HOST_PREFIX, "")), *map(str, values["program"]))
        engine_log, plugin_log = Path(values["engine_log"]), Path(values["plugin_log"])
        written = Path(values["connection_file"])
    except (OSError, ValueError, KeyError, TypeError):
        raise GanEditError(
            "bad_installation",
            f"The plug-in's file {path} is missing or damaged.",
            "Run gan-edit install-plugin again.",
        ) from None
    connection_file = connection.default_path() if connection.ENVIRONMENT_VARIABLE in os.environ else written
    return Installation(EngineCommand(program, connection_file, engine_log), plugin_log)


def start_log(path: Path) -> logging.Logger:
    """The plug-in's log: on Windows a plug-in has no console, and elsewhere nobody sees it."""
    logger = logging.getLogger("gan-edit")
    logger.setLevel(logging.INFO)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8")
    except OSError:
        return logger  # an edit is worth more than its log
    handler.setFormatter(logging.Formatter("%(asctime)s [%(process)d] %(levelname)s %(message)s"))
    logger.addHandler(handler)
    return logger
