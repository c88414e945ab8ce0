"""Exif, resolution and colour profile of a photo are those of what is written of it, whatever format it came in."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.ExifTags import GPS, IFD, Base
from test_image_formats import png, tiff

from gan_edit_engine.imaging.image_files import Picture, read_picture, write_png
from gan_edit_engine.imaging.picture_notes import srgb_profile

H, W = 24, 32
PIXELS = np.random.default_rng(9).integers(0, 256, (H, W, 3), dtype=np.uint8)
MADE, WHERE = "2020:02:02 02:02:02", (48.0, 12.0, 30.5)


def exif(orientation: int = 1, unit: int | None = 2) -> Image.Exif:
    """As of a camera, with 300 × 200 dots in that unit."""
    made = Image.Exif()
    made[Base.Make], made[Base.Copyright], made[Base.Orientation] = "Maker", "Anna", orientation
    if unit is not None:
        made[Base.XResolution], made[Base.YResolution], made[Base.ResolutionUnit] = 300.0, 200.0, unit
    camera = made.get_ifd(IFD.Exif)
    camera[Base.DateTimeOriginal], camera[Base.ExifImageWidth], camera[Base.ExifImageHeight] = MADE, W, H
    made.get_ifd(IFD.GPSInfo)[GPS.GPSLatitude] = WHERE
    return made


def photo(form: str, notes: Image.Exif, **more: object) -> bytes:
    if form == "TIFF":
        tags = {number: value for number, value in notes.items() if number not in (IFD.Exif, IFD.GPSInfo)}
        tags |= {number: notes.get_ifd(number) for number in (IFD.Exif, IFD.GPSInfo)}
        return tiff(PIXELS, **{f"tag{int(number)}": value for number, value in tags.items()})
    out = io.BytesIO()
    Image.fromarray(PIXELS).save(out, form, exif=notes, **more)
    return out.getvalue()


def written_again(tmp_path: Path, content: bytes) -> Image.Image:
    (tmp_path / "photo").write_bytes(content)
    write_png(tmp_path / "r.png", read_picture(tmp_path / "photo"))
    image = Image.open(io.BytesIO((tmp_path / "r.png").read_bytes()))
    image.load()
    return image


@pytest.mark.parametrize("form", ["PNG", "JPEG", "MPO", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_exif_is_kept_without_orientation_and_thumbnail(tmp_path: Path, form: str, orientation: int) -> None:
    image = written_again(tmp_path, photo(form, exif(orientation)))
    found = image.getexif()
    assert (found[Base.Make], found[Base.Copyright]) == ("Maker", "Anna")
    assert found.get_ifd(IFD.Exif)[Base.DateTimeOriginal] == MADE
    assert tuple(map(float, found.get_ifd(IFD.GPSInfo)[GPS.GPSLatitude])) == WHERE
    assert Base.Orientation not in found
    assert found.get_ifd(IFD.IFD1) == {}
    assert not {Base.StripOffsets, Base.Compression, Base.BitsPerSample, Base.ImageWidth} & set(found)
    camera = found.get_ifd(IFD.Exif)
    assert (camera[Base.ExifImageWidth], camera[Base.ExifImageHeight]) == image.size
    assert image.size == ((H, W) if orientation == 6 else (W, H))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "MPO", "WEBP", "TIFF"])
@pytest.mark.parametrize(("orientation", "dots"), [(1, (300, 200)), (3, (300, 200)), (6, (200, 300)), (8, (200, 300))])
def test_the_resolution_is_kept_along_the_sides_that_it_was_of(
    tmp_path: Path, form: str, orientation: int, dots: tuple[int, int]
) -> None:
    image = written_again(tmp_path, photo(form, exif(orientation)))
    assert image.info["dpi"] == pytest.approx(dots, abs=0.02)
    found = image.getexif()
    assert (found[Base.XResolution], found[Base.YResolution], found[Base.ResolutionUnit]) == (*dots, 2)


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_a_resolution_without_exif_is_kept(tmp_path: Path, form: str) -> None:
    image = written_again(tmp_path, photo(form, Image.Exif(), dpi=(240, 120)))
    assert image.info["dpi"] == pytest.approx((240, 120), abs=0.02)
    assert not image.getexif()


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "TIFF"])
def test_dots_a_centimetre_are_not_dots_an_inch(tmp_path: Path, form: str) -> None:
    assert written_again(tmp_path, photo(form, exif(unit=3))).info["dpi"] == pytest.approx((762, 508), abs=0.02)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_a_resolution_that_nobody_gave_is_not_made_up(tmp_path: Path, form: str) -> None:
    assert "dpi" not in written_again(tmp_path, photo(form, exif(unit=None))).info


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_a_thumbnail_shows_what_the_photo_was_and_is_left_out(tmp_path: Path, form: str) -> None:
    content, thumbnail = exif().tobytes(), b"the thumbnail"
    # Behind the first directory's twelve bytes an entry stands where the next one is; there: no entry but the content.
    count = int.from_bytes(content[14:16], "little" if content[6:8] == b"II" else "big")
    end = 16 + 12 * count
    following = (len(content) - 6).to_bytes(4, "little" if content[6:8] == b"II" else "big")
    with_thumbnail = content[:end] + following + content[end + 4 :] + bytes(6) + thumbnail
    out = io.BytesIO()
    Image.fromarray(PIXELS).save(out, form, exif=with_thumbnail)
    assert thumbnail in out.getvalue()
    (tmp_path / "photo").write_bytes(out.getvalue())
    write_png(tmp_path / "r.png", read_picture(tmp_path / "photo"))
    assert thumbnail not in (tmp_path / "r.png").read_bytes()
    with Image.open(tmp_path / "r.png") as image:
        assert image.getexif()[Base.Make] == "Maker"


def test_a_picture_of_16_bits_keeps_its_notes_too(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    given = Picture(PIXELS.astype(np.uint16) * 257, profile, exif().tobytes()[6:], (300.0, 200.0))
    write_png(tmp_path / "p.png", given)
    again = read_picture(tmp_path / "p.png")
    assert again.profile == profile
    assert again.exif is not None
    assert again.resolution == pytest.approx((300, 200), abs=0.02)
    assert cv2.imread(str(tmp_path / "p.png"), cv2.IMREAD_UNCHANGED).dtype == np.uint16
    with Image.open(tmp_path / "p.png") as image:
        image.verify()


@pytest.mark.parametrize("damage", [b"", b"MM", b"MM\0*\0\0\0\x08\xff\xff", b"II*\0\xff\xff\xff\x7f" + bytes(40)])
def test_damaged_exif_is_no_damaged_picture(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "p.png").write_bytes(png((b"eXIf", damage)))
    assert read_picture(tmp_path / "p.png").exif is None


@pytest.mark.parametrize("dots", [0, 1 << 31, (1 << 32) - 1])
def test_a_resolution_that_is_none_is_left_out(tmp_path: Path, dots: int) -> None:
    (tmp_path / "p.png").write_bytes(png((b"pHYs", dots.to_bytes(4, "big") * 2 + b"\1")))
    assert read_picture(tmp_path / "p.png").resolution is None


def test_a_png_that_is_said_to_be_srgb_is_so_in_the_result(tmp_path: Path) -> None:
    image = written_again(tmp_path, png((b"sRGB", b"\0")))
    assert image.info["icc_profile"] == srgb_profile()
    described = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile())))
    assert "sRGB" in described
