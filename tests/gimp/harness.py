"""Runs pieces of Python inside a real GIMP 3 and brings back what they answer as JSON."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_edit_protocol import connection

REPOSITORY = Path(__file__).resolve().parents[2]
BATCH = Path(__file__).resolve().parent / "batch"
SCREENSHOTS = REPOSITORY / "test-output"
SECONDS = 300


@dataclass(frozen=True)
class HeadlessGimp:
    """A GIMP without windows. ``profile``: its settings, with the plug-in installed; ``scratch``: for answers."""

    launcher: str
    profile: Path
    scratch: Path

    def run(self, script: str, *arguments: Any) -> Any:
        """Call ``main(*arguments)`` of ``batch/SCRIPT.py`` in a fresh GIMP."""
        answer = self.scratch / f"{script}.json"
        answer.unlink(missing_ok=True)
        done = subprocess.run(
            [
                self.launcher,
                "-idf",
                "--batch-interpreter",
                "python-fu-eval",
                "-b",
                batch_code(script, arguments, answer),
            ]
            + ["--quit"],
            env=environment(self.profile),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert answer.exists(), f"GIMP ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return json.loads(answer.read_text(encoding="utf-8"))


def environment(profile: Path) -> dict[str, str]:
    """GIMP's environment: a settings folder of its own, and the engine that its plug-in was installed with."""
    inherited = {name: value for name, value in os.environ.items() if name != connection.ENVIRONMENT_VARIABLE}
    return {**inherited, "GIMP3_DIRECTORY": str(profile), "TMPDIR": str(profile.parent)}


def batch_code(script: str, arguments: tuple[Any, ...], answer: Path) -> str:
    """Python for GIMP's batch interpreter, which writes the JSON of ``main(*arguments)`` to ``answer``."""
    # The answer appears in one step, so that a reader never sees half of it.
    return (
        f"import json, os, sys; sys.dont_write_bytecode = True; sys.path.insert(0, {str(BATCH)!r})\n"
        f"import {script}\n"
        f"result = {script}.main(*json.loads({json.dumps(arguments)!r}))\n"
        f"open({str(answer) + '.part'!r}, 'w').write(json.dumps(result))\n"
        f"os.replace({str(answer) + '.part'!r}, {str(answer)!r})\n"
    )


def get_gimp(*options: str) -> str:
    """The path that scripts/get-gimp prints."""
    found = subprocess.run(
        [REPOSITORY / "scripts" / "get-gimp", *options], stdout=subprocess.PIPE, text=True, timeout=1500, check=True
    )
    return found.stdout.strip()
