"""Frames as a file that moves: GIF, WebP or MP4."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gan_edit_protocol.errors import GanEditError

SUFFIXES = (".gif", ".webp", ".mp4", ".png")


def check_animation(path: Path) -> None:
    """Before any work: GanEditError unless ``path`` can become an animation."""
    if path.suffix.lower() not in SUFFIXES:
        raise GanEditError(
            "bad_output", f"{path} names no kind of animation.", "End it in .gif, .webp, .mp4, or .png for one strip."
        )
    if not path.parent.is_dir():
        raise GanEditError("bad_output", f"There is no folder {path.parent}.", "Make it first.")


def write_animation(path: Path, frames: NDArray[np.uint8], rate: float) -> None:
    """Write frames [N, H, W, 3], ``rate`` a second; a .png holds them side by side. GanEditError when it cannot be."""
    try:
        if path.suffix.lower() == ".png":
            Image.fromarray(np.concatenate(list(frames), axis=1)).save(path)
        elif path.suffix.lower() == ".mp4":
            _write_mp4(path, frames, rate)
        else:
            first, *others = [Image.fromarray(frame) for frame in frames]
            first.save(path, save_all=True, append_images=others, duration=round(1000 / rate), loop=0, quality=90)
    except OSError as error:
        raise GanEditError("bad_output", f"{path} cannot be written ({error}).") from None


def _write_mp4(path: Path, frames: NDArray[np.uint8], rate: float) -> None:
    height, width = frames.shape[1:3]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), rate, (width, height))
    if not writer.isOpened():
        raise GanEditError("bad_output", f"{path} cannot be written as MP4 here.", "Use .gif or .webp instead.")
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()
