"""A real GIMP 3 with the plug-in installed in a profile of its own, and a real engine for it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gan_edit_engine.cli import install
from gan_edit_protocol.launch import START_SECONDS, EngineCommand
from gimp.desktop import Desktop
from gimp.harness import HeadlessGimp, get_gimp


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gimp")


@pytest.fixture(scope="session")
def engine(scratch: Path) -> Iterator[EngineCommand]:
    """A running engine; GIMP's plug-in finds it through its connection file."""
    command = EngineCommand(tuple(install.engine_program()), scratch / "engine.json", scratch / "engine.log")
    with command.log_file.open("wb") as log:
        process = subprocess.Popen(
            [*command.program, "engine", "--connection", str(command.connection_file)], stdout=log, stderr=log
        )
    deadline = time.monotonic() + START_SECONDS
    while not command.connection_file.exists():
        assert process.poll() is None, command.log_file.read_text()
        assert time.monotonic() < deadline, "the engine does not come up"
        time.sleep(0.1)
    yield command
    process.terminate()
    process.wait(30)


@pytest.fixture(scope="session")
def profile(scratch: Path, engine: EngineCommand) -> Path:
    """A GIMP settings folder with the plug-in installed as ``gan-edit install-plugin`` does it."""
    folder = scratch / "profile"
    install.install([folder], list(engine.program), engine.connection_file, scratch)
    return folder


@pytest.fixture(scope="session")
def gimp(scratch: Path, profile: Path) -> HeadlessGimp:
    return HeadlessGimp(get_gimp(), profile, scratch)


@pytest.fixture
def open_desktop(tmp_path: Path, profile: Path) -> Iterator[Callable[..., Desktop]]:
    """Opens a GIMP with windows on a screen of its own; takes what ``Desktop`` takes of screen and variables."""
    with ExitStack() as stack:

        def start(*screen: str, **variables: str) -> Desktop:
            started = Desktop(get_gimp("--gui"), get_gimp("--env"), profile, tmp_path, *screen, **variables)
            stack.callback(started.close)
            return started

        yield start


@pytest.fixture
def desktop(open_desktop: Callable[..., Desktop]) -> Desktop:
    """A GIMP with windows on a screen of its own."""
    return open_desktop()
