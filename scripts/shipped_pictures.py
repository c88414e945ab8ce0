"""Pictures without cats that scikit-image brings along: some to train a finder on, the others to judge it by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import skimage
from PIL import Image

TRAINED_ON = (
    *("brick.png", "camera.png", "cell.png", "coins.png", "grass.png", "hubble_deep_field.jpg", "ihc.png"),
    *("motorcycle_left.png", "page.png", "retina.jpg", "color.png"),
)
JUDGED_BY = ("astronaut.png", "coffee.png", "gravel.png", "moon.png", "rocket.jpg", "text.png", "clock_motion.png")
_FOLDER = Path(skimage.__file__).parent / "data"


def shipped(names: Sequence[str]) -> Iterator[np.ndarray]:
    """The pictures [H, W, 3] uint8 of these names in scikit-image's data folder."""
    for name in names:
        with Image.open(_FOLDER / name) as image:
            yield np.asarray(image.convert("RGB"))


def people() -> np.ndarray:
    """A hundred small faces of people beside and below each other, [250, 250, 3] uint8."""
    faces = np.load(_FOLDER / "lfw_subset.npy")[:100]
    rows = [np.hstack(list(faces[i : i + 10])) for i in range(0, 100, 10)]
    return np.repeat(np.round(np.vstack(rows)[..., None] * 255), 3, axis=2).astype(np.uint8)
