"""The residual transfer: the model's small change G(w′) − G(w) laid on the photo at full resolution.

Enlarged as it is, the change of a 64-pixel model is a blur that spills over the photo's edges. So it is first
explained, window by window, as a linear function of the photo's own colours (the guided filter: He, Sun & Tang, 2013;
applied at low resolution and evaluated at high: He & Sun, "Fast Guided Filter", 2015), and the photo's edges then
carry it. The residual itself is Neural Photo Editor's (Brock et al., 2017).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from gan_edit_engine.photo import Box, Crop, Image

_RADIUS = 1  # of the windows, in model pixels
_EPSILON = 0.02**2  # variance of colour (display range 0..1) below which a window counts as flat
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)  # ITU-R BT.709
_BLACK = 0.02  # luma (0..1) that counts as black


def transfer(crop: Crop, box: Box, region: Image, guide: Image, before: Image, after: Image) -> Image:
    """The change from ``before`` to ``after`` at the photo's resolution, to be added to it: [height, width, 3].

    ``region``: the photo's pixels [height, width, 3] of ``box``; ``guide``: the photo's crop [R, R, 3]; ``before`` and
    ``after``: the model's images [R, R, 3]. All in the display range 0..1.
    """
    residual = after - before
    slopes, offsets = _fit(guide, residual)
    low, high = _local_range(residual)
    change = np.empty_like(region)
    for channel in range(residual.shape[2]):
        plane = crop.insert(offsets[..., channel], box)
        for source in range(guide.shape[2]):
            plane += crop.insert(slopes[..., channel, source], box) * region[..., source]
        # Highlights lie beyond the colours that the line was fitted to: no change there may exceed the model's own.
        change[..., channel] = np.clip(plane, crop.insert(low[..., channel], box), crop.insert(high[..., channel], box))
    return change * _shade(region, crop.insert(before @ _LUMA, box))[..., None]


def _shade(region: Image, luma_before: Image) -> Image:
    """How far [height, width] a photo pixel is as bright as the model believes, 0..1.

    Dark detail that the model does not see (a pupil, a lash) would turn into the colour that is added around it.
    """
    shade: Image = np.clip((region @ _LUMA + _BLACK) / (luma_before + _BLACK), 0.0, 1.0)
    return shade


def _fit(guide: Image, residual: Image) -> tuple[Image, Image]:
    """Slopes [R, R, 3, 3] and offsets [R, R, 3] of residual ≈ slopes · guide + offsets around each pixel."""
    mean_guide, mean_residual = _mean(guide), _mean(residual)
    covariance = _mean_product(guide, guide) - _outer(mean_guide, mean_guide)
    cross = _mean_product(residual, guide) - _outer(mean_residual, mean_guide)
    covariance += _EPSILON * np.eye(guide.shape[2], dtype=np.float32)
    slopes = np.linalg.solve(covariance, np.swapaxes(cross, -1, -2)).swapaxes(-1, -2)
    offsets = mean_residual - np.einsum("yxij,yxj->yxi", slopes, mean_guide)
    side = slopes.shape[:2]
    smooth = _mean(slopes.reshape(*side, -1)).reshape(slopes.shape)  # average over all windows that hold the pixel
    return smooth, _mean(offsets)


def _mean(image: NDArray[np.float32]) -> Image:
    size = 2 * _RADIUS + 1
    planes = [cv2.blur(image[..., i], (size, size), borderType=cv2.BORDER_REFLECT) for i in range(image.shape[2])]
    return np.stack(planes, axis=-1).astype(np.float32)


def _mean_product(a: Image, b: Image) -> Image:
    product = _outer(a, b)
    return _mean(product.reshape(*product.shape[:2], -1)).reshape(product.shape)


def _outer(a: Image, b: Image) -> Image:
    return a[..., :, None] * b[..., None, :]


def _local_range(residual: Image) -> tuple[Image, Image]:
    """The smallest and largest value within one model pixel, [R, R, 3] each."""
    kernel = np.ones((3, 3), np.uint8)
    low, high = cv2.erode(residual, kernel), cv2.dilate(residual, kernel)
    return np.asarray(low, dtype=np.float32), np.asarray(high, dtype=np.float32)
