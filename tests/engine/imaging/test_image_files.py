"""Image files in and out: depth, alpha, orientation, colour profile, and what is no image."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from gan_edit_engine.imaging.image_files import Picture, check_output, read_mask, read_picture, read_scribble, write_png
from gan_edit_protocol.errors import GanEditError

RGB_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
RANDOM = np.random.default_rng(7)


def pixels(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return RANDOM.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("profile", [None, RGB_PROFILE])
def test_what_is_written_is_read_bit_by_bit(tmp_path: Path, dtype: type, channels: int, profile: bytes | None) -> None:
    picture = Picture(pixels(5, 7, channels, dtype=dtype), profile)
    write_png(tmp_path / "p.png", picture)
    again = read_picture(tmp_path / "p.png")
    assert again.pixels.dtype == dtype
    np.testing.assert_array_equal(again.pixels, picture.pixels)
    assert again.profile == profile


def test_a_16_bit_png_is_a_valid_png_for_other_programs(tmp_path: Path) -> None:
    write_png(tmp_path / "p.png", Picture(pixels(5, 7, 3, dtype=np.uint16), RGB_PROFILE))
    with Image.open(tmp_path / "p.png") as image:
        image.verify()
        assert image.info["icc_profile"] == RGB_PROFILE


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_the_orientation_that_cameras_note_is_applied(tmp_path: Path, orientation: int, suffix: str) -> None:
    """The upper left quarter of the stored picture is white; the table says where the specification puts it."""
    stored = np.zeros((32, 64, 3), np.uint8)
    stored[:16, :32] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"p{suffix}"
    Image.fromarray(stored).save(path, exif=exif, quality=95)
    expected = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}[orientation]
    upright = read_picture(path).pixels
    assert upright.shape[:2] == ((32, 64) if orientation < 5 else (64, 32))
    h, w = upright.shape[0] // 2, upright.shape[1] // 2
    corners = {(y, x): upright[y * h : y * h + h, x * w : x * w + w].mean() for y in (0, 1) for x in (0, 1)}
    assert max(corners, key=corners.__getitem__) == expected


@pytest.mark.parametrize(("mode", "channels"), [("L", 3), ("LA", 4), ("P", 3), ("1", 3), ("RGBA", 4), ("RGB", 3)])
def test_every_mode_becomes_rgb_with_its_alpha(tmp_path: Path, mode: str, channels: int) -> None:
    source = Image.fromarray(pixels(6, 6, channels)).convert(mode)
    source.save(tmp_path / "p.png")
    expected = np.asarray(source.convert("RGBA" if channels == 4 else "RGB"))
    np.testing.assert_array_equal(read_picture(tmp_path / "p.png").pixels, expected)


def test_gray_16_bit_becomes_rgb_of_16_bit(tmp_path: Path) -> None:
    gray = pixels(6, 6, dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "p.png"), gray)
    np.testing.assert_array_equal(read_picture(tmp_path / "p.png").pixels, np.stack([gray] * 3, axis=2))


def test_an_indexed_picture_with_a_transparent_colour_keeps_its_alpha(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8)).convert("P")
    image.save(tmp_path / "p.png", transparency=0)
    assert read_picture(tmp_path / "p.png").pixels[..., 3].tolist() == [[0, 255], [255, 0]]


def test_a_profile_that_is_not_rgb_is_not_carried_over(tmp_path: Path) -> None:
    """A gray photo's profile would make its RGB result invalid."""
    gray_profile = RGB_PROFILE[:16] + b"GRAY" + RGB_PROFILE[20:]
    Image.fromarray(pixels(4, 4)).save(tmp_path / "p.png", icc_profile=gray_profile)
    assert read_picture(tmp_path / "p.png").profile is None


def test_a_mask_counts_by_its_brightness_at_any_depth(tmp_path: Path) -> None:
    values = np.array([[0, 128, 255]], np.uint8)
    Image.fromarray(values).save(tmp_path / "8.png")
    cv2.imwrite(str(tmp_path / "16.png"), values.astype(np.uint16) * 257)
    opaque = np.full_like(values, 255)
    Image.fromarray(np.stack([values] * 3 + [opaque], axis=2)).save(tmp_path / "alpha.png")
    for name in ("8.png", "16.png", "alpha.png"):
        assert read_mask(tmp_path / name).tolist() == values.tolist()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_mask_selects_as_little_as_it_is_transparent(tmp_path: Path, dtype: type) -> None:
    """White strokes on a transparent layer are how an image editor's mask often looks: nothing else may change."""
    brightness = np.array([[255, 255, 255, 100, 100, 0]], np.uint8)
    alpha = np.array([[0, 51, 255, 0, 51, 255]], np.uint8)
    values = np.stack([brightness] * 3 + [alpha], axis=2).astype(dtype) * (np.iinfo(dtype).max // 255)
    write_png(tmp_path / "mask.png", Picture(values))
    assert read_mask(tmp_path / "mask.png").tolist() == [[0, 51, 255, 0, 20, 0]]


@pytest.mark.parametrize("mode", ["LA", "P"])
def test_a_gray_or_indexed_mask_has_its_transparency_too(tmp_path: Path, mode: str) -> None:
    white = Image.new(mode, (2, 1), (255, 255) if mode == "LA" else 1)
    if mode == "LA":
        white.putpixel((0, 0), (255, 0))
        white.save(tmp_path / "mask.png")
    else:
        white.putpalette([255, 255, 255] * 2)
        white.putpixel((0, 0), 0)
        white.save(tmp_path / "mask.png", transparency=0)
    assert read_mask(tmp_path / "mask.png").tolist() == [[0, 255]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_mask_of_0_and_1_is_one_of_black_and_white(tmp_path: Path, dtype: type, channels: int) -> None:
    """Programs that take masks for numbers write them so; an editor of pictures shows them black."""
    values = np.array([[0, 1, 1]], dtype)
    layers = [values] * min(channels, 3) + [np.array([[1, 1, 0]], dtype)] * (channels == 4)
    cv2.imwrite(str(tmp_path / "mask.png"), np.dstack(layers))
    assert read_mask(tmp_path / "mask.png").tolist() == [[0, 255, 0 if channels == 4 else 255]]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.zeros((3, 4), np.uint8), "is black"),
        (np.zeros((3, 4, 3), np.uint16), "is black"),
        (np.dstack([np.zeros((3, 4, 3), np.uint8), np.full((3, 4), 255, np.uint8)]), "is black"),
        (np.dstack([np.full((3, 4, 3), 255, np.uint8), np.zeros((3, 4), np.uint8)]), "is transparent or black"),
        (np.array([[0, 1, 2, 3]], np.uint8), "is nearly black: its brightest pixel is 3 of 255"),
        (np.array([[0, 255]], np.uint16), "is nearly black: its brightest pixel is 1 of 255"),
    ],
)
def test_a_mask_that_selects_nothing_says_so(tmp_path: Path, values: np.ndarray, said: str) -> None:
    cv2.imwrite(str(tmp_path / "mask.png"), values)
    with pytest.raises(GanEditError, match=said) as caught:
        read_mask(tmp_path / "mask.png")
    assert caught.value.code == "empty_mask"
    assert "mask.png" in caught.value.message


# --- colour profiles ---------------------------------------------------------------------------------------------

PRIMARIES = {  # of Adobe RGB (1998), as fixed-point numbers in the columns of an ICC profile (annex C of its text)
    b"rXYZ": (0.60974, 0.31111, 0.01947),
    b"gXYZ": (0.20528, 0.62567, 0.06087),
    b"bXYZ": (0.14919, 0.06322, 0.74457),
}


def adobe_rgb() -> bytes:
    """A profile of Adobe RGB's primaries and gamma."""
    fixed = {
        tag: b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in xyz)) for tag, xyz in PRIMARIES.items()
    }
    fixed[b"wtpt"] = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.19921875 * 256)) + b"\0\0"
    fixed |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    table, data = struct.pack(">I", len(fixed)), b""
    for tag, content in fixed.items():
        table += struct.pack(">4sII", tag, 132 + 12 * len(fixed) + len(data), len(content))
        data += content
    header = struct.pack(
        ">I4sI4s4s4s", 132 + 12 * len(fixed) + len(data), b"lcms", 0x02100000, b"mntr", b"RGB ", b"XYZ "
    )
    illuminant = struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return (header + illuminant).ljust(128, b"\0") + table + data


def scribble(folder: Path, profile: bytes | None, colour: tuple[int, int, int] = (0, 200, 40)) -> Path:
    strokes = np.zeros((2, 3, 4), np.uint8)
    strokes[:, 1:] = (*colour, 128)
    Image.fromarray(strokes).save(folder / "s.png", icc_profile=profile)
    return folder / "s.png"


def photo_of(profile: bytes | None) -> Picture:
    return Picture(pixels(2, 3, 3), profile)


def test_a_scribble_with_a_profile_of_its_own_is_converted_to_the_photo_s(tmp_path: Path) -> None:
    """sRGB's (0, 200, 40) in Adobe RGB, by the primaries and curves of both (IEC 61966-2-1, Adobe RGB 1998)."""
    found = read_scribble(scribble(tmp_path, RGB_PROFILE), photo_of(adobe_rgb()))
    assert np.abs(found[0, 1].astype(int) - (113, 199, 60, 128)).max() <= 2
    assert (found[..., 3] == read_scribble(scribble(tmp_path, None))[..., 3]).all()


def test_a_scribble_s_profile_counts_on_a_photo_without_one_which_is_srgb(tmp_path: Path) -> None:
    found = read_scribble(scribble(tmp_path, adobe_rgb(), (173, 62, 118)))
    assert np.abs(found[0, 1].astype(int) - (200, 60, 120, 128)).max() <= 2


@pytest.mark.parametrize("own", [None, RGB_PROFILE])
def test_a_scribble_without_a_profile_or_with_the_photo_s_keeps_its_numbers(tmp_path: Path, own: bytes | None) -> None:
    assert read_scribble(scribble(tmp_path, own), photo_of(RGB_PROFILE))[0, 1].tolist() == [0, 200, 40, 128]


def test_a_scribble_that_is_said_to_be_srgb_in_a_word_is_converted_too(tmp_path: Path) -> None:
    content = scribble(tmp_path, None).read_bytes()
    chunk = b"sRGB\0"
    said = struct.pack(">I", 1) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "s.png").write_bytes(content[:33] + said + content[33:])
    found = read_scribble(tmp_path / "s.png", photo_of(adobe_rgb()))
    assert np.abs(found[0, 1].astype(int) - (113, 199, 60, 128)).max() <= 2


@pytest.mark.parametrize("whose", ["the scribble", "the photo"])
def test_a_damaged_profile_that_is_needed_is_named(tmp_path: Path, whose: str) -> None:
    damaged = RGB_PROFILE[:16] + b"RGB " + RGB_PROFILE[20:60]
    own, photo = (damaged, RGB_PROFILE) if whose == "the scribble" else (RGB_PROFILE, damaged)
    with pytest.raises(GanEditError, match=f"colour profile of {whose}") as caught:
        read_scribble(scribble(tmp_path, own), photo_of(photo))
    assert caught.value.code == "bad_image"


def test_a_scribble_without_transparency_is_refused_with_what_to_do(tmp_path: Path) -> None:
    Image.fromarray(pixels(4, 4, 3)).save(tmp_path / "s.png")
    with pytest.raises(GanEditError, match="has no transparency.*Paint on a transparent layer"):
        read_scribble(tmp_path / "s.png")


def test_an_opaque_scribble_is_accepted(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4, 4), 255, np.uint8)).save(tmp_path / "s.png")
    assert read_scribble(tmp_path / "s.png").shape == (4, 4, 4)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_damaged_file_is_refused_wherever_it_is_cut(tmp_path: Path, dtype: type) -> None:
    write_png(tmp_path / "p.png", Picture(pixels(16, 16, 3, dtype=dtype)))
    whole = (tmp_path / "p.png").read_bytes()
    for length in (0, 4, 20, 40, len(whole) // 2):
        (tmp_path / "cut.png").write_bytes(whole[:length])
        with pytest.raises(GanEditError) as caught:
            read_picture(tmp_path / "cut.png")
        assert caught.value.code == "bad_image"


def test_what_is_no_image_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(GanEditError, match=r"notes\.txt is not an image"):
        read_picture(tmp_path / "notes.txt")
    with pytest.raises(GanEditError, match="No such file"):
        read_picture(tmp_path / "none.png")
    with pytest.raises(GanEditError, match="cannot be read"):
        read_picture(tmp_path)


def test_an_output_that_cannot_be_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(GanEditError, match="not a PNG"):
        check_output(tmp_path / "r.jpg")
    with pytest.raises(GanEditError, match="no folder"):
        check_output(tmp_path / "none" / "r.png")
