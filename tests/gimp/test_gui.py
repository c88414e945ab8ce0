"""The main job as a person does it in GIMP: menu, dialog, result, Undo. Leaves screenshots in test-output/."""

from __future__ import annotations

from pathlib import Path

import pytest
import skimage.data
from PIL import Image

from gan_edit_protocol.settings import EditSettings
from gimp.desktop import Desktop
from gimp.harness import SCREENSHOTS
from gimp.squares import chosen_square

pytestmark = [pytest.mark.gimp, pytest.mark.slow]

SEED = 7

OPEN = """
import json
import cat, scenes
opened = cat.OpenedCat({path!r})
image = opened.image
answer = None
"""
RESULT = """
outside, inside = opened.changed_pixels()
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
    "as before": opened.is_as_before(),
    "scribble visible": opened.scribble.get_visible(),
    "layers": [layer.get_name() for layer in image.get_layers()],
}
"""


def test_a_cat_gets_blue_eyes_through_menu_and_dialog_in_one_undo_step(desktop: Desktop, tmp_path: Path) -> None:
    photo = tmp_path / "cat.png"
    Image.fromarray(skimage.data.chelsea()).save(photo)
    desktop.evaluate(OPEN.format(path=str(photo)))
    show_whole_photo(desktop)

    desktop.keys("alt+r", "Up", "Right")
    desktop.photograph(SCREENSHOTS / "gimp_menu.png")
    desktop.keys("e")
    desktop.window("Edit Photo with Scribble")
    desktop.choose_draft()
    chosen_square(desktop, SCREENSHOTS / "gimp_dialog.png")
    desktop.close_dialog("Edit Photo with Scribble", "alt+o")
    assert len(desktop.layers()) == 2
    desktop.photograph(SCREENSHOTS / "gimp_working.png")
    desktop.wait_for_layers(3, "the edit")
    desktop.photograph(SCREENSHOTS / "gimp_result.png")

    assert desktop.layers() == ["scribble", "GAN Edit: scribble (cats256)", "cat"]
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
    assert len(desktop.layers()) == 3


def test_repeating_the_last_filter_uses_the_values_that_were_typed_in(desktop: Desktop) -> None:
    desktop.evaluate(EMPTY)
    show_whole_photo(desktop)
    desktop.open_dialog("r", "Random Image")
    desktop.keys("alt+m", "Tab", "Tab", "ctrl+a")
    desktop.xdotool("type", "--delay", "100", str(SEED))
    desktop.keys("Tab", "alt+o")
    desktop.wait_for_layers(2, "the random image")
    desktop.photograph(SCREENSHOTS / "gimp_random.png")
    desktop.keys("ctrl+f")
    desktop.wait_for_layers(3, "the second random image")
    assert desktop.evaluate(SEEDS) == [SEED, SEED]


def show_whole_photo(desktop: Desktop) -> None:
    window = desktop.window("GIMP")
    desktop.xdotool("windowmove", window, "0", "0", "windowsize", window, "1340", "930")
    # Widen the dock on the right, so that the names of layers are not cut.
    desktop.xdotool("mousemove", "1107", "499", "mousedown", "1", "mousemove", "930", "499", "mouseup", "1")
    desktop.xdotool("mousemove", "330", "880")
    desktop.keys("ctrl+shift+j")
