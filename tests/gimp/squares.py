"""The square where the model looks, as it is seen on the screen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gimp.desktop import Desktop

CHOSEN = (64, 230, 89)
_ALIKE, _MANY = 12, 400


def chosen_square(desktop: Desktop, screenshot: Path) -> NDArray[np.intp]:
    """[n, 2]: x and y on the screen of what has the colour of the chosen square, once it is there."""

    def seen() -> list[NDArray[np.intp]]:
        desktop.photograph(screenshot)
        with Image.open(screenshot) as picture:
            off = np.abs(np.asarray(picture.convert("RGB")).astype(int) - CHOSEN).max(axis=2)
        found = np.argwhere(off < _ALIKE)[:, ::-1]
        return [found] if len(found) > _MANY else []

    found: NDArray[np.intp] = desktop.wait_for(seen, "the square where the model looks")[0]
    return found
