"""Where the model looks when nobody says: at the face that was found, else at the square around the selection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gan_edit_engine.imaging.crop import AnyImage, Mask
from gan_edit_engine.library.models_folder import align_points, find_model
from gan_edit_protocol.geometry import Align, Crop

if TYPE_CHECKING:
    from gan_edit_engine.finding.find import Face


@dataclass(frozen=True)
class Looking:
    """What a request says of it, the ``face`` that was chosen if any, and the sentence that tells of it if any."""

    align: Align | None
    crop: Crop | None
    face: Face | None = None
    told: str | None = None


def find_place(photo: AnyImage, marked: Mask | None, model: str) -> Looking:
    """Look for the face that is meant: of those under ``marked`` [H, W] the one most of which is, else the best.

    Where there is none, or nothing finds what the model knows, the request says nothing.
    """
    if not _is_aligned(model):
        return Looking(None, None)
    # Imported here because it brings torch, which takes seconds to load.
    from gan_edit_engine.finding.choice import chosen_face  # noqa: PLC0415
    from gan_edit_engine.finding.registry import finder_of_model  # noqa: PLC0415

    known = finder_of_model(model)
    if known is None:
        return Looking(None, None)
    face = chosen_face(known.find(photo), marked)
    if face is None:
        return Looking(None, None, None, f"No {known.kind} was found; the square around the selection is used.")
    crop = face.crop
    told = f"A {known.kind} was found; the model looks at {crop_text(crop)}."
    return Looking(None, crop, face, told)


def crop_text(crop: Crop) -> str:
    """As ``--crop`` takes it."""
    return f"{crop.cx:.0f},{crop.cy:.0f},{crop.size:.0f},{crop.angle:.1f}"


def _is_aligned(model: str) -> bool:
    """Whether a model's file says so: only then is anything to be found. What is wrong with it, its reader says."""
    try:
        return align_points(find_model(model)) is not None
    except (OSError, ValueError, AttributeError, RecursionError):
        return False
