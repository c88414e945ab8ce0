"""People's faces: found at any angle and size, not where there are none, and shown to a model as FFHQ shows them."""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import astuple
from pathlib import Path

import cv2
import numpy as np
import pytest
from safetensors.torch import save_file
from test_finding import kinds_of

from chelsea import chelsea_turned, turned
from evaluate_alignment import eye_error
from gan_edit_engine.checkpoints import safetensors_file
from gan_edit_engine.finding import registry
from gan_edit_engine.finding.ffhq_square import ffhq_square
from gan_edit_engine.finding.people import PeopleFinder
from gan_edit_engine.finding.pyramid import cut_sharp, pyramid
from gan_edit_engine.imaging.square import Square
from gan_edit_engine.library.catalogue import FFHQ_POINTS, MODELS
from gan_edit_engine.library.models_folder import default_model_path
from gan_edit_protocol.geometry import Crop
from shipped_pictures import JUDGED_BY, TRAINED_ON, shipped

EYES = np.array([[203.4, 101.6], [246.8, 103.2]])
MOUTH = np.array([[202.5, 139.5], [246.0, 139.5]])
"""Of scikit-image's astronaut, by hand: the irises' centres and the corners of her mouth."""
WITH_PEOPLE = ("astronaut.png", "camera.png")


@pytest.fixture(scope="module")
def finder() -> PeopleFinder:
    return PeopleFinder(registry.PEOPLES_FILE)


def astronaut() -> np.ndarray:
    (photo,) = shipped(["astronaut.png"])
    return photo


def near(found: Crop, wanted: Crop) -> bool:
    """Whether the squares are the same to within a tenth of their side and some degrees."""
    apart = math.hypot(found.cx - wanted.cx, found.cy - wanted.cy) / wanted.size
    turn = abs(math.remainder(found.angle - wanted.angle, 360))
    return apart < 0.05 and abs(found.size / wanted.size - 1) < 0.1 and turn < 6


@pytest.mark.parametrize("angle", range(0, 360, 45))
def test_a_real_face_is_found_at_each_angle(finder: PeopleFinder, angle: int) -> None:
    photo, points = turned(astronaut(), np.vstack([EYES, MOUTH]), angle)
    (face,) = finder.find(photo)
    assert eye_error(face.align, points[:2]) < 0.07
    assert near(face.crop, ffhq_square(points[:2], points[2:]))
    assert 0.85 <= face.score <= 1


@pytest.mark.parametrize(("scale", "angle"), [(0.4, 0), (0.4, 200), (1.7, 100), (5.0, 0), (5.0, 135)])
def test_a_face_is_found_at_any_size(finder: PeopleFinder, scale: float, angle: int) -> None:
    photo, eyes = turned(astronaut(), EYES, angle)
    scaled = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    (face,) = finder.find(scaled)
    assert eye_error(face.align, eyes * scale) < 0.08


@pytest.mark.parametrize("height", [4, 6, 9, 14, 20])
def test_a_face_of_some_pixels_is_none_or_one_that_a_model_can_be_shown(finder: PeopleFinder, height: int) -> None:
    scale = height / 113
    tiny = cv2.resize(astronaut(), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    for face in finder.find(tiny):
        Square.of_square(face.crop, 128)
        assert eye_error(face.align, EYES * scale) < 0.3


@pytest.mark.slow
@pytest.mark.parametrize("angle", [0, 90, 150, 330])
def test_a_small_face_in_a_large_photo_is_found(finder: PeopleFinder, angle: int) -> None:
    """60 of 6,000 pixels: its eyes are as exact as a large one's, because they are looked at in the photo itself."""
    scale, side = 60 / 113, 150
    small = cv2.resize(astronaut(), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    small, eyes = turned(small, EYES * scale, angle)
    x, y = (eyes.mean(axis=0) - side / 2).astype(int)
    left, top = max(0, x), max(0, y)
    patch = small[top : top + side, left : left + side]
    (coffee,) = shipped(["coffee.png"])
    photo = cv2.resize(coffee, (6000, 4000), interpolation=cv2.INTER_CUBIC)
    photo[2200 : 2200 + patch.shape[0], 3300 : 3300 + patch.shape[1]] = patch
    faces = finder.find(photo)
    assert eye_error(faces[0].align, eyes - (left, top) + (3300, 2200)) < 0.08


def test_two_people_are_two_faces_one_of_them_upside_down(finder: PeopleFinder) -> None:
    photo = astronaut()
    both = np.hstack([photo, cv2.rotate(photo, cv2.ROTATE_180)])
    faces = finder.find(both)
    assert len(faces) == 2
    assert faces[0].score >= faces[1].score
    places = [face.align for face in faces]
    for eyes in (EYES, (1024, 512) - EYES):
        assert min(eye_error(place, eyes) for place in places) < 0.08


@pytest.mark.slow
def test_all_of_a_crowd_are_found(finder: PeopleFinder) -> None:
    face = cv2.resize(astronaut()[20:200, 130:310], (120, 120), interpolation=cv2.INTER_AREA)
    faces = finder.find(np.tile(face, (6, 6, 1)))
    assert len(faces) == 36


@pytest.mark.parametrize("name", [*(one for one in (*JUDGED_BY, *TRAINED_ON) if one not in WITH_PEOPLE), "chelsea.png"])
def test_pictures_without_people_have_no_face(finder: PeopleFinder, name: str) -> None:
    (picture,) = shipped([name])
    assert finder.find(picture) == []


@pytest.mark.parametrize("angle", [90, 180, 225])
def test_a_cat_that_is_turned_is_no_person(finder: PeopleFinder, angle: int) -> None:
    assert finder.find(chelsea_turned(angle)[0]) == []


@pytest.mark.parametrize("kind", list(kinds_of(np.zeros((4, 4, 3), np.uint8))))
def test_every_kind_of_pixels_gives_the_same_face(finder: PeopleFinder, kind: str) -> None:
    (face,) = finder.find(kinds_of(astronaut())[kind])
    assert eye_error(face.align, EYES) < 0.08


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 20000), (9000, 2), (17, 33), (5, 5)])
@pytest.mark.parametrize("channels", [3, 4])
def test_photos_too_small_or_too_thin_for_a_face_have_none(
    finder: PeopleFinder, shape: tuple[int, int], channels: int
) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (*shape, channels), np.uint8)
    assert finder.find(photo) == []


def test_the_same_photo_gives_the_same_faces_and_stays_as_it_is(finder: PeopleFinder) -> None:
    photo, _ = turned(astronaut(), EYES, 60)
    before = photo.copy()
    assert finder.find(photo) == finder.find(photo)
    assert np.array_equal(photo, before)


def test_a_model_with_points_of_its_own_has_the_eyes_there(finder: PeopleFinder) -> None:
    own = (0.3, 0.4), (0.7, 0.45)
    (face,) = finder.find(astronaut(), own)
    square = Square.of_square(face.crop, 1)
    assert np.allclose(np.ravel([square.to_photo(*point) for point in own]), astuple(face.align), atol=1e-6)


def test_the_square_of_a_face_that_is_as_wide_as_high_is_ffhqs() -> None:
    """Eyes 10 apart and the mouth 10 below: four eye distances wide, a tenth of the way down, and upright."""
    eyes, mouth = np.array([[5.0, 20.0], [15.0, 20.0]]), np.array([[6.0, 30.0], [14.0, 30.0]])
    assert ffhq_square(eyes, mouth) == Crop(10.0, 21.0, 40.0, 0.0)
    long = ffhq_square(eyes, mouth + (0, 10))
    assert long == Crop(10.0, 22.0, 72.0, 0.0)


def test_the_square_turns_with_the_face() -> None:
    points = np.vstack([EYES, MOUTH])
    upright = ffhq_square(points[:2], points[2:])
    cos, sin = math.cos(0.7), math.sin(0.7)
    moved = points @ np.array([[cos, sin], [-sin, cos]]) * 2 + (30, 40)
    square = ffhq_square(moved[:2], moved[2:])
    assert square.size == pytest.approx(2 * upright.size)
    assert square.angle == pytest.approx(upright.angle + math.degrees(0.7))
    assert (square.cx, square.cy) == pytest.approx(
        (2 * (upright.cx * cos - upright.cy * sin) + 30, 2 * (upright.cx * sin + upright.cy * cos) + 40)
    )


def test_the_eyes_lie_in_the_square_where_the_catalogue_says() -> None:
    square = Square.of_square(ffhq_square(EYES, MOUTH), 1)
    places = [square.from_photo(*eye) for eye in EYES]
    assert np.abs(np.array(places) - FFHQ_POINTS).max() < 0.02


def test_what_is_cut_from_a_large_photo_is_as_sharp_as_the_photo() -> None:
    """A line of one pixel that the reduced photo has lost."""
    photo = np.zeros((2000, 3000, 3), np.uint8)
    photo[1000, 1400:1600] = 255
    cut = cut_sharp(photo, pyramid(photo), Square.of_square(Crop(1500, 1000, 50, 0), 1), 100, 2.0)
    assert cut[50].mean() > 240
    assert cut[[48, 52]].mean() < 20
    beyond = cut_sharp(photo, pyramid(photo), Square.of_square(Crop(-500, -500, 50, 0), 1), 100, 2.0)
    assert (beyond == 128).all()


def about(path: Path, **header: str) -> Path:
    """The default model's configuration without its weights under another header: enough to be asked what it shows."""
    kept = safetensors_file.read_header(default_model_path())
    kept = {name: value for name, value in kept.items() if name not in ("domain", "align_points", "provenance")}
    save_file({}, path, metadata={**kept, **header})
    return path


@pytest.mark.parametrize("domain", ["human face", "Human face, not aligned", "painted face", "portraits like FFHQ's"])
def test_models_of_people_find_people(tmp_path: Path, domain: str) -> None:
    known = registry.finder_of_model(str(about(tmp_path / "mine.safetensors", domain=domain)))
    assert known is not None
    assert known.kind == "human face"
    assert known.canonical is None
    (face,) = known.find(astronaut())
    assert eye_error(face.align, EYES) < 0.07


@pytest.mark.parametrize("name", ["stylegan2-ffhq-1024x1024.pkl", "CelebA-HQ_256.pt", "metfaces.pkl", "ffhqu.pth"])
def test_files_that_tell_nothing_else_tell_of_people_by_their_names(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04 a pickle that nobody opens")
    known = registry.finder_of_model(str(tmp_path / name))
    assert known is not None
    assert known.kind == "human face"


def test_what_a_header_says_goes_before_the_names(tmp_path: Path) -> None:
    ends = {"align_points": "[[0.29, 0.405], [0.73, 0.405]]"}
    of_cats = about(tmp_path / "ffhq-cats.safetensors", domain="cat face", provenance="from ffhq.pkl", **ends)
    known = registry.finder_of_model(str(of_cats))
    assert known is not None
    assert known.kind == "cat face"
    silent = about(tmp_path / "imported.safetensors", provenance="imported from stylegan2-ffhq-256x256.pkl")
    known = registry.finder_of_model(str(silent))
    assert known is not None
    assert known.kind == "human face"
    for name in ("afhqcat.pkl", "church.pt"):
        (tmp_path / name).write_bytes(b"\x80\x04 a pickle that nobody opens")
        assert registry.finder_of_model(str(tmp_path / name)) is None


def test_points_of_its_own_in_a_header_of_people_are_kept_and_ffhqs_are_more_than_two(tmp_path: Path) -> None:
    own = about(tmp_path / "own.safetensors", domain="human face", align_points="[[0.3, 0.4], [0.7, 0.4]]")
    known = registry.finder_of_model(str(own))
    assert known is not None
    assert known.canonical == ((0.3, 0.4), (0.7, 0.4))
    ffhq = about(
        tmp_path / "as_ffhq.safetensors", domain="human face", align_points=str([list(p) for p in FFHQ_POINTS])
    )
    known = registry.finder_of_model(str(ffhq))
    assert known is not None
    assert known.canonical is None


def test_every_model_of_people_in_the_catalogue_has_a_finder(tmp_path: Path) -> None:
    people = [entry for entry in MODELS if re.search("human|painted", entry.domain)]
    assert len(people) >= 10
    for entry in people:
        assert registry.finder_for(entry.domain) is not None
        (tmp_path / entry.file_name).write_bytes(b"\x80\x04 a pickle that nobody opens")
        assert registry.finder_of_model(str(tmp_path / entry.file_name)) is not None


def test_the_detectors_file_is_the_one_that_the_docs_name() -> None:
    digest = hashlib.sha256(registry.PEOPLES_FILE.read_bytes()).hexdigest()
    assert digest in (Path(__file__).parents[3] / "docs" / "checkpoints.md").read_text()


def test_opencv_warns_of_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    before = cv2.utils.logging.getLogLevel()
    PeopleFinder(registry.PEOPLES_FILE)
    assert capfd.readouterr() == ("", "")
    assert cv2.utils.logging.getLogLevel() == before
