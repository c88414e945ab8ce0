"""Frames as a file that moves: GIF, WebP or MP4."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gan_edit_engine.system.atomic_write import check_place, replacing
from gan_edit_protocol.errors import GanEditError

SUFFIXES = (".gif", ".webp", ".mp4", ".png")
_LEAST_FRAME = 500  # bytes
_SHORTEST = {".gif": 20, ".webp": 11}
"""Milliseconds: browsers show a frame with a shorter delay for 100, because animations once asked for none at all."""
_UNIT = {".gif": 10, ".webp": 1}
"""Milliseconds in which the formats count."""
_VIDEO = (
    # As browsers play it: H.264 with a colour for each four pixels, its colours those of HD, its index in front.
    *("-an", "-c:v", "libx264", "-crf", "17", "-vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"),
    *("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-movflags", "+faststart"),
)


def check_animation(path: Path, frames: int = 1) -> None:
    """Before any work: GanEditError unless ``path`` can become an animation of so many frames."""
    if path.suffix.lower() not in SUFFIXES:
        raise GanEditError(
            "bad_output", f"{path} names no kind of animation.", "End it in .gif, .webp, .mp4, or .png for one strip."
        )
    check_place(path, frames * _LEAST_FRAME)


def honoured_rate(path: Path, rate: float) -> float:
    """``rate``, or the greatest number of images a second that viewers of this kind of animation honour."""
    shortest = _SHORTEST.get(path.suffix.lower())
    return rate if shortest is None else min(rate, 1000 / shortest)


def write_animation(path: Path, frames: NDArray[np.uint8], rate: float) -> None:
    """Write frames [N, H, W, 3], :func:`honoured_rate` of them a second, whole or not at all.

    A .png holds them side by side. GanEditError (bad_output) when it cannot be written.
    """
    suffix = path.suffix.lower()
    with replacing(path, suffix) as part:
        if suffix == ".png":
            Image.fromarray(np.concatenate(list(frames), axis=1)).save(part)
        elif suffix == ".mp4":
            _write_mp4(part, path, frames, rate)
        else:
            first, *others = [Image.fromarray(frame) for frame in frames]
            durations = _durations(len(frames), honoured_rate(path, rate), _UNIT[suffix])
            first.save(part, save_all=True, append_images=others, duration=durations, loop=0, quality=90)


def _durations(count: int, rate: float, unit: int) -> list[int]:
    """Milliseconds of each frame, multiples of ``unit`` that together are as long as the frames at ``rate``."""
    ends = np.round(np.arange(count + 1) * 1000 / rate / unit) * unit
    return [int(duration) for duration in np.diff(ends)]


def _write_mp4(file: Path, path: Path, frames: NDArray[np.uint8], rate: float) -> None:
    """Write ``file``, which the person calls ``path``."""
    height, width = frames.shape[1:3]
    given = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(rate), "-i", "-")
    try:
        program = imageio_ffmpeg.get_ffmpeg_exe()
        pixels = np.ascontiguousarray(frames).data.cast("B")
        command = [program, "-v", "error", "-y", *given, *_VIDEO, str(file)]
        failed = subprocess.run(command, input=pixels, capture_output=True, check=False).returncode != 0
    except (OSError, RuntimeError):  # there is no ffmpeg for this system, or it does not start
        failed = True
    if failed:
        with file.open("ab") as rest:
            rest.write(bytes(1 << 16))  # says what is wrong if it is the disk
        raise GanEditError("bad_output", f"{path} cannot be written as MP4 here.", "Use .gif or .webp instead.")
