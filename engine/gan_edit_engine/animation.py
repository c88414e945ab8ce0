"""Frames as a file that moves: GIF, WebP or MP4."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gan_edit_engine.atomic_write import check_place, replacing
from gan_edit_protocol.errors import GanEditError

SUFFIXES = (".gif", ".webp", ".mp4", ".png")
_LEAST_FRAME = 500  # bytes


def check_animation(path: Path, frames: int = 1) -> None:
    """Before any work: GanEditError unless ``path`` can become an animation of so many frames."""
    if path.suffix.lower() not in SUFFIXES:
        raise GanEditError(
            "bad_output", f"{path} names no kind of animation.", "End it in .gif, .webp, .mp4, or .png for one strip."
        )
    check_place(path, frames * _LEAST_FRAME)


def write_animation(path: Path, frames: NDArray[np.uint8], rate: float) -> None:
    """Write frames [N, H, W, 3], ``rate`` a second, whole or not at all; a .png holds them side by side.

    GanEditError (bad_output) when it cannot be written.
    """
    suffix = path.suffix.lower()
    with replacing(path, suffix) as part:
        if suffix == ".png":
            Image.fromarray(np.concatenate(list(frames), axis=1)).save(part)
        elif suffix == ".mp4":
            _write_mp4(part, path, frames, rate)
        else:
            first, *others = [Image.fromarray(frame) for frame in frames]
            first.save(part, save_all=True, append_images=others, duration=round(1000 / rate), loop=0, quality=90)


def _write_mp4(file: Path, path: Path, frames: NDArray[np.uint8], rate: float) -> None:
    """Write ``file``, which the person calls ``path``."""
    height, width = frames.shape[1:3]
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"mp4v"), rate, (width, height))
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    opened = writer.isOpened()
    writer.release()
    if not opened or not _is_whole_mp4(file):
        with file.open("ab") as rest:
            rest.write(bytes(1 << 16))  # OpenCV never says what is wrong; a full disk does
        raise GanEditError("bad_output", f"{path} cannot be written as MP4 here.", "Use .gif or .webp instead.")


def _is_whole_mp4(file: Path) -> bool:
    """Whether the file's boxes fill it and one is the index, which is written last (ISO/IEC 14496-12, 4.2)."""
    kinds, position, content = set(), 0, file.read_bytes()
    while position + 8 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, position)
        if size == 1 and position + 16 <= len(content):
            size = struct.unpack_from(">Q", content, position + 8)[0]
        if size < 8:
            return False
        kinds.add(kind)
        position += size
    return b"moov" in kinds and position == len(content)
