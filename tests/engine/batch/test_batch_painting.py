"""A scribble that is painted once lies on every photo's face as it lay on the one that it was painted on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from gan_edit_engine.batch.jobs import Wanted
from gan_edit_engine.batch.painting import Paintings, square_of
from gan_edit_engine.imaging.image_files import Picture, write_png
from gan_edit_engine.imaging.square import Square
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.events import FacesFound
from gan_edit_protocol.geometry import Align, Crop, Face

ALIGN = Align(0, 0, 1, 1)


@dataclass
class Finder:
    """A client that finds one face where it is told to, or none of its kind."""

    square: Crop | None
    kind: str = "cat face"
    asked: int = 0

    def run(self, request: Any, show: Any, cancelled: Any) -> FacesFound:
        self.asked += 1
        if self.square is None:
            return FacesFound(self.kind)
        return FacesFound(self.kind, (Face(ALIGN, self.square, 1.0),), 0)


def painted(folder: Path, height: int, width: int, spot: tuple[float, float]) -> Path:
    """A scribble with a blue dot of 9 pixels."""
    pixels = np.zeros((height, width, 4), np.uint8)
    x, y = (int(each) for each in spot)
    pixels[y - 4 : y + 5, x - 4 : x + 5] = (20, 60, 200, 255)
    write_png(folder / "scribble.png", Picture(pixels))
    return folder / "scribble.png"


def photo(folder: Path, height: int, width: int) -> Path:
    write_png(folder / "reference.png", Picture(np.full((height, width, 3), 90, np.uint8)))
    return folder / "reference.png"


def made(wanted: Wanted, client: Finder) -> Any:
    return Paintings().of(wanted, client, lambda event: None, lambda: False)  # type: ignore[arg-type]


def centre(strokes: np.ndarray) -> tuple[float, float]:
    alpha = strokes[..., 3].astype(float)
    y, x = np.mgrid[0 : alpha.shape[0], 0 : alpha.shape[1]] + 0.5
    return (x * alpha).sum() / alpha.sum(), (y * alpha).sum() / alpha.sum()


@pytest.mark.parametrize(
    "there", [Crop(150, 120, 100, 0), Crop(150, 120, 100, 30), Crop(150, 120, 37, -75), Crop(160, 140, 240, 180)]
)
def test_the_paint_lies_at_the_same_place_of_the_face(tmp_path: Path, there: Crop) -> None:
    here = Crop(100, 90, 120, 20)
    spot = Square.of_square(here, 1).to_photo(0.3, 0.4)
    wanted = Wanted("edit", scribble=painted(tmp_path, 200, 220, spot), scribble_on=photo(tmp_path, 200, 220))
    painting = made(wanted, Finder(here))
    target = Picture(np.zeros((300, 320, 3), np.uint8))
    strokes, mask = painting.laid(target, there)
    assert mask is None
    assert strokes.shape == (300, 320, 4)
    expected = Square.of_square(there, 1).to_photo(0.3, 0.4)
    assert centre(strokes) == pytest.approx(expected, abs=1.5 * there.size / here.size)
    shown = strokes[strokes[..., 3] > 200]
    assert np.abs(shown[:, :3].astype(int) - (20, 60, 200)).max() <= 2
    assert strokes[..., 3].sum() / 255 == pytest.approx(81 * (there.size / here.size) ** 2, rel=0.15)


def test_on_the_very_photo_the_scribble_comes_back(tmp_path: Path) -> None:
    here = Crop(100, 100, 120, 0)
    wanted = Wanted("edit", scribble=painted(tmp_path, 200, 200, (90, 110)), scribble_on=photo(tmp_path, 200, 200))
    strokes, _ = made(wanted, Finder(here)).laid(Picture(np.zeros((200, 200, 3), np.uint8)), here)
    np.testing.assert_array_equal(strokes, np.asarray(Image.open(tmp_path / "scribble.png")))


def test_a_square_scribble_is_the_model_s_own_square_and_no_face_is_looked_for_in_it(tmp_path: Path) -> None:
    client = Finder(None)
    painting = made(Wanted("edit", scribble=painted(tmp_path, 64, 64, (16, 32)), canonical=True), client)
    assert client.asked == 0
    strokes, _ = painting.laid(Picture(np.zeros((300, 300, 3), np.uint8)), Crop(200, 100, 128, 90))
    assert centre(strokes) == pytest.approx(Square.of_square(Crop(200, 100, 128, 90), 64).to_photo(16.5, 32.5), abs=1.0)


def test_the_mask_is_carried_with_the_paint(tmp_path: Path) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[20:44, 4:28] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    wanted = Wanted("edit", scribble=painted(tmp_path, 64, 64, (16, 32)), canonical=True, mask=tmp_path / "mask.png")
    strokes, selected = made(wanted, Finder(None)).laid(Picture(np.zeros((200, 200, 3), np.uint8)), Crop(64, 64, 128))
    assert selected is not None
    assert selected[strokes[..., 3] > 0].min() > 0
    assert (selected > 127).sum() == pytest.approx(24 * 24 * 4, rel=0.02)


def test_beyond_the_face_s_square_and_the_photo_nothing_is_painted(tmp_path: Path) -> None:
    pixels = np.full((64, 64, 4), 255, np.uint8)
    write_png(tmp_path / "all.png", Picture(pixels))
    painting = made(Wanted("edit", scribble=tmp_path / "all.png", canonical=True), Finder(None))
    strokes, _ = painting.laid(Picture(np.zeros((100, 100, 3), np.uint8)), Crop(90, 90, 60))
    assert not strokes[:59].any()
    assert not strokes[:, :59].any()
    assert (strokes[61:, 61:] == 255).all()
    with pytest.raises(GanEditError, match="outside of the photo"):
        painting.laid(Picture(np.zeros((100, 100, 3), np.uint8)), Crop(900, 90, 60))


def test_the_paint_s_colours_are_those_of_each_photo_s_profile(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    # A space whose red and blue are exchanged: the profile's colorants are swapped, so blue paint is its first channel.
    data = bytearray(srgb.tobytes())
    entries = {bytes(data[at : at + 4]): at for at in range(132, 132 + 12 * data[131], 12)}
    red, blue = entries[b"rXYZ"], entries[b"bXYZ"]
    data[red + 4 : red + 12], data[blue + 4 : blue + 12] = data[blue + 4 : blue + 12], data[red + 4 : red + 12]
    painting = made(Wanted("edit", scribble=painted(tmp_path, 64, 64, (16, 32)), canonical=True), Finder(None))
    for profile, colour in ((None, (20, 60, 200)), (srgb.tobytes(), (20, 60, 200)), (bytes(data), (200, 60, 20))):
        strokes, _ = painting.laid(Picture(np.zeros((64, 64, 3), np.uint8), profile), Crop(32, 32, 64))
        assert np.abs(strokes[32, 16, :3].astype(int) - colour).max() <= 2


def test_where_the_reference_shows_no_face_that_is_said(tmp_path: Path) -> None:
    wanted = Wanted("edit", scribble=painted(tmp_path, 64, 64, (16, 32)), scribble_on=photo(tmp_path, 64, 64))
    with pytest.raises(GanEditError, match=r"No cat face was found in .*reference\.png") as caught:
        made(wanted, Finder(None))
    assert caught.value.code == "no_face"


def test_a_model_whose_things_nobody_finds_looks_at_all_of_each_photo(tmp_path: Path) -> None:
    assert square_of(FacesFound(), 100, 300, "a.jpg") == Crop(150, 50, 300)


@pytest.mark.parametrize(
    ("height", "width", "spot", "square", "said"),
    [
        (64, 80, (16, 32), None, "not a square"),
        (64, 64, (10, 10), Crop(48, 48, 20), "Nothing is painted where the model looks"),
    ],
)
def test_a_scribble_that_can_lie_on_no_face_is_refused(
    tmp_path: Path, height: int, width: int, spot: tuple[int, int], square: Crop | None, said: str
) -> None:
    on = None if square is None else photo(tmp_path, height, width)
    wanted = Wanted("edit", scribble=painted(tmp_path, height, width, spot), scribble_on=on, canonical=on is None)
    with pytest.raises(GanEditError, match=said):
        made(wanted, Finder(square))


def test_each_painting_is_made_once(tmp_path: Path) -> None:
    client, paintings = Finder(Crop(32, 32, 60)), Paintings()
    wanted = Wanted("edit", scribble=painted(tmp_path, 64, 64, (16, 32)), scribble_on=photo(tmp_path, 64, 64))
    for _ in range(3):
        paintings.of(wanted, client, lambda event: None, lambda: False)  # type: ignore[arg-type]
    assert client.asked == 1
