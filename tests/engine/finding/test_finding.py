"""What finds faces in photos: the photo's reduction, the networks' shapes, the file, and a real cat at any angle."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from chelsea import chelsea_turned
from evaluate_alignment import eye_error
from gan_edit_engine.checkpoints.errors import CheckpointError
from gan_edit_engine.finding import registry
from gan_edit_engine.finding.find import Finder, square_of
from gan_edit_engine.finding.network import CLOSE_SIDE, FinderNetworks
from gan_edit_engine.finding.pyramid import AREA, cut_square, pyramid, reduced
from gan_edit_engine.finding.weights import Finding, load_finder, read_finding, save_finder
from gan_edit_engine.imaging.square import Square
from gan_edit_engine.library.models_folder import default_model_path
from gan_edit_engine.networks.efficientnet_lite0 import EfficientNetLite0
from gan_edit_engine.networks.fused_conv import Activation, FusedConv, has_onednn
from gan_edit_protocol.geometry import Align
from shipped_pictures import JUDGED_BY, shipped

CANONICAL = ((0.29, 0.405), (0.73, 0.405))
SHIPPED = registry.FOLDER / "cat-face-finder.safetensors"


@pytest.fixture(scope="module")
def finder() -> Finder:
    found = registry.finder_for("cat face")
    assert found is not None
    return found


@pytest.mark.parametrize("angle", range(0, 360, 45))
def test_a_real_cat_is_found_at_each_angle(finder: Finder, angle: int) -> None:
    photo, truth = chelsea_turned(angle)
    (face,) = finder.find(photo)
    assert eye_error(face.align, truth.points) < 0.08
    turn = math.degrees(math.atan2(*(truth.points[1] - truth.points[0])[::-1]))
    assert abs(math.remainder(face.crop.angle - turn, 360)) < 5
    assert face.crop.size == pytest.approx(truth.size, rel=0.1)
    assert 0.5 <= face.score <= 1


@pytest.mark.parametrize("scale", [0.3, 1.0, 4.0])
def test_a_cat_is_found_at_any_size(finder: Finder, scale: float) -> None:
    photo, truth = chelsea_turned(0)
    scaled = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    (face,) = finder.find(scaled)
    assert eye_error(face.align, truth.points * scale) < 0.08


def test_the_eyes_lie_on_the_models_points_in_the_crop(finder: Finder) -> None:
    photo, _ = chelsea_turned(30)
    own = (0.3, 0.4), (0.7, 0.45)
    (face,) = finder.find(photo, own)
    square = Square.of_square(face.crop, 1)
    assert np.allclose(np.ravel([square.to_photo(*point) for point in own]), astuple(face.align), atol=1e-6)


def kinds_of(photo: np.ndarray) -> dict[str, np.ndarray]:
    """One photo of bytes in every kind of pixels."""
    gray = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    opaque = np.full_like(gray, 255)
    return {
        "gray": gray,
        "gray with a channel": gray[..., None],
        "gray and alpha": np.dstack([gray, opaque]),
        "alpha": np.dstack([photo, opaque]),
        "16 bit": photo.astype(np.uint16) * 257,
        "16 bit and alpha": np.dstack([photo, opaque]).astype(np.uint16) * 257,
        "float": photo.astype(np.float32) / 255,
        "a view turned round": np.ascontiguousarray(photo[::-1, ::-1])[::-1, ::-1],
    }


@pytest.mark.parametrize("kind", list(kinds_of(np.zeros((4, 4, 3), np.uint8))))
def test_every_kind_of_pixels_gives_the_same_face(finder: Finder, kind: str) -> None:
    photo, truth = chelsea_turned(0)
    (face,) = finder.find(kinds_of(photo)[kind])
    assert eye_error(face.align, truth.points) < 0.08


def test_what_no_display_shows_in_a_float_photo_hides_no_face(finder: Finder) -> None:
    photo, truth = chelsea_turned(0)
    strange = photo.astype(np.float32) / 255
    strange[:5], strange[5:8], strange[-3:] = np.nan, np.inf, -7
    (face,) = finder.find(strange)
    assert eye_error(face.align, truth.points) < 0.08


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 20000), (9000, 2), (17, 33), (5, 5)])
@pytest.mark.parametrize("channels", [3, 4])
def test_photos_too_small_or_too_thin_for_a_face_have_none(
    finder: Finder, shape: tuple[int, int], channels: int
) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (*shape, channels), np.uint8)
    assert finder.find(photo) == []


@pytest.mark.parametrize("name", JUDGED_BY)
def test_pictures_without_a_cat_have_no_cats_face(finder: Finder, name: str) -> None:
    (picture,) = shipped([name])
    assert finder.find(picture) == []


def test_the_same_photo_gives_the_same_faces(finder: Finder) -> None:
    photo, _ = chelsea_turned(45)
    before = photo.copy()
    assert finder.find(photo) == finder.find(photo)
    assert np.array_equal(photo, before)


def test_two_cats_are_two_faces_each_at_its_place(finder: Finder) -> None:
    one, truth = chelsea_turned(0)
    other = cv2.rotate(one, cv2.ROTATE_180)
    faces = finder.find(np.hstack([one, other]))
    assert len(faces) == 2
    assert faces[0].score >= faces[1].score
    height, width = one.shape[:2]
    turned = (2 * width, height) - truth.points
    places = [face.align for face in faces]
    for points in (truth.points, turned):
        assert min(eye_error(place, points) for place in places) < 0.08


@pytest.mark.parametrize(("height", "width"), [(4000, 6000), (3001, 4999), (300, 451), (40, 9000), (1, 1), (7000, 31)])
def test_a_photo_is_reduced_to_what_the_networks_look_through(height: int, width: int) -> None:
    level = reduced(np.zeros((height, width, 3), np.uint8))
    h, w = level.pixels.shape[:2]
    assert h * w <= 1.02 * AREA + h + w
    assert abs(w * level.width - width) < 0.01 * width + 1
    assert abs(h * level.height - height) < 0.01 * height + 1
    if h > 1 and w > 1:
        assert 0.9 < level.width / level.height < 1.1


def test_a_point_keeps_its_place_at_every_level() -> None:
    """A white spot on black: each level's centre of gravity, in photo pixels, is the photo's."""
    photo = np.zeros((1501, 2003, 3), np.uint8)
    photo[900:1100, 1300:1500] = 255
    for level in pyramid(photo)[:4]:
        weight = level.pixels[..., 0].astype(float)
        ys, xs = np.mgrid[: weight.shape[0], : weight.shape[1]] + 0.5
        x, y = (xs * weight).sum() / weight.sum() * level.width, (ys * weight).sum() / weight.sum() * level.height
        assert (x, y) == pytest.approx((1400, 1000), abs=1.5)


def test_what_is_transparent_is_gray_to_the_finder() -> None:
    photo = np.zeros((30, 40, 4), np.uint8)
    photo[..., 0], photo[:, 20:, 3] = 255, 255
    seen = reduced(photo).pixels
    assert seen[15, 5].tolist() == [128, 128, 128]
    assert seen[15, 30].tolist() == [255, 0, 0]


def test_a_square_is_cut_out_upright_at_any_angle() -> None:
    """A dot at a known place of a turned square is at that place in what is cut out."""
    photo = np.zeros((900, 1000, 3), np.uint8)
    square = Square.of_points(Align(500, 450, 420, 560), CANONICAL, 1)
    x, y = square.to_photo(0.7, 0.6)
    cv2.circle(photo, (round((x - 0.5) * 16), round((y - 0.5) * 16)), 6 * 16, (255, 255, 255), -1, shift=4)
    cut = cut_square(pyramid(photo), square, 96, 1.5)[..., 0].astype(float)
    ys, xs = np.mgrid[:96, :96] + 0.5
    place = np.array([(xs * cut).sum(), (ys * cut).sum()]) / cut.sum() / 96
    assert np.allclose((place - 0.5) * 1.5 + 0.5, (0.7, 0.6), atol=0.01)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (32, 80)])
def test_the_detector_answers_for_each_cell_and_the_refiner_for_each_square(height: int, width: int) -> None:
    networks = FinderNetworks().eval()
    heat, points = networks.detect(torch.zeros(2, 3, height, width))
    assert heat.shape == (2, height // 8, width // 8)
    assert points.shape == (2, 4, height // 8, width // 8)
    scores, shifts = networks.look(torch.zeros(3, 3, CLOSE_SIDE, CLOSE_SIDE))
    assert scores.shape == (3,)
    assert shifts.shape == (3, 4)


def test_normalisation_taken_into_the_convolutions_changes_no_answer() -> None:
    torch.manual_seed(0)
    networks = FinderNetworks()
    with torch.no_grad():
        for module in networks.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_()  # type: ignore[union-attr]
                module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    networks.eval()
    pictures, squares = torch.rand(1, 3, 48, 64) * 2 - 1, torch.rand(2, 3, 96, 96) * 2 - 1
    with torch.no_grad():
        before = *networks.detect(pictures), *networks.look(squares)
        networks.fused()
        after = *networks.detect(pictures), *networks.look(squares)
    assert not any(isinstance(module, torch.nn.BatchNorm2d | torch.nn.Conv2d) for module in networks.modules())
    for one, other in zip(before, after, strict=True):
        assert torch.allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("onednn", sorted({False, has_onednn()}))
@pytest.mark.parametrize("activation", [None, "relu", "relu6"])
def test_a_fused_convolution_answers_as_the_layers_that_it_stands_for(onednn: bool, activation: Activation) -> None:
    torch.manual_seed(2)
    after = {None: torch.nn.Identity(), "relu": torch.nn.ReLU(), "relu6": torch.nn.ReLU6()}[activation]
    for groups, bias, stride in ((1, True, 1), (12, True, 2), (1, False, 2)):
        conv = torch.nn.Conv2d(12, 24, 3, stride, padding=1, groups=groups, bias=bias).requires_grad_(False)
        conv.weight *= 20
        fused = FusedConv(conv.weight, conv.bias, stride, 1, groups, activation, onednn)
        for shape in ((1, 12, 18, 40), (3, 12, 5, 7), (1, 12, 18, 40)):
            x = torch.randn(shape).contiguous(memory_format=torch.channels_last)
            assert torch.allclose(fused(x), after(conv(x)), atol=1e-4)


def other_arguments(*_: Any) -> torch.Tensor:
    raise RuntimeError("mkldnn::_convolution_pointwise() is missing value for argument 'scale'")


@pytest.mark.parametrize("operation", [other_arguments, lambda x, *_: torch.zeros_like(x)])
def test_a_torch_whose_own_operations_do_something_else_goes_the_usual_way(
    operation: Callable[..., torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_convolution_pointwise", operation)
    assert not has_onednn.__wrapped__()


@pytest.mark.parametrize("sides", [(32, 64), (160, 96)])
def test_the_frozen_layers_give_the_same_maps_when_they_are_fused(sides: tuple[int, int]) -> None:
    torch.manual_seed(3)
    picture = (torch.rand(2, 3, *sides) * 2 - 1).contiguous(memory_format=torch.channels_last)
    network = EfficientNetLite0()
    before = network.features(picture)
    for one, other in zip(before, network.fused().features(picture), strict=True):
        assert one.shape == other.shape
        assert torch.allclose(one, other, atol=1e-3)


def test_points_that_make_no_square_make_none() -> None:
    for points in ([[1, 1], [1, 1]], [[math.nan, 0], [9, 9]], [[0, 0], [math.inf, 0]], [[0, 0], [1e9, 0]]):
        assert square_of(np.array(points, float), CANONICAL) is None


def test_the_shipped_finder_is_small_and_says_what_it_finds() -> None:
    assert SHIPPED.stat().st_size <= 3_000_000
    finding = read_finding(SHIPPED)
    assert finding == Finding("cat face", CANONICAL)


def test_a_finder_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    torch.manual_seed(1)
    networks, file = FinderNetworks(), tmp_path / "owl-finder.safetensors"
    save_finder(file, networks, Finding("owl", CANONICAL), {"licence": "MIT"})
    assert read_finding(file) == Finding("owl", CANONICAL)
    picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    with torch.inference_mode():
        again, first = load_finder(file).heat(picture), Finder(networks, CANONICAL).heat(picture)
    for one, other, least in zip(again, first, (1e-3, 0.05), strict=True):
        assert torch.allclose(one, other, atol=least)  # half precision; of points some hundredths of a pixel


def test_a_new_domains_finder_is_one_more_file(tmp_path: Path) -> None:
    save_finder(tmp_path / "owl-finder.safetensors", FinderNetworks(), Finding("Owl face", CANONICAL), {})
    assert registry.finder_for("owl face, eyes level", tmp_path) is not None
    assert registry.finder_for("cat face, eyes level", tmp_path) is None


def test_the_default_model_has_a_finder() -> None:
    known = registry.finder_of_model("default")
    assert known is not None
    assert known.kind == "cat face"


def test_a_file_that_is_no_finder_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no finder"):
        load_finder(default_model_path())
    damaged = tmp_path / "x-finder.safetensors"
    damaged.write_bytes(SHIPPED.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"x-finder\.safetensors.*truncated"):
        load_finder(damaged)
    save_finder(damaged, FinderNetworks(), Finding("owl", ((0.5, 0.5), (0.5, 0.5))), {})
    with pytest.raises(CheckpointError, match="what it finds"):
        load_finder(damaged)
