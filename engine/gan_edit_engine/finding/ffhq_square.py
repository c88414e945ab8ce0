"""The square of models that were trained on people's faces as FFHQ shows them.

By the eyes and the corners of the mouth, as Karras et al. 2018 ("Progressive growing of GANs", appendix C) describe it
for CelebA-HQ; FFHQ (Karras et al. 2019) and MetFaces (Karras et al. 2020) were cut in the same way.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gan_edit_protocol.geometry import Crop

Points = NDArray[np.float64]

_EYES_APART, _EYES_TO_MOUTH = 4.0, 3.6  # sides of the square: the larger of the two
_TOWARDS_MOUTH = 0.1  # from between the eyes to the square's centre, of the way to the mouth


def ffhq_square(eyes: Points, mouth: Points) -> Crop:
    """The square by both eyes [2, 2] and both corners of the mouth [2, 2], in continuous pixels.

    First comes what is left where the face is seen upright. The square has no size where all four lie on one point.
    """
    between, across = eyes.mean(axis=0), eyes[1] - eyes[0]
    down = mouth.mean(axis=0) - between
    # The eyes alone tell the angle badly of a face that looks aside: the way to the mouth says as much of it.
    along = across + (down[1], -down[0])
    size = max(_EYES_APART * math.hypot(*across), _EYES_TO_MOUTH * math.hypot(*down))
    x, y = (between + _TOWARDS_MOUTH * down).tolist()
    return Crop(x, y, size, math.degrees(math.atan2(along[1], along[0])))
