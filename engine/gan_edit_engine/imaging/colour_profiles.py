"""Colours of one picture in the numbers of another one's colour space."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from gan_edit_engine.imaging.picture_notes import srgb_profile
from gan_edit_protocol.errors import GanEditError


def converted(colours: NDArray[np.uint8], own: bytes | None, to: bytes | None, name: str) -> NDArray[np.uint8]:
    """``colours`` [H, W, 3] of the picture ``name`` in the photo's colour space; each has an ICC profile or none.

    Without a profile of its own a picture is in the photo's space, and the photo in sRGB. GanEditError (bad_image)
    when a profile that is needed cannot be read.
    """
    if own is None or own == to:
        return colours
    source, target = _read(own, name), _read(srgb_profile() if to is None else to, "the photo")
    try:
        made = ImageCms.profileToProfile(
            Image.fromarray(np.ascontiguousarray(colours)),
            source,
            target,
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            "RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except ImageCms.PyCMSError:
        raise _damaged(f"{name} or of the photo") from None
    return np.asarray(made, dtype=np.uint8)


def _read(profile: bytes, name: str) -> ImageCms.ImageCmsProfile:
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(profile))
    except (OSError, ImageCms.PyCMSError):
        raise _damaged(name) from None


def _damaged(name: str) -> GanEditError:
    return GanEditError(
        "bad_image",
        f"The colour profile of {name} is damaged, so that nobody knows what colours are meant.",
        "Convert it to sRGB and export it again.",
    )
