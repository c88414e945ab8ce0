"""The main job as a person does it in GIMP: menu, dialog, result, Undo. Leaves screenshots in test-output/."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import skimage.data
from PIL import Image

from gan_edit_protocol.settings import EditSettings
from gimp.desktop import Desktop
from gimp.harness import REPOSITORY
from gimp.squares import chosen_square

pytestmark = [pytest.mark.gimp, pytest.mark.slow]

SCREENSHOTS = REPOSITORY / "test-output"
SEED = 7
JOB_SECONDS = 300.0

OPEN = """
import base64, json
import cat, scenes
from gi.repository import Gimp
image, photo, scribble = cat.open_cat({path!r})
selection = scenes.selection_values(image)
scribble.set_visible(False)
before, size = scenes.projection(image)
scribble.set_visible(True)
seen_before = scenes.digest(scenes.projection(image)[0])
image.clean_all()
answer = None
"""
LAYERS = "answer = [layer.get_name() for layer in image.get_layers()]"
RESULT = """
after, size = scenes.projection(image)
outside, inside = scenes.changed_pixels(before, after, selection, size)
latent = json.loads(scenes.parasite_text(image.get_layers()[1], "gan-edit-latent"))
answer = {
    "outside": outside,
    "inside": inside,
    "quality": latent["settings"]["quality"],
    "steps": latent["settings"]["steps"],
    "irises": cat.iris_colors(image),
    "selected": [layer.get_name() for layer in image.get_selected_layers()],
}
"""
EMPTY = """
import json, scenes
from gi.repository import Gimp
image, photo, _ = scenes.make_image()
image.remove_layer(image.get_layers()[0])
Gimp.Display.new(image)
answer = None
"""
SEEDS = """
edits = image.get_layers()[:2]
answer = [json.loads(scenes.parasite_text(layer, "gan-edit-latent"))["settings"]["seed"] for layer in edits]
"""
UNDONE = """
answer = {
    "as before": scenes.digest(scenes.projection(image)[0]) == seen_before,
    "scribble visible": scribble.get_visible(),
    "layers": [layer.get_name() for layer in image.get_layers()],
}
"""


@pytest.fixture(autouse=True)
def _screenshots() -> None:
    SCREENSHOTS.mkdir(exist_ok=True)


def test_a_cat_gets_blue_eyes_through_menu_and_dialog_in_one_undo_step(desktop: Desktop, tmp_path: Path) -> None:
    photo = tmp_path / "cat.png"
    Image.fromarray(skimage.data.chelsea()).save(photo)
    desktop.evaluate(OPEN.format(path=str(photo)))
    show_whole_photo(desktop)

    desktop.keys("alt+r", "Up", "Right")  # Filters; its last entry is GAN Edit
    desktop.photograph(SCREENSHOTS / "gimp_menu.png")
    desktop.keys("e")
    desktop.window("Edit Photo with Scribble")
    choose_draft(desktop)
    chosen_square(desktop, SCREENSHOTS / "gimp_dialog.png")
    desktop.keys("alt+o")
    desktop.wait_for(lambda: desktop.gone("Edit Photo with Scribble"), "the dialog to close")
    assert len(layers(desktop)) == 2
    desktop.photograph(SCREENSHOTS / "gimp_working.png")
    desktop.wait_for(lambda: len(layers(desktop)) == 3, "the edit", JOB_SECONDS)
    desktop.photograph(SCREENSHOTS / "gimp_result.png")

    assert layers(desktop) == ["scribble", "GAN Edit: scribble (cats128)", "cat"]
    result = desktop.evaluate(RESULT)
    assert result["outside"] == 0
    assert result["inside"] > 1000
    draft = EditSettings(quality="draft")
    assert (result["quality"], result["steps"]) == ("draft", draft.steps)
    assert result["selected"] == ["cat"]
    for red, green, blue in result["irises"]:
        assert blue > red + 20
        assert blue > green

    desktop.keys("ctrl+z")
    undone = desktop.evaluate(UNDONE)
    assert undone == {"as before": True, "scribble visible": True, "layers": ["scribble", "cat"]}
    desktop.keys("ctrl+y")
    assert len(layers(desktop)) == 3


def test_repeating_the_last_filter_uses_the_values_that_were_typed_in(desktop: Desktop) -> None:
    desktop.evaluate(EMPTY)
    show_whole_photo(desktop)
    desktop.keys("alt+r", "Up", "Right", "r")
    desktop.window("Random Image")
    desktop.keys("alt+m", "Tab", "Tab", "ctrl+a")
    desktop.xdotool("type", "--delay", "100", str(SEED))
    desktop.keys("Tab", "alt+o")
    desktop.wait_for(lambda: len(layers(desktop)) == 2, "the random image")
    desktop.photograph(SCREENSHOTS / "gimp_random.png")
    desktop.keys("ctrl+f")
    desktop.wait_for(lambda: len(layers(desktop)) == 3, "the second random image")
    assert desktop.evaluate(SEEDS) == [SEED, SEED]


def layers(desktop: Desktop) -> Any:
    return desktop.evaluate(LAYERS)


def show_whole_photo(desktop: Desktop) -> None:
    window = desktop.window("GIMP")
    desktop.xdotool("windowmove", window, "0", "0", "windowsize", window, "1340", "930")
    # Widen the dock on the right, so that the names of layers are not cut.
    desktop.xdotool("mousemove", "1107", "499", "mousedown", "1", "mousemove", "930", "499", "mouseup", "1")
    desktop.xdotool("mousemove", "330", "880")
    desktop.keys("ctrl+shift+j")


def choose_draft(desktop: Desktop) -> None:
    desktop.keys("alt+m", "Tab", "Tab", "Up")
