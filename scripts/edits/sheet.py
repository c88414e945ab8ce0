"""Contact sheets: rows of pictures side by side, each row with a line of text above it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as Pictures
from PIL import ImageDraw

from edits.cases import Image

_GAP = 6
_LINE = 16  # pixels of text


@dataclass(frozen=True)
class Row:
    """``pictures``: [H, W, 3] in 0..1, all shown at the sheet's height."""

    text: str
    pictures: Sequence[Image]


def painted_over(photo: Image, scribble: Image) -> Image:
    """The photo [H, W, 3] with the scribble [H, W, 4] on it."""
    opacity = scribble[..., 3:]
    return np.asarray(photo * (1 - opacity) + scribble[..., :3] * opacity, np.float32)


def save_sheet(path: Path, rows: Sequence[Row], height: int, columns: int = 1) -> None:
    """PNG or WebP of the rows, ``columns`` of them beside each other, the pictures ``height`` pixels high."""
    blocks = [row_picture(row, height) for row in rows]
    width = max(block.width for block in blocks) + 2 * _GAP
    tall = max(block.height for block in blocks) + _GAP
    lines = -(-len(blocks) // columns)
    sheet = Pictures.new("RGB", (columns * width, lines * tall), "white")
    for number, block in enumerate(blocks):
        sheet.paste(block, ((number % columns) * width, (number // columns) * tall))
    sheet.save(path, quality=85)


def row_picture(row: Row, height: int) -> Pictures.Image:
    """The row alone, its pictures ``height`` pixels high."""
    shown = [_resized(picture, height) for picture in row.pictures]
    block = Pictures.new("RGB", (sum(p.shape[1] + _GAP for p in shown) - _GAP, height + _LINE), "white")
    ImageDraw.Draw(block).text((0, 2), row.text, fill="black")
    left = 0
    for picture in shown:
        block.paste(Pictures.fromarray(picture), (left, _LINE))
        left += picture.shape[1] + _GAP
    return block


def _resized(picture: Image, height: int) -> np.ndarray:
    width = round(picture.shape[1] * height / picture.shape[0])
    flags = cv2.INTER_AREA if height < picture.shape[0] else cv2.INTER_CUBIC
    scaled = cv2.resize(picture, (width, height), interpolation=flags)
    return np.asarray(np.round(np.clip(scaled, 0, 1) * 255), np.uint8)
