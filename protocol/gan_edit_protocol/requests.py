"""What a client asks of the engine: one frozen dataclass for each thing that can be asked for."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from .arrays import Array, stacked
from .default_model import DEFAULT
from .entries import BELONGING
from .errors import GanEditError, require
from .geometry import Align, Box, Crop, Place, check_photo_size
from .latent import Latent
from .settings import EditSettings, ImagineSettings, InterpolateSettings, ProjectSettings, RandomSettings

MAX_MAP_SIDE = 256
"""Of the small maps that a :class:`LookRequest` carries."""

_START = {BELONGING: ("noise", "residual")}


@dataclass(frozen=True)
class EditRequest:
    """Follow ``scribble`` inside ``mask``: H×W×4 uint8 (counts where its alpha is above zero) and H×W uint8 selection.

    ``photo``: H×W×3 or 4 (uint8, uint16 over its full range, or float32 with 0–1 as the display range), R'G'B'(A).
    Where the model looks: ``align``, else ``crop``, else the square around the mask.
    ``place``: photo, scribble and mask are a part of the photo, the one that a :class:`LookRequest` told or more; None:
    they are all of it. Everything else, the result's place too, is in pixels of the whole photo.
    ``latent``: start from this one, with its noise maps and residual, and skip the projection, not the tuning.
    ``previews``: show somebody the pictures on the way, which else are neither drawn nor sent.
    """

    photo: Array
    scribble: Array
    mask: Array | None = None
    model: str = DEFAULT
    align: Align | None = None
    crop: Crop | None = None
    latent: Latent | None = field(default=None, metadata=_START)
    settings: EditSettings = EditSettings()
    place: Place | None = None
    previews: bool = False

    def __post_init__(self) -> None:
        _check_photo(self.photo)
        _check_place(self.place, self.photo)
        _check_mask(self.mask, self.photo)
        fits = self.scribble.dtype == "uint8" and self.scribble.shape == (*self.photo.shape[:2], 4)
        require(fits, "The scribble must be uint8 RGBA and of the photo's size.")
        _settle_start(self)


@dataclass(frozen=True)
class ProjectRequest:
    """Find the latent whose image is the photo's crop, and give back that image in the photo's place.

    ``latent``: search on from this one, with its noise maps and residual.
    ``place`` and ``previews``: as for an edit.
    """

    photo: Array
    mask: Array | None = None
    model: str = DEFAULT
    align: Align | None = None
    crop: Crop | None = None
    latent: Latent | None = field(default=None, metadata=_START)
    settings: ProjectSettings = ProjectSettings()
    place: Place | None = None
    previews: bool = False

    def __post_init__(self) -> None:
        _check_photo(self.photo)
        _check_place(self.place, self.photo)
        _check_mask(self.mask, self.photo)
        _settle_start(self)


@dataclass(frozen=True)
class RandomRequest:
    """Draw a random image of the model."""

    model: str = DEFAULT
    settings: RandomSettings = RandomSettings()


@dataclass(frozen=True)
class ImagineRequest:
    """Draw images of the model that follow ``scribble``, H×W×4 uint8 (counts where its alpha is above zero).

    The images lie on the largest square in its middle. ``previews``: as for an edit.
    """

    scribble: Array
    model: str = DEFAULT
    settings: ImagineSettings = ImagineSettings()
    previews: bool = False

    def __post_init__(self) -> None:
        rgba = self.scribble.dtype == "uint8" and len(self.scribble.shape) == 3 and self.scribble.shape[2] == 4
        require(rgba, "A scribble must be uint8, height × width × 4 channels.")


@dataclass(frozen=True)
class InterpolateRequest:
    """Make images on the way between latents, or of several latents put together.

    ``latents``: float32, K × num_ws × w_dim in w+, or K × z_dim in z; ``truncations``: float32, K, the truncation_psi
    of the image of each z, 1 where it is absent. ``first``: the number of the frame to begin with; what does not fit
    into one answer is asked for by another request. ``previews``: as for an edit.
    """

    latents: Array
    truncations: Array | None = None
    model: str = DEFAULT
    settings: InterpolateSettings = InterpolateSettings()
    first: int = 0
    previews: bool = False

    def __post_init__(self) -> None:
        require(self.first >= 0, "Frames are counted from 0.")
        well_formed = self.latents.dtype == "float32" and len(self.latents.shape) in (2, 3)
        require(well_formed, "Latents must be float32, K × num_ws × w_dim or K × z_dim.")
        if self.truncations is not None:
            one_each = self.truncations.dtype == "float32" and self.truncations.shape == self.latents.shape[:1]
            require(one_each and len(self.latents.shape) == 2, "Truncations must be float32, one for each z.")

    @classmethod
    def between(cls, latents: Sequence[Latent], model: str, settings: InterpolateSettings) -> InterpolateRequest:
        """The way on the sphere goes through z, where all ``latents`` have one; everything else through w+.

        :class:`GanEditError` when they are not all of one shape.
        """
        zs = [each.z for each in latents if each.z is not None]
        in_z = settings.mode == "spherical" and len(zs) == len(latents)
        chosen = zs if in_z else [each.ws for each in latents]
        if len({each.shape for each in chosen}) != 1:
            raise GanEditError("bad_latent", "The latents are not all of one shape.", "Use latents of one model.")
        psis = [each.truncation_psi for each in latents]
        truncations = Array("float32", (len(psis),), struct.pack(f"<{len(psis)}f", *psis)) if in_z else None
        return cls(stacked(chosen), truncations, model, settings)


@dataclass(frozen=True)
class FindRequest:
    """Find what the model knows in ``photo``, H×W×3 or 4, which may be a reduced copy.

    ``mask``: H×W uint8, what is selected or painted: of several faces the one under most of it is meant.
    """

    photo: Array
    mask: Array | None = None
    model: str = DEFAULT

    def __post_init__(self) -> None:
        _check_photo(self.photo)
        _check_mask(self.mask, self.photo)


@dataclass(frozen=True)
class LookRequest:
    """Ask which part of a photo of ``width`` × ``height`` an edit or a projection needs, before its pixels are sent.

    ``model``, ``align``, ``crop``: as the request's. ``selection``: the box around the mask; None without a mask.
    ``feather``: in percent, as the settings'. ``pixel_bytes``: what a pixel of the largest array takes.
    ``selected_map``, ``painted_map``: h×w uint8, above 0 where the whole photo, in a copy of at most ``MAX_MAP_SIDE``
    pixels a side, is selected or painted on, for what the answer tells of that.
    """

    width: int
    height: int
    model: str = DEFAULT
    align: Align | None = None
    crop: Crop | None = None
    selection: Box | None = None
    feather: float = 0.0
    pixel_bytes: int = 4
    selected_map: Array | None = None
    painted_map: Array | None = None

    def __post_init__(self) -> None:
        check_photo_size(self.width, self.height)
        for each in (self.selected_map, self.painted_map):
            small = each is None or (each.dtype == "uint8" and len(each.shape) == 2 and max(each.shape) <= MAX_MAP_SIDE)
            require(small, f"A map of a look must be uint8, h×w, with at most {MAX_MAP_SIDE} pixels a side.")
        require(1 <= self.pixel_bytes <= 16, "A pixel has 1 to 16 bytes.")


@dataclass(frozen=True)
class StatusRequest:
    """Ask for :class:`EngineStatus`; also the greeting that tells which version the other side speaks.

    ``user``: the process for whose sake the client asks, if that is to count among the engine's users.
    """

    user: int | None = None

    def __post_init__(self) -> None:
        require(self.user is None or 0 < self.user < 1 << 31, "The user of an engine must be a process's number.")


@dataclass(frozen=True)
class CancelRequest:
    """Cancel the job that this client sent under ``job``."""

    job: str


@dataclass(frozen=True)
class ShutdownRequest:
    """End the engine; jobs still waiting or running fail."""


JobRequest = EditRequest | ProjectRequest | RandomRequest | ImagineRequest | InterpolateRequest | FindRequest
Request = JobRequest | LookRequest | StatusRequest | CancelRequest | ShutdownRequest

REQUEST_TYPES: tuple[type, ...] = (
    EditRequest,
    ProjectRequest,
    RandomRequest,
    ImagineRequest,
    InterpolateRequest,
    FindRequest,
    LookRequest,
    StatusRequest,
    CancelRequest,
    ShutdownRequest,
)


def _check_photo(photo: Array) -> None:
    require(len(photo.shape) == 3 and photo.shape[2] in (3, 4), "A photo must be height × width × 3 or 4 channels.")


def _check_mask(mask: Array | None, photo: Array) -> None:
    if mask is not None:
        require(
            mask.dtype == "uint8" and mask.shape == photo.shape[:2], "The mask must be uint8 and of the photo's size."
        )


def _settle_start(request: EditRequest | ProjectRequest) -> None:
    """The start is of the request's model, and what its ws was once mapped from does not matter."""
    if request.latent is not None:
        object.__setattr__(request, "latent", request.latent.moved_to(request.latent.ws).of_model(request.model))


def _check_place(place: Place | None, photo: Array) -> None:
    if place is not None:
        height, width = photo.shape[:2]
        inside = 0 <= place.x <= place.width - width and 0 <= place.y <= place.height - height
        require(inside, "The part of the photo that came does not lie in the photo.")
