"""What the page's jobs ask the engine for, and what a visitor hears; with a client that says what it is told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("gradio")

from gan_edit_engine.imaging.image_files import Picture, write_png  # noqa: E402
from gan_edit_engine.serving.limits import Limits  # noqa: E402
from gan_edit_engine.serving.workshop import Draw, Edit, Look, Seen  # noqa: E402
from gan_edit_protocol import events  # noqa: E402
from gan_edit_protocol.errors import JobCancelledError, JobFailedError  # noqa: E402
from gan_edit_protocol.events import Accepted, Cancelled, FacesFound, Failed, Progress  # noqa: E402
from gan_edit_protocol.geometry import Box  # noqa: E402
from gan_edit_protocol.requests import FindRequest, LookRequest  # noqa: E402
from gan_edit_protocol.settings import EditSettings, ImagineSettings  # noqa: E402

WIDTH, HEIGHT = 60, 40


class Says:
    """A client that hears these events of a search, and that every other job is cancelled; it needs the whole photo."""

    def __init__(self, *told: Any) -> None:
        self.told = told
        self.asked: list[Any] = []

    def events(self, request: Any, cancelled: Callable[[], bool]) -> Iterator[Any]:
        self.asked.append(request)
        yield from self.told if isinstance(request, FindRequest) else (Cancelled(),)

    def look(self, request: LookRequest) -> events.Look:
        return events.Look(Box(0, 0, request.width, request.height))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    write_png(path, Picture(np.full((HEIGHT, WIDTH, 3), 90, np.uint8)))
    return path


@pytest.fixture
def look(photo: Path) -> Look:
    return Look(photo, "cats256", Limits())


@pytest.mark.parametrize("with_photo", [True, False])
def test_the_page_shows_the_pictures_on_the_way(with_photo: bool, photo: Path, tmp_path: Path) -> None:
    layer = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    layer[20:30, 20:30] = (200, 30, 40, 255)
    wish: Any = Draw([layer], "default", ImagineSettings(), tmp_path)
    if with_photo:
        settings = EditSettings()
        wish = Edit(photo, [layer], "default", settings, (settings.strength,), Limits(), tmp_path)
    client: Any = Says(FacesFound())
    with pytest.raises(JobCancelledError):
        list(wish.work(client, lambda: False))
    assert client.asked[-1].previews


def test_who_waits_for_other_jobs_hears_so_from_the_first_question_on(look: Look) -> None:
    client: Any = Says(Accepted(2), None, Accepted(1), Progress("Looking", 1, 1, 0.0), FacesFound("cat face"))
    *before, seen = look.work(client, lambda: False)
    # Of the search's own progress nothing is said, from which the job's time would be counted.
    assert before == [Accepted(2), None, Accepted(1), None]
    assert isinstance(seen, Seen)
    assert "No cat face was found" in seen.told
    assert [type(each) for each in client.asked] == [FindRequest]


def test_a_search_that_fails_or_is_cancelled_ends_the_job(look: Look) -> None:
    for told, error in ((Failed("bad_model", "It cannot.", ""), JobFailedError), (Cancelled(), JobCancelledError)):
        client: Any = Says(Accepted(0), told)
        with pytest.raises(error):
            list(look.work(client, lambda: False))
