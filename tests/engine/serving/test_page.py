"""The page in a real Chromium, with a real engine: what a person does, and what comes of it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_process import wait_for
from PIL import Image
from serving.served import Served, fetched

from default_size import SIDE
from gan_edit_engine.imaging.image_files import Picture, read_picture, write_png
from gan_edit_engine.imaging.latent_files import read_latent

pytestmark = pytest.mark.slow

playwright = pytest.importorskip("playwright.sync_api")
ROOT = Path(__file__).resolve().parents[3]
STRANGE = "does not look like what it knows"
"""Of the bands: which a person reads while the model works on them, and beside what came of it."""
WAIT = 180_000  # milliseconds, on a machine with other things to do
# A page is drawn without a graphics card.
OPTIONS = ["--no-sandbox", "--enable-unsafe-swiftshader", "--use-angle=swiftshader"]

Visit = Callable[..., Any]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    running = Served(tmp_path_factory.mktemp("serve"), "--megapixels", "1").wait_until_ready()
    yield running
    running.end()


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bands of colour, 16 bits deep: nothing that a model knows, so that it looks at all of it."""
    path = tmp_path_factory.mktemp("photo") / "bänds.png"
    rows = np.linspace(0, 65535, 240).astype(np.uint16)[:, None]
    write_png(path, Picture(np.dstack([rows.repeat(320, 1), rows[::-1].repeat(320, 1), rows.repeat(320, 1) // 2])))
    return path


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    program = subprocess.run([ROOT / "scripts" / "get-chromium"], capture_output=True, text=True, check=True).stdout
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program.strip(), args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def visit(served: Served, chromium: Any) -> Iterator[Visit]:
    """Makes visitors, each with a browser's memory of its own. What their pages complain of fails the test."""
    visitors, complaints = [], []

    def make(**options: Any) -> Any:
        visitors.append(chromium.new_context(**{"viewport": {"width": 1200, "height": 1100}, **options}))
        page = visitors[-1].new_page()
        page.set_default_timeout(WAIT)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda sent: complaints.append(sent.url) if is_elsewhere(sent.url, served.url) else None)
        page.goto(served.url)
        page.get_by_role("button", name="Choose a photo").wait_for()
        page.wait_for_function("document.querySelector('.gan-model img')")  # its scripts have come
        return page

    yield make
    for visitor in visitors:
        visitor.close()
    assert not complaints


def is_elsewhere(url: str, home: str) -> bool:
    return not url.startswith((home, "data:", "blob:"))


def choose(page: Any, photo: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a photo").click()
    chooser.value.set_files(photo)
    page.wait_for_function("document.querySelector('#looking img')")
    page.wait_for_function("document.querySelectorAll('#editor canvas').length > 0")
    page.wait_for_timeout(1500)  # the editor draws the photo when it can


def paint(page: Any, across: tuple[float, float] = (0.45, 0.55)) -> None:
    """A stroke in the middle of the photo."""
    box = page.locator("#editor canvas").first.bounding_box()
    (x1, x2), y = (box["x"] + box["width"] * share for share in across), box["y"] + box["height"] / 2
    page.mouse.move(x1, y)
    page.mouse.down()
    page.mouse.move(x2, y + 5, steps=8)
    page.mouse.up()
    page.wait_for_timeout(500)


def press(page: Any, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def said(page: Any, pattern: str) -> None:
    page.wait_for_function(f"new RegExp({pattern!r}).test(document.querySelector('#status')?.innerText ?? '')")


def edit_again(page: Any) -> None:
    """Press Edit while the end of the last edit is still said, and wait for the next one's, however quick it is."""
    page.evaluate("document.querySelector('#status .gan-status').id = 'earlier'")
    press(page, "Edit")
    page.wait_for_function("/^Done/.test(document.querySelector('#status .gan-status:not(#earlier)')?.innerText ?? '')")


def taken_home(page: Any, folder: Path) -> Path:
    with page.expect_download() as download:
        page.locator("#download").click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def chosen(page: Any, number: int, ending: str, folder: Path) -> Path:
    """One of the candidates, whose file's name ends so."""
    page.locator("#candidates button").nth(number).click()
    wait_for(lambda: taken_home(page, folder).name.endswith(ending))
    return taken_home(page, folder)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_something_is_painted_while_none_of_the_pages_files_has_come(
    served: Served, chromium: Any, scheme: str
) -> None:
    visitor = chromium.new_context(color_scheme=scheme)
    page = visitor.new_page()
    files = re.compile("/(?:assets|static)/")
    page.route(files, lambda route: route.abort())
    page.goto(served.url, wait_until="commit")
    page.get_by_text("The page is loading").wait_for()
    page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length")
    shown = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)")
    assert (sum(shown) > 382) is (scheme == "light")
    page.unroute(files)
    page.reload()
    page.get_by_role("button", name="Choose a photo").wait_for()
    assert not page.get_by_text("The page is loading").is_visible()
    assert page.get_by_role("heading", name="GAN Edit").count() == 1
    visitor.close()


def test_a_person_paints_and_takes_the_edit_home(visit: Visit, photo: Path, tmp_path: Path) -> None:
    page = visit()
    choose(page, photo)
    paint(page)
    page.get_by_text("draft", exact=True).click()
    press(page, "Edit")
    said(page, "of [0-9]+")
    said(page, "^Done")
    page.locator("#result img").nth(1).wait_for(state="attached")
    file = taken_home(page, tmp_path)
    before, after = read_picture(photo).pixels, read_picture(file).pixels
    assert after.dtype == np.uint16
    assert after.shape == before.shape
    changed = (before != after).any(axis=2)
    assert changed[110:130, 145:175].any()
    latent = read_latent(file)
    assert latent.model == "cats256"
    assert latent.residual is None


def test_only_what_is_selected_changes(visit: Visit, photo: Path, tmp_path: Path) -> None:
    page = visit()
    choose(page, photo)
    paint(page)
    page.locator("#editor").get_by_text("Colours", exact=True).click()
    page.locator("#editor").get_by_text("Selection", exact=True).click()
    paint(page, (0.35, 0.65))
    page.get_by_text("draft", exact=True).click()
    press(page, "Edit")
    said(page, "^Done")
    edited = taken_home(page, tmp_path)
    before, after = read_picture(photo).pixels, read_picture(edited).pixels
    rows, columns = np.nonzero((before != after).any(axis=2))
    assert rows.size
    assert 90 < rows.min() <= rows.max() < 150
    assert 80 < columns.min() <= columns.max() < 240
    page.reload()  # what was painted is there again, on either layer
    page.wait_for_function(
        "window.editor?.layer_manager?.get_layers().length && !document.querySelector('[data-strokes]')"
    )
    said(page, "^Done")
    page.wait_for_timeout(500)
    page.get_by_text("draft", exact=True).click()
    edit_again(page)
    assert np.array_equal(read_picture(taken_home(page, tmp_path)).pixels, after)


def test_a_page_does_not_forget_silently_what_was_painted(visit: Visit, photo: Path) -> None:
    page, asked = visit(), []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.reload()
    page.wait_for_function("document.querySelector('.gan-model img')")
    assert not asked
    choose(page, photo)
    paint(page)
    page.reload()
    assert asked == ["beforeunload"]


def test_colours_alone_ask_for_images_to_choose_from(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    press(page, "Blank canvas")
    page.wait_for_function("document.querySelectorAll('#editor canvas').length > 0")
    page.wait_for_timeout(1500)
    paint(page, (0.3, 0.7))
    page.get_by_label("number input for Images to choose from").fill("2")
    press(page, "Draw")
    said(page, "of [0-9]+")
    said(page, "^Done: 2 images")
    files = []
    for number in range(2):
        files.append(chosen(page, number, f"-{number + 1}.png", tmp_path))
    first, second = (read_picture(file).pixels for file in files)
    assert first.shape == second.shape == (SIDE, SIDE, 3)
    assert (first != second).any()
    assert [read_latent(file).model for file in files] == ["cats256"] * 2
    press(page, "Paint on this one")
    page.wait_for_function("document.querySelector('#looking img')")
    page.get_by_role("button", name="Edit", exact=True).wait_for()


def test_an_edit_comes_weaker_and_stronger_too(visit: Visit, photo: Path, tmp_path: Path) -> None:
    page = visit()
    choose(page, photo)
    paint(page)
    page.get_by_text("draft", exact=True).click()
    page.get_by_text("A weaker and a stronger one").click()
    press(page, "Edit")
    said(page, "1 of 3, ")
    said(page, "^Done")
    before = read_picture(photo).pixels.astype(int)
    changes = []
    for number, strength in enumerate(("0.6", "1", "1.5")):
        file = chosen(page, number, f"-strength-{strength}.png", tmp_path)
        changes.append(np.abs(read_picture(file).pixels - before).sum())
    assert changes == sorted(set(changes))


def test_an_edit_is_cancelled_and_the_next_one_works(visit: Visit, photo: Path) -> None:
    page = visit()
    choose(page, photo)
    paint(page)
    page.get_by_text("best", exact=True).click()
    press(page, "Edit")
    said(page, "of [0-9]+")
    press(page, "Cancel")
    said(page, "Cancelled")
    page.get_by_text("draft", exact=True).click()
    press(page, "Edit")
    said(page, "^Done")


def test_a_page_that_is_loaded_again_takes_its_job_up(visit: Visit, photo: Path, tmp_path: Path) -> None:
    page = visit()
    choose(page, photo)
    paint(page)
    page.get_by_text("normal", exact=True).click()
    press(page, "Edit")
    said(page, "of [0-9]+")
    said(page, STRANGE)
    page.reload()
    said(page, "of [0-9]+|^Done")
    said(page, STRANGE)
    said(page, "^Done")
    said(page, STRANGE)
    assert read_picture(taken_home(page, tmp_path)).pixels.shape == (240, 320, 3)
    page.reload()
    said(page, f"^Done[^]*{STRANGE}")  # and it is still there


def test_two_visitors_each_get_their_own(visit: Visit, photo: Path, tmp_path: Path) -> None:
    other = tmp_path / "small.png"
    Image.fromarray(np.full((200, 260, 3), 90, np.uint8)).save(other)
    pages = [visit(), visit()]
    for page, file in zip(pages, (photo, other), strict=True):
        choose(page, file)
        paint(page)
        page.get_by_text("draft", exact=True).click()
    for page in pages:
        press(page, "Edit")
    for page, file in zip(pages, (photo, other), strict=True):
        said(page, "^Done")
        assert read_picture(taken_home(page, tmp_path)).pixels.shape == read_picture(file).pixels.shape


def test_an_example_is_nobodys_photo(visit: Visit) -> None:
    page = visit()
    press(page, "Try an example")
    page.wait_for_function("document.querySelector('#looking img')")
    assert "cat face was found" in page.locator("#looking").inner_text()


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("notes.png", b"no picture at all", "is not an image"),
        ("huge.png", None, "up to 1 megapixels"),
    ],
)
def test_what_is_no_photo_is_refused_in_a_sentence(
    visit: Visit, tmp_path: Path, name: str, content: bytes | None, told: str
) -> None:
    file = tmp_path / name
    if content is None:
        Image.new("1", (20_000, 20_000)).save(file)
    else:
        file.write_bytes(content)
    page = visit()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a photo").click()
    chooser.value.set_files(file)
    page.get_by_text(told).first.wait_for()
    assert str(tmp_path) not in page.content()
    assert not re.search(r"/gan-edit-\w+/", page.locator("body").inner_text())


@pytest.mark.parametrize("prepared", [False, True])
def test_what_is_missing_is_said(visit: Visit, photo: Path, prepared: bool) -> None:
    page = visit()
    if prepared:
        choose(page, photo)
    press(page, "Edit")
    page.get_by_text("Nothing is painted" if prepared else "There is no photo yet").first.wait_for()
    wait_for(lambda: page.get_by_role("button", name="Edit", exact=True).is_enabled())
    page.get_by_role("heading", name="GAN Edit").click()  # and it does not stay for ever
    page.get_by_test_id("toast-text").wait_for(state="detached")


def test_one_image_without_a_photo_is_seen(visit: Visit) -> None:
    page = visit()
    press(page, "Blank canvas")
    page.wait_for_function("document.querySelectorAll('#editor canvas').length > 0")
    page.get_by_label("number input for Images to choose from").fill("1")
    press(page, "Draw")
    said(page, "^Done: 1 image")
    page.locator("#candidates img").first.wait_for()
    assert page.evaluate("scrollY") == 0
    page.get_by_role("link", name="See the result").click()
    page.wait_for_function("document.querySelector('#candidates').getBoundingClientRect().top < innerHeight - 100")


def test_nothing_on_a_phone_is_wider_than_the_phone(visit: Visit, photo: Path) -> None:
    page = visit(viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True, device_scale_factor=2)
    choose(page, photo)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    texts = "[...document.querySelectorAll('button, label, p, figure')].filter(e => e.innerText)"
    assert page.evaluate(f"{texts}.filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.innerText)") == []


def test_a_browser_is_asked_for_the_key(tmp_path: Path, chromium: Any) -> None:
    (tmp_path / "keys").write_text("anna:" + "k" * 43)
    (tmp_path / "keys").chmod(0o600)
    served = Served(tmp_path, "--token-file", str(tmp_path / "keys")).wait_until_ready()
    try:
        assert fetched(served.url)[0] == 401
        for name, password, seen in (("anna", "k" * 43, True), ("anna", "wrong" * 9, False), ("ben", "k" * 43, False)):
            visitor = chromium.new_context(http_credentials={"username": name, "password": password})
            page = visitor.new_page()
            answer = page.goto(served.url)
            assert (answer.status == 200) is seen
            if seen:
                page.get_by_role("button", name="Choose a photo").wait_for()
                page.wait_for_function("document.querySelector('.gan-model img')")
            visitor.close()
    finally:
        served.end()
