"""A real GIMP 3 on a computer whose own engine does not start edits through ``gan-edit serve``.

At the end that computer is repaired. Leaves screenshots in test-output/.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import skimage.data
from PIL import Image
from serving.served import Served

from gan_edit_engine.cli import install
from gan_edit_engine.serving import keys
from gan_edit_protocol import remote
from gan_edit_protocol.remote import Remote
from gimp.desktop import Desktop
from gimp.harness import SCREENSHOTS, HeadlessGimp, get_gimp
from gimp.squares import chosen_square

pytestmark = [pytest.mark.gimp, pytest.mark.slow]
pytest.importorskip("gradio")

WIDTH, HEIGHT = 1024, 768
ANSWERS_HEIGHT = 80
"""By so many pixels the window of the engines grows when each of three servers has answered, or is known not to."""
PROGRAM = """#!/bin/sh
case "$1" in relay) exec {program} "$@" ;; esac
echo "There is no graphics card here." >&2
exit 1
"""
OPEN = """
import json
import cat, scenes
opened = cat.OpenedCat({path!r})
image = opened.image
answer = None
"""
RESULT = """
outside, inside = opened.changed_pixels()
quality = json.loads(scenes.parasite_text(image.get_layers()[1], "gan-edit-latent"))["settings"]["quality"]
answer = {"outside": outside, "inside": inside, "quality": quality}
"""
END_ENGINE = """
status, values = scenes.call("gan-edit-status", end_engine=True)
answer = [status, values[0]]
"""
UNDONE = "answer = opened.is_as_before()"
MODELS = """
import sys
sys.path.insert(0, {plug_in!r})
import gi
gi.require_version("GimpUi", "3.0")
from gi.repository import Gimp, GimpUi
GimpUi.init("test")
import choosers
from gan_edit_protocol.events import EngineStatus
config = Gimp.get_pdb().lookup_procedure("gan-edit-scribble").create_config()
chooser = choosers.ModelChooser(config, ("default", "dogs"))
answer = []

def hear(engine, *models, more=0):
    chooser.follow_engine(engine, EngineStatus(models=models, more_models=more))
    offered = [row[0] for row in chooser.get_model()]
    answer.append([config.get_property("model"), chooser.get_child().get_text(), offered])

config.set_property("model", "dogs")
hear("https://a", "default", "ships")
hear("local", "default", "dogs")
hear("https://a", "default", "ships", more=1)
hear("https://a", "default", "ships")
chooser.get_child().set_text("ships")
hear("local", "default", "dogs")
hear("https://b", "default")
hear("https://a", "default", "ships")
"""


@dataclass(frozen=True)
class Studio:
    """``served``: the server; ``profile``: a GIMP's, whose plug-in knows it and two addresses that are of no use."""

    served: Served
    profile: Path
    scratch: Path
    wrong: str
    gone: str

    def repair_this_computer(self) -> None:
        """From now on its engine starts."""
        program = self.scratch / "gan-edit"
        program.write_text(f'#!/bin/sh\nexec {" ".join(install.engine_program())} "$@"\n', encoding="utf-8")

    @property
    def plug_in(self) -> Path:
        return self.profile / "plug-ins" / "gan-edit"


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    folder, scratch = tmp_path_factory.mktemp("server"), tmp_path_factory.mktemp("laptop")
    key = keys.add(folder / "keys", "anna")
    served = Served(folder, "--token-file", str(folder / "keys")).wait_until_ready()
    program = scratch / "gan-edit"
    program.write_text(PROGRAM.format(program=" ".join(install.engine_program())), encoding="utf-8")
    program.chmod(0o755)
    profile = scratch / "profile"
    install.install([profile], [str(program)], scratch / "engine.json", scratch)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        gone = f"http://127.0.0.1:{taken.getsockname()[1]}"
    wrong = served.url.replace("127.0.0.1", "localhost")
    for known in (Remote(served.url, key), Remote(wrong, "wrong" * 9), Remote(gone, key)):
        remote.store(known, scratch / "servers.json")
    yield Studio(served, profile, scratch, wrong, gone)
    served.end()


@pytest.fixture(scope="module")
def answers(studio: Studio) -> dict[str, Any]:
    gimp = HeadlessGimp(get_gimp(), studio.profile, studio.scratch)
    config = studio.plug_in / "gan-edit.json"
    asked = (str(config), studio.served.url, studio.wrong, studio.gone, str(studio.served.connection_file))
    found: dict[str, Any] = gimp.run("studio", *asked)
    return found


def message(answer: Any) -> str:
    """The error text of a call, which must have failed."""
    status, values = answer
    assert status == "execution-error", answer
    return str(values[0])


def test_an_edit_through_a_server_is_a_masked_layer_as_any_other(answers: dict[str, Any]) -> None:
    status, layer, (outside, inside) = answers["edit"]
    assert status == "success", layer
    assert layer["name"] == "GAN Edit: scribble (cats256)"
    assert layer["mask"] is not None
    assert outside == 0
    assert inside > 100


def test_a_gimp_without_zmq_needs_none_for_a_server(answers: dict[str, Any]) -> None:
    status, layer = answers["without zmq"]
    assert status == "success", layer
    assert layer["name"] == "GAN Edit: random (cats256)"


def test_a_servers_status_is_asked_for_by_its_address(answers: dict[str, Any]) -> None:
    status, (running, version, *_, models, jobs) = answers["status"]
    assert (status, running, jobs) == ("success", True, 0)
    assert version
    assert models.splitlines()[0] == "default"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("local", "The GAN Edit engine did not start: There is no graphics card here."),
        ("nothing", "The GAN Edit engine did not start: There is no graphics card here."),
        ("unknown", "No key for https://a.example is kept here. Give it once with: gan-edit connect https://a.example"),
        ("wrong key", "does not know this key. Give the right one with: gan-edit connect"),
        ("gone", "cannot be reached"),
        ("status gone", "cannot be reached"),
        ("unknown model", "This server has no model named 'no-such-model'."),
        ("end", "is not ended from here."),
    ],
)
def test_what_is_wrong_with_a_server_is_one_sentence(answers: dict[str, Any], name: str, sentence: str) -> None:
    text = message(answers["errors"][name])
    assert sentence in text
    assert "lost" not in text
    assert "Traceback" not in text


def test_a_call_that_failed_adds_no_layer(answers: dict[str, Any]) -> None:
    assert answers["errors"]["layers afterwards"] == ["scribble", "photo"]


def test_a_server_drops_the_job_of_a_plug_in_that_is_cancelled(answers: dict[str, Any]) -> None:
    killed = answers["killed"]
    assert killed["status"] != "success"
    assert killed["layers"] == 2
    assert killed["seconds"] < 30  # a job that nobody listens to is dropped after a minute


@pytest.fixture
def desktop(studio: Studio, tmp_path: Path) -> Iterator[Desktop]:
    size = f"{WIDTH}x{HEIGHT}x24"
    opened = Desktop(get_gimp("--gui"), get_gimp("--env"), studio.profile, tmp_path, size)
    yield opened
    opened.close()


def test_a_person_chooses_a_server_in_the_dialog_and_it_is_used_from_then_on(
    desktop: Desktop, studio: Studio, tmp_path: Path
) -> None:
    photo = tmp_path / "cat.png"
    Image.fromarray(skimage.data.chelsea()).save(photo)
    desktop.evaluate(OPEN.format(path=str(photo)))
    window = desktop.open_dialog("e", "Edit Photo with Scribble")
    desktop.photograph(SCREENSHOTS / "engine_here.png")
    desktop.keys("alt+e", "Down")
    chosen_square(desktop, SCREENSHOTS / "engine_there.png")  # found there: it is nowhere else
    assert_on_screen(desktop, window)
    desktop.choose_draft()
    desktop.close_dialog("Edit Photo with Scribble", "alt+o")
    desktop.wait_for_layers(3, "the edit")
    desktop.photograph(SCREENSHOTS / "engine_result.png")
    assert desktop.layers() == ["scribble", "GAN Edit: scribble (cats256)", "cat"]
    result = desktop.evaluate(RESULT)
    assert result["outside"] == 0
    assert result["inside"] > 1000
    assert result["quality"] == "draft"
    desktop.keys("ctrl+z")
    assert desktop.layers() == ["scribble", "cat"]
    assert desktop.evaluate(UNDONE)

    desktop.open_dialog("e", "Edit Photo with Scribble")
    chosen_square(desktop, SCREENSHOTS / "engine_remembered.png")
    desktop.close_dialog("Edit Photo with Scribble")
    for key, title in (("r", "Random Image"), ("f", "Image from Scribble")):
        window = desktop.open_dialog(key, title)
        desktop.photograph(SCREENSHOTS / f"engine_{key}.png")
        assert_on_screen(desktop, window)
        desktop.close_dialog(title)

    window = desktop.open_dialog("s", "GAN Edit Engine")
    asking = desktop.geometry(window)["HEIGHT"]
    desktop.wait_for(lambda: desktop.geometry(window)["HEIGHT"] - asking > ANSWERS_HEIGHT, "the servers' answers")
    desktop.photograph(SCREENSHOTS / "engine_status.png")
    assert_on_screen(desktop, window)
    desktop.close_dialog("GAN Edit Engine")
    servers = studio.scratch / "servers.json"
    kept = servers.read_text(encoding="utf-8")
    servers.write_text("no JSON", encoding="utf-8")
    desktop.open_dialog("s", "GAN Edit Engine")
    desktop.photograph(SCREENSHOTS / "engine_damaged.png")
    desktop.close_dialog("GAN Edit Engine")
    servers.write_text(kept, encoding="utf-8")

    studio.repair_this_computer()
    desktop.open_dialog("p", "Project Photo")
    chosen_square(desktop, SCREENSHOTS / "engine_repaired.png")
    desktop.close_dialog("Project Photo")
    assert desktop.evaluate(END_ENGINE) == ["success", True]

    default = ["default", "cats256: cat face", ["cats256: cat face", "ships"]]
    assert desktop.evaluate(MODELS.format(plug_in=str(studio.plug_in))) == [
        default,
        ["dogs", "dogs", ["cats256: cat face", "dogs"]],
        ["dogs", "dogs", ["cats256: cat face", "ships"]],
        default,
        ["ships", "ships", ["cats256: cat face", "dogs"]],
        ["default", "cats256: cat face", ["cats256: cat face"]],
        ["ships", "ships", ["cats256: cat face", "ships"]],
    ]


def assert_on_screen(desktop: Desktop, window: str) -> None:
    found = desktop.geometry(window)
    assert min(found["X"], found["Y"]) >= 0
    assert found["X"] + found["WIDTH"] <= WIDTH
    assert found["Y"] + found["HEIGHT"] <= HEIGHT
