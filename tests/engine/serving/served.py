"""``gan-edit serve`` as its own process, with an engine of its own, and what tests ask of it."""

from __future__ import annotations

import os
import re
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from engine_process import wait_for

from gan_edit_engine.cli.install import engine_program
from gan_edit_protocol import wire
from gan_edit_protocol.packing import packed, unpacked

# Before gradio_client is loaded: it reports to its makers otherwise, by a thread that never ends.
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

MOST = 1 << 30


class Served:
    """``url`` is where it listens."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.connection_file = folder / "engine.json"
        self.log_file = folder / "serve.log"
        files = ["--port", "0", "--connection", str(self.connection_file)]
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [*engine_program(), "serve", *files, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "XDG_CACHE_HOME": str(folder), "XDG_STATE_HOME": str(folder)},
            )

    @property
    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def wait_until_ready(self) -> Served:
        wait_for(lambda: "GAN Edit is at" in self.log or self.process.poll() is not None, 180)
        assert self.process.poll() is None, self.log
        return self

    @property
    def url(self) -> str:
        found = re.search(r"GAN Edit is at (\S+)", self.log)
        assert found is not None
        return found[1]

    def end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        wait_for(lambda: not self.connection_file.exists())


def fetched(url: str, data: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    """Status and body of what an address answers; ``url`` goes out as it is written."""
    request = urllib.request.Request(url, data, {name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def sent(client: Any, request: Any, job: str = "a" * 32) -> Any:
    """A request, sent as a gradio_client's job."""
    return client.submit(packed(wire.encode(job, request)), "", 0, api_name="/frames")


def events(answers: Any) -> list[tuple[int, Any]]:
    """The numbers and events of the answers to one call, without those that say only that it goes on."""
    told = ((answer["number"], answer["message"]) for answer in answers)
    decoded = [(number, *wire.decode_event(unpacked(message, MOST))) for number, message in told if message]
    assert len({job for _, job, _ in decoded}) <= 1
    return [(number, event) for number, _, event in decoded]
