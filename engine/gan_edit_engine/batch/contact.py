"""The contact sheet of a batch: before and after of every photo, and what failed, in pages of small pictures.

The small pictures are kept as photos are done, so that a batch that goes on need not open its photos again.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from gan_edit_engine.batch.jobs import Job
from gan_edit_engine.batch.report import Line, Report, is_done
from gan_edit_engine.imaging.colour_profiles import converted
from gan_edit_engine.imaging.crop import WHITE, Crop, from_unit
from gan_edit_engine.imaging.image_files import Picture, read_picture
from gan_edit_engine.system.atomic_write import make_folder, replacing
from gan_edit_engine.system.printable import printable
from gan_edit_protocol import geometry
from gan_edit_protocol.errors import GanEditError

FOLDER = ".thumbnails"
SIDE = 128
"""Of each small picture, in pixels."""
_COLUMNS, _ROWS = 5, 16
_GAP, _CAPTION = 10, 18
_CELL = (2 * SIDE + _GAP, SIDE + _CAPTION + _GAP)
_GROUND, _INK, _FAILED = (250, 250, 250), (40, 40, 40), (176, 32, 32)
_LETTERS = 42  # of a caption
_QUALITY = 85
_MOST_OPENED = 200
"""Photos that failed and are opened for the sheet; of more only the name is shown."""

Small = NDArray[np.uint8]


def keep_thumbnail(path: Path, before: Picture, after: Picture, square: geometry.Crop | None, alone: bool) -> None:
    """Keep a photo and its result side by side, of both what lies in the ``square``; None: all of them.

    ``path``: as of :func:`thumbnail`. ``alone``: the result is the square's already.
    """
    pair = np.concatenate([small(before, square), small(after, None if alone else square)], axis=1)
    with suppress(GanEditError):  # the photo's own files say whether there is room
        make_folder(path.parent)
        with replacing(path) as part:
            Image.fromarray(pair).save(part, "WEBP", quality=_QUALITY)


def small(picture: Picture, square: geometry.Crop | None) -> Small:
    """[SIDE, SIDE, 3] in sRGB; transparent places, and what lies beyond the photo, are white."""
    height, width = picture.pixels.shape[:2]
    crop = Crop.of_square(square or geometry.Crop(width / 2, height / 2, float(max(height, width))), SIDE)
    pixels = picture.pixels
    colours = crop.extract(pixels) / np.float32(WHITE[pixels.dtype.name])
    cover = crop.extract(np.ones((height, width), np.float32), cv2.BORDER_CONSTANT)[..., None]
    if colours.shape[2] == 4:
        colours, cover = colours[..., :3], cover * colours[..., 3:]
    colours = colours * cover + 1 - cover
    plain = np.asarray(from_unit(colours, np.dtype(np.uint8)), np.uint8)
    try:
        return converted(plain, picture.profile, None, "the photo")
    except GanEditError:  # a profile that cannot be read
        return plain


def make_sheet(
    folder: Path, jobs: Sequence[Job], report: Report, tell: Callable[[int, int], None] = lambda page, of: None
) -> list[Path]:
    """Write ``contact.webp``, or pages ``contact-001.webp`` and so on, in the order of the jobs; those before go.

    ``tell`` hears which page of how many is done.
    """
    for old in folder.glob("contact*.webp"):
        with suppress(OSError):
            old.unlink()
    told = [(job, line) for job in jobs if (line := report.lines.get(job.output)) is not None]
    cells = _Cells(folder)
    pages = [told[first : first + _COLUMNS * _ROWS] for first in range(0, len(told), _COLUMNS * _ROWS)]
    made = []
    for number, page in enumerate(pages, start=1):
        path = folder / ("contact.webp" if len(pages) == 1 else f"contact-{number:03d}.webp")
        sheet = _page([cells.cell(job, line) for job, line in page])
        with replacing(path) as part:
            sheet.save(part, "WEBP", quality=_QUALITY)
        made.append(path)
        tell(number, len(pages))
    return made


@dataclass
class _Cells:
    """What is shown of each photo. ``opened``: how many photos had to be."""

    folder: Path
    opened: int = 0

    def cell(self, job: Job, line: Line) -> Image.Image:
        cell = Image.new("RGB", _CELL, _GROUND)
        draw = ImageDraw.Draw(cell)
        done = is_done(line)
        shown = self._pair(job) if done else self._photo(job)
        if shown is None:
            draw.rectangle((0, 0, SIDE - 1, SIDE - 1), outline=(200, 200, 200))
        else:
            cell.paste(Image.fromarray(shown), (0, 0))
        if not done:
            text = "\n".join(textwrap.wrap(printable(str(line.get("message", ""))), 21)[:9])
            draw.multiline_text((SIDE + 6, 2), text, _FAILED, _font(11), spacing=2)
        name = printable(job.name)
        name = name if len(name) <= _LETTERS else f"{name[: _LETTERS // 2]}…{name[-_LETTERS // 2 + 1 :]}"
        draw.text((1, SIDE + 2), name, _INK if done else _FAILED, _font(12))
        return cell

    def _pair(self, job: Job) -> Small | None:
        with suppress(OSError, ValueError), Image.open(thumbnail(self.folder, job.output), formats=["WEBP"]) as image:
            return np.asarray(image.convert("RGB").resize((2 * SIDE, SIDE)))
        return None

    def _photo(self, job: Job) -> Small | None:
        self.opened += 1
        if self.opened > _MOST_OPENED or not job.photo.is_file():
            return None
        with suppress(GanEditError):
            return small(read_picture(job.photo), None)
        return None


def _page(cells: list[Image.Image]) -> Image.Image:
    columns = min(_COLUMNS, len(cells))
    rows = -(-len(cells) // columns)
    page = Image.new("RGB", (columns * (_CELL[0] + _GAP) + _GAP, rows * _CELL[1] + _GAP), _GROUND)
    for number, cell in enumerate(cells):
        row, column = divmod(number, columns)
        page.paste(cell, (_GAP + column * (_CELL[0] + _GAP), _GAP + row * _CELL[1]))
    return page


def thumbnail(folder: Path, output: str) -> Path:
    """Where a batch's ``folder`` keeps the small pictures of a result."""
    return folder / FOLDER / f"{output}.webp"


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
