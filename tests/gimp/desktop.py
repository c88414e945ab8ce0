"""A GIMP with windows on a screen of its own (Xvfb), driven by keys and mouse as a person would, and photographed."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil

from gimp.harness import batch_code, environment

SCREEN = "1360x960x24"
GIMPRC = """(config-version "{version}")
(show-welcome-dialog no)
(check-updates no)
"""
START_SECONDS = 120.0
JOB_SECONDS = 300.0
LAYERS = "answer = [layer.get_name() for layer in image.get_layers()]"


class Desktop:
    """``inside``: the launcher that runs a command where this GIMP lives (scripts/get-gimp --env).

    ``screen``: its width, height and depth. ``variables``: of GIMP's environment, besides the test's.
    """

    def __init__(
        self, gimp: str, inside: str, profile: Path, scratch: Path, screen: str = SCREEN, **variables: str
    ) -> None:
        self.inside = inside
        self.screen = screen
        self.questions = scratch / "questions"
        self.questions.mkdir(parents=True)
        self.number = 0
        # A GIMP that has not run in this version before opens with a welcome over its window.
        version = subprocess.run([gimp, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
        (profile / "gimprc").write_text(GIMPRC.format(version=version), encoding="utf-8")
        self.processes: list[subprocess.Popen[bytes]] = []
        self.log = (scratch / "desktop.log").open("wb")
        self.environment = {**environment(profile), **variables}
        self.environment["DISPLAY"] = f":{self._start_screen()}"
        self._start([inside, "openbox"])
        code = batch_code("remote", (str(self.questions),), scratch / "remote.json")
        self._start([gimp, "-n", "-s", "--batch-interpreter", "python-fu-eval", "-b", code])

    def _start_screen(self) -> int:
        reading, writing = os.pipe()
        command = [self.inside, "Xvfb", "-displayfd", str(writing), "-screen", "0", self.screen, "-nolisten", "tcp"]
        self._start(command, pass_fds=(writing,))
        os.close(writing)
        with os.fdopen(reading) as answer:
            return int(answer.readline())

    def _start(self, command: list[str], **options: Any) -> None:
        self.processes.append(
            subprocess.Popen(command, env=self.environment, stdout=self.log, stderr=self.log, **options)
        )

    def evaluate(self, code: str, seconds: float = START_SECONDS) -> Any:
        """Run ``code`` inside GIMP and give back what it left in ``answer``."""
        question = self.questions / f"{self.number}.py"
        reply = self.questions / f"{self.number}.json"
        self.number += 1
        part = question.with_suffix(".new")
        part.write_text(code, encoding="utf-8")
        part.rename(question)
        self.wait_for(reply.exists, f"GIMP to answer {code!r}", seconds)
        answer = json.loads(reply.read_text(encoding="utf-8"))
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def wait_for(self, condition: Any, what: str, seconds: float = 60.0) -> Any:
        """Wait until ``condition()`` is true and give back its value."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            value = condition()
            if value:
                return value
            time.sleep(0.1)
        self.photograph(self.questions.parent / "stuck.png")
        raise AssertionError(f"waited {seconds:.0f} s in vain for {what}; see {self.questions.parent / 'stuck.png'}")

    def xdotool(self, *words: str) -> str:
        done = subprocess.run(
            [self.inside, "xdotool", *words], env=self.environment, capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    def keys(self, *names: str) -> None:
        """Press keys one after the other, slowly enough for menus to follow."""
        self.xdotool("key", "--delay", "150", *names)
        time.sleep(0.4)

    def window(self, title: str, seconds: float = 60.0) -> str:
        """Wait for a visible window whose title contains ``title``; its number."""
        found = self.wait_for(
            lambda: self.xdotool("search", "--onlyvisible", "--name", title), f"a window named {title!r}", seconds
        )
        return str(found).splitlines()[0]

    def gone(self, title: str) -> bool:
        return not self.xdotool("search", "--onlyvisible", "--name", title)

    def geometry(self, window: str) -> dict[str, int]:
        """X, Y, WIDTH and HEIGHT of a window on the screen, without its title bar."""
        lines = self.xdotool("getwindowgeometry", "--shell", window).splitlines()
        values = dict(line.split("=") for line in lines)
        return {name: int(values[name]) for name in ("X", "Y", "WIDTH", "HEIGHT")}

    def open_dialog(self, key: str, title: str) -> str:
        """The window of a dialog of the plug-in, by the key of its entry in the menu."""
        self.window("GIMP")
        self.keys("alt+r", "Up", "Right", key)  # Filters; its last entry is GAN Edit
        return self.window(title)

    def close_dialog(self, title: str, key: str = "Escape") -> None:
        self.keys(key)
        self.wait_for(lambda: self.gone(title), "the dialog to close")

    def choose_draft(self) -> None:
        """In a dialog: by way of the model, which has a key of its own."""
        self.keys("alt+m", "Tab", "Tab", "Up")

    def layers(self) -> Any:
        """The names of the layers of what ``evaluate`` knows as ``image``."""
        return self.evaluate(LAYERS)

    def wait_for_layers(self, count: int, what: str) -> None:
        """Until a job has added its layers."""
        self.wait_for(lambda: len(self.layers()) >= count, what, JOB_SECONDS)

    def photograph(self, path: Path) -> None:
        """Save the whole screen as PNG."""
        path.parent.mkdir(exist_ok=True)
        subprocess.run(
            [self.inside, "import", "-window", "root", str(path)], env=self.environment, check=True, timeout=60
        )

    def close(self) -> None:
        # GIMP's own plug-ins outlive a GIMP that is ended from outside.
        started = [child for each in self.processes for child in descendants(each.pid)]
        for process in reversed(self.processes):
            process.terminate()
        for process in reversed(self.processes):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        _, alive = psutil.wait_procs(started, timeout=3)
        for child in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        self.log.close()


def descendants(pid: int) -> list[psutil.Process]:
    """None of a process that is gone."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
