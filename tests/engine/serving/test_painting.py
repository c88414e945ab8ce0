"""What was painted on the page, as the engine is asked for it."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("gradio")

from gan_edit_engine.serving.painting import asked_of_a_blank, painted  # noqa: E402
from gan_edit_protocol.errors import GanEditError  # noqa: E402

NONE = np.zeros((16, 20, 4), np.uint8)


def stroke(alpha: int) -> np.ndarray:
    layer = NONE.copy()
    layer[4:8, 5:15] = (200, 30, 40, alpha)
    return layer


def test_colours_and_selection_get_the_photos_size() -> None:
    scribble, selection = painted([stroke(255), stroke(9)], np.zeros((160, 200, 3), np.uint16))
    assert scribble.shape == (160, 200, 4)
    assert tuple(scribble[50, 100]) == (200, 30, 40, 255)
    assert selection is not None
    assert (selection[50, 100], selection[0, 0]) == (255, 0)


def test_paint_beside_what_is_selected_is_missed_before_anything_is_computed() -> None:
    beside = NONE.copy()
    beside[10:14, 5:15, 3] = 255
    with pytest.raises(GanEditError, match="inside of what is selected"):
        painted([stroke(255), beside], np.zeros((160, 200, 3), np.uint8))


def test_a_brushs_soft_edge_is_no_colour() -> None:
    with pytest.raises(GanEditError, match="Nothing is painted"):
        painted([stroke(100), stroke(255)], NONE)
    assert asked_of_a_blank([stroke(100), NONE]) is None


def test_without_a_photo_colours_are_asked_for_as_they_were_painted() -> None:
    scribble = asked_of_a_blank([stroke(200), NONE])
    assert scribble is not None
    assert set(np.unique(scribble[..., 3])) == {0, 255}
    assert asked_of_a_blank([]) is None


def test_without_a_photo_nothing_is_selected() -> None:
    with pytest.raises(GanEditError, match="layer Colours. Paint there"):
        asked_of_a_blank([NONE, stroke(255)])
