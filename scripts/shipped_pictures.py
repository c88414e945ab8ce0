"""Pictures without cats that scikit-image brings along: one half to train a finder on, the other to judge it by."""

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


def shipped(names: Sequence[str]) -> Iterator[np.ndarray]:
    """The pictures [H, W, 3] uint8 of these names in scikit-image's data folder."""
    for name in names:
        with Image.open(Path(skimage.__file__).parent / "data" / name) as image:
            yield np.asarray(image.convert("RGB"))
