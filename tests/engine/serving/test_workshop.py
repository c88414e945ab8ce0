"""What the page asks the engine for, of a client that only takes note of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("gradio")

from gan_edit_engine.imaging.image_files import Picture, encode_png  # noqa: E402
from gan_edit_engine.serving.limits import Limits  # noqa: E402
from gan_edit_engine.serving.workshop import Draw, Edit  # noqa: E402
from gan_edit_protocol.errors import JobCancelledError  # noqa: E402
from gan_edit_protocol.events import Cancelled, FacesFound, Look  # noqa: E402
from gan_edit_protocol.geometry import Box  # noqa: E402
from gan_edit_protocol.requests import LookRequest  # noqa: E402
from gan_edit_protocol.settings import EditSettings, ImagineSettings  # noqa: E402

SIDE = 64


class Noting:
    """In the place of a client: finds nothing, needs the whole photo, and cancels each job that it takes note of."""

    def __init__(self) -> None:
        self.jobs: list[Any] = []

    def run(self, *_: Any) -> FacesFound:
        return FacesFound()

    def look(self, request: LookRequest) -> Look:
        return Look(Box(0, 0, request.width, request.height))

    def events(self, request: Any, cancelled: Any) -> Iterator[Cancelled]:
        self.jobs.append(request)
        yield Cancelled()


@pytest.mark.parametrize("with_photo", [True, False])
def test_the_page_shows_the_pictures_on_the_way(with_photo: bool, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(encode_png(Picture(np.full((SIDE, SIDE, 3), 100, np.uint8))))
    layer = np.zeros((SIDE, SIDE, 4), np.uint8)
    layer[20:30, 20:30] = (200, 30, 40, 255)
    wish: Any = Draw([layer], "default", ImagineSettings(), tmp_path)
    if with_photo:
        settings = EditSettings()
        wish = Edit(photo, [layer], "default", settings, (settings.strength,), Limits(), tmp_path)
    client = Noting()
    with pytest.raises(JobCancelledError):
        list(wish.work(client, lambda: False))
    assert [job.previews for job in client.jobs] == [True]
