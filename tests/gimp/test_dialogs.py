"""The plug-in's dialogs on small screens, by keys and wheel, in a real GIMP 3. Leaves screenshots in test-output/."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from gimp.desktop import Desktop
from gimp.harness import SCREENSHOTS

pytestmark = [pytest.mark.gimp, pytest.mark.slow]

FADING = 8
"""Levels by which a button still differs shortly after the pointer has left it; digits differ by a hundred."""
DIALOGS = {"i": "Interpolate Layers", "p": "Project Photo", "e": "Edit Photo with Scribble"}
SCREENS = {"1024x768": ("1024x768x24", 1), "1920x1080 doubled": ("1920x1080x24", 2)}

SEVERAL = """
import scenes
from gi.repository import Gimp
image, photo, _ = scenes.make_image()
for seed in (3, 4):
    scenes.call("gan-edit-random", image, seed=seed)
Gimp.Display.new(image)
answer = None
"""
BESIDE = """
import json, scenes
from gi.repository import Gimp
image, photo, scribble = scenes.make_image()
image.remove_layer(scribble)
photo.set_offsets(50, 50)
scenes.select(image, box=(2, 2, 8, 8))
Gimp.Display.new(image)
answer = None
"""
NOTHING_SELECTED = """
photo.set_offsets(0, 0)
Gimp.Selection.none(image)
answer = None
"""
QUALITY = """
kept = [json.loads(scenes.parasite_text(layer, "gan-edit-latent")) for layer in image.get_layers()[:-1]]
answer = [each["settings"]["quality"] for each in kept]
"""
TWO_PHOTOS = """
import scenes
from gi.repository import Gimp
image, photo, scribble = scenes.make_image()
image.remove_layer(scribble)
colours = photo.copy()
image.insert_layer(colours, None, 0)
colours.set_name("colours")
scenes.paint(colours, scenes.SCRIBBLE_BOX, bytes((30, 60, 220, 255)))
image.set_selected_layers([photo])
scenes.select(image)
Gimp.Display.new(image)
answer = None
"""
UNPAINTED = """
import scenes
from gi.repository import Gimp
image, photo, scribble = scenes.make_image()
scribble.set_name("colours")
size = image.get_width(), image.get_height()
empty = Gimp.Layer.new(image, "empty", *size, Gimp.ImageType.RGBA_IMAGE, 100, Gimp.LayerMode.NORMAL)
image.insert_layer(empty, None, 0)
image.set_selected_layers([empty])
Gimp.Display.new(image)
answer = None
"""
DESKTOP_FILE = """[Desktop Entry]
Type=Application
Name=Browser
Exec={browser} %u
MimeType=text/html;x-scheme-handler/file;
"""
MIME_APPS = """[Default Applications]
text/html=browser.desktop
x-scheme-handler/file=browser.desktop
"""


@pytest.mark.parametrize("name", SCREENS)
def test_all_buttons_stay_on_a_small_screen_and_the_wheel_scrolls_and_changes_no_number(
    open_desktop: Callable[..., Desktop], tmp_path: Path, name: str
) -> None:
    screen, scale = SCREENS[name]
    width, height = (int(number) for number in screen.split("x")[:2])
    desktop = open_desktop(screen, GDK_SCALE=str(scale))
    desktop.evaluate(SEVERAL)
    for key, title in DIALOGS.items():
        window = desktop.open_dialog(key, title)
        unfold_advanced(desktop, window)
        found = desktop.geometry(window)
        assert min(found["X"], found["Y"]) >= 0
        assert found["X"] + found["WIDTH"] <= width
        assert found["Y"] + found["HEIGHT"] <= height

        above = photograph_still(desktop, tmp_path, window)
        turn_wheel(desktop, window, "5")
        if is_scrolled(key, scale):
            desktop.wait_for(lambda: differ(photograph(desktop, tmp_path, window), above), "the rest")  # noqa: B023
        above.save(SCREENSHOTS / f"dialog_{key}_{scale}.png")
        photograph_still(desktop, tmp_path, window).save(SCREENSHOTS / f"dialog_{key}_{scale}_end.png")
        # A number that had followed the wheel would have met its least on the way, and not be what it was.
        turn_wheel(desktop, window, "4")
        unchanged = "what was seen before the wheel went down and up"
        desktop.wait_for(lambda: not differ(photograph(desktop, tmp_path, window), above), unchanged)  # noqa: B023
        desktop.close_dialog(title)


def test_help_opens_the_plug_ins_own_page(open_desktop: Callable[..., Desktop], tmp_path: Path) -> None:
    browser, visited, applications = tmp_path / "browser", tmp_path / "visited", tmp_path / "share" / "applications"
    browser.write_text(f'#!/bin/sh\necho "$1" > {visited}.part\nmv {visited}.part {visited}\n', encoding="utf-8")
    browser.chmod(0o755)
    applications.mkdir(parents=True)
    (applications / "browser.desktop").write_text(DESKTOP_FILE.format(browser=browser), encoding="utf-8")
    (applications / "mimeapps.list").write_text(MIME_APPS, encoding="utf-8")
    desktop = open_desktop(XDG_DATA_HOME=str(tmp_path / "share"))
    desktop.evaluate(BESIDE)
    desktop.open_dialog("p", DIALOGS["p"])
    desktop.keys("alt+h")
    desktop.wait_for(visited.exists, "the browser")
    assert visited.read_text(encoding="utf-8").endswith("plug-ins/gan-edit/help/en/index.html#gan-edit-project\n")


def test_what_was_chosen_for_a_run_that_failed_is_used_by_the_next(desktop: Desktop) -> None:
    desktop.evaluate(BESIDE)
    desktop.open_dialog("p", DIALOGS["p"])
    desktop.choose_draft()
    desktop.keys("Tab", "alt+o")
    desktop.window("GIMP Message")  # the selection does not touch the layer
    desktop.keys("Escape")
    desktop.evaluate(NOTHING_SELECTED)
    desktop.keys("ctrl+f")
    desktop.wait_for_layers(2, "the projection")
    assert desktop.evaluate(QUALITY) == ["draft"]


def test_where_no_scribble_is_found_the_dialog_asks_for_it(desktop: Desktop) -> None:
    desktop.evaluate(TWO_PHOTOS)
    desktop.open_dialog("e", DIALOGS["e"])
    desktop.photograph(SCREENSHOTS / "dialog_asks.png")
    desktop.keys("alt+o", "alt+b", "Down")
    desktop.photograph(SCREENSHOTS / "dialog_asked.png")
    desktop.keys("alt+o")
    desktop.wait_for_layers(3, "the edit")
    assert desktop.layers() == ["colours", "GAN Edit: scribble (cats256)", "photo"]


def test_an_image_from_a_scribble_takes_the_layer_that_the_dialog_names(desktop: Desktop) -> None:
    desktop.evaluate(UNPAINTED)
    desktop.open_dialog("f", "Image from Scribble")
    desktop.photograph(SCREENSHOTS / "dialog_painted.png")
    desktop.keys("alt+b", "Down", "alt+o")
    desktop.wait_for_layers(4, "the images")


def is_scrolled(key: str, scale: int) -> bool:
    """Whether there is more than the screen has room for: only the few settings of an interpolation fit one of them."""
    return (key, scale) != ("i", 1)


def unfold_advanced(desktop: Desktop, window: str) -> None:
    folded = desktop.geometry(window)
    desktop.keys("alt+a")
    desktop.wait_for(lambda: desktop.geometry(window) != folded, "the advanced settings")


def turn_wheel(desktop: Desktop, window: str, button: str) -> None:
    """Over the column of numbers and choices, so that one after the other passes under the pointer."""
    place = desktop.geometry(window)
    desktop.xdotool("mousemove", "--window", window, str(place["WIDTH"] // 2), str(place["HEIGHT"] // 3))
    desktop.xdotool("click", "--repeat", "70", "--delay", "30", button)


def photograph(desktop: Desktop, folder: Path, window: str) -> Image.Image:
    """A window as it is on the screen, with the pointer in its lower corner, where nothing is highlighted."""
    place = desktop.geometry(window)
    desktop.xdotool("mousemove", "--window", window, "4", str(place["HEIGHT"] - 4))
    desktop.photograph(folder / "screen.png")
    left, top = place["X"], place["Y"]
    screen = Image.open(folder / "screen.png").convert("RGB")
    return screen.crop((left, top, left + place["WIDTH"], top + place["HEIGHT"]))


def photograph_still(desktop: Desktop, folder: Path, window: str) -> Image.Image:
    """A photograph of the window once nothing in it moves: two in a row are alike."""
    seen = [photograph(desktop, folder, window)]

    def is_still() -> bool:
        seen.append(photograph(desktop, folder, window))
        return not differ(*seen[-2:])

    desktop.wait_for(is_still, "the window to stand still")
    return seen[-1]


def differ(one: Image.Image, other: Image.Image) -> bool:
    return max(high for _, high in ImageChops.difference(one, other).getextrema()) > FADING
