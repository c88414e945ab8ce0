"""What a visitor hears of a job, with an engine that only says what it is told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("gradio")

from gan_edit_engine.imaging.image_files import Picture, write_png  # noqa: E402
from gan_edit_engine.serving.limits import Limits  # noqa: E402
from gan_edit_engine.serving.workshop import Look, Seen  # noqa: E402
from gan_edit_protocol.errors import JobCancelledError, JobFailedError  # noqa: E402
from gan_edit_protocol.events import Accepted, Cancelled, FacesFound, Failed, Progress  # noqa: E402
from gan_edit_protocol.requests import FindRequest  # noqa: E402


class Says:
    """A client that hears these events, whatever it asks."""

    def __init__(self, *told: Any) -> None:
        self.told = told
        self.asked: list[Any] = []

    def events(self, request: Any, cancelled: Callable[[], bool]) -> Iterator[Any]:
        self.asked.append(request)
        yield from self.told


@pytest.fixture
def look(tmp_path: Path) -> Look:
    path = tmp_path / "photo.png"
    write_png(path, Picture(np.full((40, 60, 3), 90, np.uint8)))
    return Look(path, "cats128", Limits())


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
