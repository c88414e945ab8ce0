"""Which files are opened as pictures, what the others are called, and that no decoder's exception gets out."""

from __future__ import annotations

import io
import os
import random
import struct
import threading
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import EpsImagePlugin, Image, TiffImagePlugin

from gan_edit_engine.imaging import image_files
from gan_edit_engine.imaging.image_files import read_mask, read_picture, read_scribble
from gan_edit_engine.imaging.image_formats import decoding
from gan_edit_engine.training.photos import PhotoSource
from gan_edit_protocol.errors import GanEditError

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n0 0 8 8 rectfill\nshowpage\n%%EOF\n"
RANDOM = np.random.default_rng(5)
COLOURS = RANDOM.integers(0, 256, (24, 32, 4), dtype=np.uint8)
DEEP = RANDOM.integers(0, 65536, (24, 32, 4), dtype=np.uint16)
BITS, COMPRESSION, PHOTOMETRIC, PLANAR, EXTRA, SAMPLE_FORMAT, DNG_VERSION = 258, 259, 262, 284, 338, 339, 50706


def training_photo(path: Path) -> object:
    return PhotoSource(path.parent).open(path.name)


OPENERS: list[Callable[[Path], object]] = [read_picture, read_mask, read_scribble, training_photo]


def tiff(array: np.ndarray, **changes: object) -> bytes:
    """An uncompressed TIFF of one strip, with tags of its own by number ("tag258=...")."""
    samples = array.shape[2] if array.ndim == 3 else 1
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    tags: dict[int, object] = {256: array.shape[1], 257: array.shape[0], BITS: (array.itemsize * 8,) * samples}
    tags |= {COMPRESSION: 1, PHOTOMETRIC: 2 if samples > 2 else 1, 273: 0, 277: samples, 278: array.shape[0]}
    tags |= {279: array.nbytes, PLANAR: 1}
    tags |= {EXTRA: (2,)} if samples in (2, 4) else {}
    tags |= {int(name[3:]): value for name, value in changes.items()}
    for number, value in tags.items():
        directory[number] = value
    # Pillow adds to the strip's offset where the directory ends.
    return b"II*\0" + struct.pack("<I", 8) + directory.tobytes(8) + array.tobytes()


def png(*chunks: tuple[bytes, bytes], bits: int = 16, colour: int = 2, rows: np.ndarray | None = None) -> bytes:
    """A PNG of those bits a channel with these chunks behind its header; ``rows``: [H, bytes], by default DEEP's."""
    stored = DEEP[..., :3].astype(">u2").reshape(len(DEEP), -1).view(np.uint8) if rows is None else rows
    width = stored.shape[1] * 8 // (bits * {0: 1, 2: 3}[colour])
    header = (b"IHDR", struct.pack(">IIBBBBB", width, len(stored), bits, colour, 0, 0, 0))
    lines = zlib.compress(b"".join(b"\0" + row.tobytes() for row in stored))
    all_chunks = (header, *chunks, (b"IDAT", lines), (b"IEND", b""))
    parts = (struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in all_chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def encoded(kind: str) -> bytes:
    """A small picture in each of the ways in which the accepted formats store them."""
    if kind == "png gray16":
        return png((b"tRNS", b"\0\7"), colour=0, rows=np.arange(24 * 64, dtype=np.uint8).reshape(24, 64))
    if kind == "png gray2":
        return png((b"tRNS", b"\0\2"), bits=2, colour=0, rows=np.arange(24 * 8, dtype=np.uint8).reshape(24, 8))
    if kind == "png16":
        return cv2.imencode(".png", DEEP)[1].tobytes()
    if kind == "tiff16":
        return tiff(DEEP)
    if kind == "tiff16 deflated":
        return cv2.imencode(".tiff", DEEP[..., :3], [cv2.IMWRITE_TIFF_COMPRESSION, 8])[1].tobytes()
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0x9003] = "2020:02:02 02:02:02"
    more: dict[str, object] = {"compression": kind[5:]} if kind.startswith("tiff ") else {"exif": exif}
    name = {"jpeg gray": "JPEG"}.get(kind, kind.split()[0].upper())
    pixels = COLOURS[..., 0] if kind == "jpeg gray" else COLOURS[..., : 4 if name in ("PNG", "WEBP") else 3]
    Image.fromarray(np.ascontiguousarray(pixels)).save(out, name, **more)
    return out.getvalue()


KINDS = ["png", "png16", "jpeg", "jpeg gray", "webp", "tiff", "tiff tiff_lzw", "tiff tiff_adobe_deflate"]
KINDS += ["tiff jpeg", "tiff packbits", "tiff16", "tiff16 deflated", "png gray16", "png gray2", "mpo"]


# --- nothing is started ------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="the stand-in is a shell script")
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("opener", OPENERS)
def test_no_program_is_started_for_a_postscript_file_that_is_called_a_photo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opener: Callable[[Path], object], suffix: str
) -> None:
    programs, photos = tmp_path / "bin", tmp_path / "photos"
    programs.mkdir()
    photos.mkdir()
    (programs / "gs").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\nexit 1\n')
    (programs / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # where an earlier test has made Pillow look for it
    (photos / f"photo{suffix}").write_bytes(POSTSCRIPT)
    with pytest.raises(GanEditError, match="is a PostScript file") as caught:
        opener(photos / f"photo{suffix}")
    assert caught.value.code == "bad_image"
    assert not (tmp_path / "calls").exists()


# --- what is refused, by name ------------------------------------------------------------------------------------


def refusal(tmp_path: Path, name: str, content: bytes, opener: Callable[[Path], object] = read_picture) -> GanEditError:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(GanEditError) as caught:
        opener(tmp_path / name)
    assert caught.value.code == "bad_image"
    assert name in caught.value.message
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (POSTSCRIPT, "a PostScript file"),
        (b"\xc5\xd0\xd3\xc6" + bytes(60), "a PostScript file"),
        (b"%PDF-1.7\n", "a PDF file"),
        (b"GIF89a" + bytes(60), "a GIF picture"),
        (b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0" + bytes(60), "a BMP picture"),
        (b"8BPS\0\1" + bytes(60), "a Photoshop file"),
        (b"gimp xcf v011\0" + bytes(60), "a GIMP file"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(60), "a HEIC picture"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(60), "a HEIC picture"),
        (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf" + bytes(60), "an AVIF picture"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf" + bytes(60), "an AVIF picture"),
        (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(60), "a video"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(60), "a camera's raw file"),
        (b"FUJIFILMCCD-RAW 0201" + bytes(60), "a camera's raw file"),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(60), "a camera's raw file"),
        (b"\xff\x0a" + bytes(60), "a JPEG XL picture"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(60), "a JPEG XL picture"),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(60), "a JPEG 2000 picture"),
        (b"v/1\1" + bytes(60), "an OpenEXR picture"),
        (b'<?xml version="1.0"?>\n<!-- drawn -->\n<svg width="8">', "an SVG drawing"),
        (b"<!DOCTYPE html>\n<title>404</title>", "a web page"),
        (b"", "not an image"),
        (b"hello", "not an image"),
    ],
)
@pytest.mark.parametrize("opener", [read_picture, training_photo])
def test_other_files_are_refused_by_name_whatever_they_are_called(
    tmp_path: Path, content: bytes, named: str, opener: Callable[[Path], object]
) -> None:
    assert f"photo.png is {named}" in refusal(tmp_path, "photo.png", content, opener).message


@pytest.mark.parametrize("suffix", [".nef", ".NEF", ".arw", ".dng", ".cr2", ".pef"])
def test_a_raw_file_is_not_opened_as_the_small_preview_that_it_begins_with(tmp_path: Path, suffix: str) -> None:
    preview = encoded("tiff")
    assert "is a camera's raw file" in refusal(tmp_path, f"photo{suffix}", preview).message


def test_a_raw_file_that_is_called_a_tiff_is_known_by_its_tags(tmp_path: Path) -> None:
    dng = tiff(COLOURS[..., :3].copy(), **{f"tag{DNG_VERSION}": b"\1\4\0\0"})
    preview = tiff(COLOURS[..., :3].copy(), tag254=1)
    for content in (dng, preview):
        assert "is a camera's raw file" in refusal(tmp_path, "photo.tif", content).message


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".JPG", ".tif", ""])
def test_a_picture_is_known_by_its_content_not_by_its_name(tmp_path: Path, kind: str, suffix: str) -> None:
    (tmp_path / f"photo{suffix}").write_bytes(encoded(kind))
    assert read_picture(tmp_path / f"photo{suffix}").pixels.shape[2] in (3, 4)


# --- TIFF --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("array", [COLOURS, DEEP], ids=["8", "16"])
def test_a_tiff_keeps_its_depth_and_its_alpha(tmp_path: Path, array: np.ndarray, channels: int) -> None:
    values = array[..., 0].copy() if channels == 1 else array[..., :channels].copy()
    (tmp_path / "p.tif").write_bytes(tiff(values))
    expected = np.stack([values] * 3, axis=2) if channels == 1 else values
    found = read_picture(tmp_path / "p.tif").pixels
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("array", [COLOURS, DEEP], ids=["8", "16"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_is_turned_upright_once(tmp_path: Path, array: np.ndarray, orientation: int) -> None:
    stored = array[..., :3].copy()
    stored[:, :16] = 0
    stored[:12, :16] = np.iinfo(array.dtype).max  # the stored upper left is white
    (tmp_path / "p.tif").write_bytes(tiff(stored, tag274=orientation))
    upright = read_picture(tmp_path / "p.tif").pixels
    assert upright.shape == ((24, 32, 3) if orientation < 5 else (32, 24, 3))
    expected = {1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0), 5: (0, 0), 6: (0, -1), 7: (-1, -1), 8: (-1, 0)}
    assert (upright[expected[orientation]] == np.iinfo(array.dtype).max).all()


def test_a_channel_of_a_16_bit_tiff_that_is_not_said_to_be_alpha_is_none(tmp_path: Path) -> None:
    (tmp_path / "p.tif").write_bytes(tiff(DEEP, tag338=(0,)))
    np.testing.assert_array_equal(read_picture(tmp_path / "p.tif").pixels, DEEP[..., :3])


@pytest.mark.parametrize(
    "content",
    [
        tiff(DEEP[..., :3].astype(np.float32), tag339=(3, 3, 3)),
        tiff(DEEP[..., 0].astype(np.float32), tag339=3),
        tiff(DEEP[..., 0].astype(np.uint32)),
        tiff(DEEP[..., 0].astype(np.int16), tag339=2),
        tiff(DEEP[..., :2].copy()),
        tiff(DEEP, tag338=(1,)),
        tiff(DEEP, tag262=5, tag338=()),
        tiff(DEEP[..., 0].copy(), tag262=0),
        tiff(np.ascontiguousarray(DEEP[..., :3].transpose(2, 0, 1)), tag256=32, tag257=8, tag284=2),
    ],
    ids=["float", "gray float", "32", "signed", "gray alpha", "premultiplied", "CMYK", "white is zero", "planar"],
)
def test_other_kinds_of_tiff_are_refused_instead_of_read_wrongly(tmp_path: Path, content: bytes) -> None:
    assert "TIFF of another kind" in refusal(tmp_path, "photo.tif", content).message


# --- PNG ---------------------------------------------------------------------------------------------------------

LONG = b"x" * 3_000_000
NOTED = {
    "XMP": (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + LONG),
    "compressed XMP": (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(LONG * 20)),
    "text": (b"tEXt", b"Comment\0" + LONG * 5),
    "compressed text": (b"zTXt", b"Comment\0\0" + zlib.compress(LONG * 30)),
    "profile": (b"iCCP", b"p\0\0" + zlib.compress(bytes(16) + b"RGB " + LONG * 3)),
    "private": (b"abCd", LONG * 5),
}


@pytest.mark.parametrize("noted", NOTED)
@pytest.mark.parametrize("bits", [8, 16])
def test_a_png_may_carry_megabytes_of_notes(tmp_path: Path, noted: str, bits: int) -> None:
    rows = None if bits == 16 else COLOURS[..., :3].reshape(24, -1)
    (tmp_path / "p.png").write_bytes(png(NOTED[noted], bits=bits, rows=rows))
    np.testing.assert_array_equal(read_picture(tmp_path / "p.png").pixels, (DEEP if bits == 16 else COLOURS)[..., :3])


def test_a_png_may_carry_thousands_of_notes(tmp_path: Path) -> None:
    """More than libpng keeps, which forgets the transparency that follows."""
    key = DEEP[3, 4, :3].astype(">u2").tobytes()
    (tmp_path / "p.png").write_bytes(png(*[(b"tEXt", b"a\0b")] * 3000, (b"tRNS", key)))
    alpha = read_picture(tmp_path / "p.png").pixels[..., 3]
    assert alpha[3, 4] == 0
    assert (alpha == 65535).sum() == alpha.size - 1


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_the_transparent_gray_of_a_png_of_any_depth_is_transparent(tmp_path: Path, bits: int) -> None:
    """Its key counts in the values of the file (PNG specification, 11.3.1.1), bits beyond the depth not at all."""
    stored = {1: [0b1000_0000], 2: [0b11_00_00_00], 4: [0xF0], 8: [0xFF, 0], 16: [0xFF, 0xFF, 0, 0]}[bits]
    content = png((b"tRNS", b"\xff\xff"), bits=bits, colour=0, rows=np.array([stored], np.uint8))
    (tmp_path / "p.png").write_bytes(content)
    white = 65535 if bits == 16 else 255
    found = read_picture(tmp_path / "p.png").pixels[0, :2]
    assert found.tolist() == [[white, white, white, 0], [0, 0, 0, white]]


def test_the_transparent_gray_of_16_bits_may_be_any(tmp_path: Path) -> None:
    rows = np.array([[0x7F, 0x7F, 0x7F, 0x7E, 0xFF, 0xFF]], np.uint8)
    (tmp_path / "p.png").write_bytes(png((b"tRNS", b"\x7f\x7f"), colour=0, rows=rows))
    assert read_picture(tmp_path / "p.png").pixels[0].tolist() == [
        [0x7F7F, 0x7F7F, 0x7F7F, 0],
        [0x7F7E, 0x7F7E, 0x7F7E, 65535],
        [65535, 65535, 65535, 65535],
    ]
    assert read_mask(tmp_path / "p.png").tolist() == [[0, 127, 255]]


# --- damage ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_picture_is_read_or_refused_and_never_a_traceback(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], kind: str
) -> None:
    whole = encoded(kind)
    randomness = random.Random(kind)
    refused: list[GanEditError] = []
    for attempt in range(120):
        content = bytearray(whole)
        for _ in range(randomness.choice((1, 4, 40))):
            content[int(len(content) * randomness.random() ** 3)] ^= 1 << randomness.randrange(8)
        content = content[: randomness.randrange(len(content))] if attempt % 3 == 0 else content
        (tmp_path / "photo.png").write_bytes(content)
        for opener in (read_picture, training_photo):
            try:
                opener(tmp_path / "photo.png")
            except GanEditError as error:
                refused.append(error)
    assert len(refused) > 60
    assert {error.code for error in refused} <= {"bad_image", "too_large"}
    assert not any("\n" in str(error) for error in refused)
    assert capfd.readouterr().err == ""  # libtiff and libpng would tell of it besides


RAISED = [OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, OverflowError, RuntimeError]
RAISED += [AttributeError, AssertionError, RecursionError, struct.error, zlib.error, cv2.error, Warning]


@pytest.mark.parametrize("raised", RAISED)
@pytest.mark.parametrize("opener", [read_picture, training_photo])
def test_whatever_a_decoder_raises_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opener: Callable[[Path], object], raised: type[Exception]
) -> None:
    def fail(*arguments: object, **more: object) -> None:
        raise raised("the first line\nthe second line")

    monkeypatch.setattr(Image.Image, "convert", fail)
    assert "the first line" in refusal(tmp_path, "photo.png", encoded("png"), opener).message


def test_too_little_memory_is_not_the_picture_s_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image.Image, "convert", fail)
    (tmp_path / "photo.png").write_bytes(encoded("png"))
    with pytest.raises(GanEditError, match=r"not enough memory to open .*photo\.png") as caught:
        read_picture(tmp_path / "photo.png")
    assert caught.value.code == "out_of_memory"


def test_a_photo_that_is_damaged_inside_its_zip_file_is_named(tmp_path: Path) -> None:
    archive = tmp_path / "photos.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.png", encoded("png"))
    content = bytearray(archive.read_bytes())
    content[200] ^= 1
    archive.write_bytes(content)
    with pytest.raises(GanEditError, match=r"photos\.zip/a\.png"):
        PhotoSource(archive).open("a.png")


def png_that_says(width: int, height: int) -> bytes:
    """The beginning of a PNG of that size, which is all that is needed to refuse it."""

    def chunk(content: bytes) -> bytes:
        return struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))

    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(header) + chunk(b"IDAT" + zlib.compress(bytes(1000)))


@pytest.mark.parametrize(("width", "height"), [(30_000, 20_000), (600_000, 2)])
def test_a_picture_that_is_too_large_is_told_so_in_pixels(tmp_path: Path, width: int, height: int) -> None:
    (tmp_path / "huge.png").write_bytes(png_that_says(width, height))
    with pytest.raises(GanEditError, match=f"{width}×{height} pixels; up to 500 megapixels") as caught:
        read_picture(tmp_path / "huge.png")
    assert caught.value.code == "too_large"


def test_a_wide_picture_opens(tmp_path: Path) -> None:
    Image.new("1", (70_000, 3), 1).save(tmp_path / "wide.png")
    assert read_picture(tmp_path / "wide.png").pixels.shape == (3, 70_000, 3)


@pytest.mark.slow
def test_144_megapixels_open(tmp_path: Path) -> None:
    Image.new("1", (12_000, 12_000), 1).save(tmp_path / "large.png")
    assert read_picture(tmp_path / "large.png").pixels.shape == (12_000, 12_000, 3)


def test_memory_that_is_full_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV has an error of its own for it."""
    pixels = np.zeros((4, 4, 3), np.uint16)
    cv2.imwrite(str(tmp_path / "deep.png"), pixels)

    def decode(data: object, flags: int) -> object:
        return cv2.copyMakeBorder(np.zeros((1, 1, 4)), 0, 1 << 20, 0, 1 << 20, cv2.BORDER_CONSTANT)

    monkeypatch.setattr(image_files.cv2, "imdecode", decode)
    with pytest.raises(GanEditError) as caught:
        read_picture(tmp_path / "deep.png")
    assert caught.value.code == "out_of_memory"


def test_pictures_that_several_threads_open_leave_standard_error_and_warnings_as_they_were(
    capfd: pytest.CaptureFixture[str],
) -> None:
    first_in, second_in, first_out = (threading.Event() for _ in range(3))

    def first() -> None:
        with decoding("a.png"):
            first_in.set()
            second_in.wait(10)
        first_out.set()

    def second() -> None:
        first_in.wait(10)
        with decoding("b.png"):
            second_in.set()
            first_out.wait(10)

    filters = list(warnings.filters)
    threads = [threading.Thread(target=each) for each in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.write(2, b"to be seen\n")
    assert "to be seen" in capfd.readouterr().err
    assert warnings.filters == filters
