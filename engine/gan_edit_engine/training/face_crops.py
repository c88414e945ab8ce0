"""Faces to lay into pictures: aligned crops of any size, brought to one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import PurePosixPath

import cv2
import numpy as np

from gan_edit_engine.finding.pyramid import Pixels
from gan_edit_engine.training.photos import PhotoSource, square_pixels
from gan_edit_protocol.errors import SettingError

SIDE = 128
_LEAST = 64  # pixels of the smallest crops worth enlarging


def load_faces(
    sources: Sequence[PhotoSource],
    exclude: Collection[str] = (),
    only: Collection[str] | None = None,
    side: int = SIDE,
) -> Pixels:
    """The faces of folders and zip files, [N, side, side, 3], each name once: of its crops the largest.

    All but those of ``exclude``, or ``only`` some. Names count there without their folders, so that a face is kept out
    at every size it comes in.
    """
    left_out, wanted = _plain(exclude), None if only is None else _plain(only)
    largest: dict[str, np.ndarray] = {}
    sizes: dict[str, int] = {}
    for source in sources:
        for name in source.names:
            plain = PurePosixPath(name).name
            if plain in left_out or (wanted is not None and plain not in wanted):
                continue
            image = source.open(name)
            size = min(image.size)
            if size >= _LEAST and min(size, side) > sizes.get(plain, 0):
                sizes[plain] = min(size, side)
                pixels = square_pixels(image, sizes[plain]).transpose(1, 2, 0)
                largest[plain] = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_CUBIC)
    if not largest:
        raise SettingError(f"There is no face of at least {_LEAST} pixels in the photos.", "Name another folder.")
    return np.stack(list(largest.values()))


def _plain(names: Collection[str]) -> set[str]:
    return {PurePosixPath(name).name for name in names}
