"""Requests and events: frozen dataclasses, one per thing that can be asked for and one per thing that can happen.

A request travels from the client to the engine, an event from the engine to the client. Photos, masks and latents are
:class:`Array`: raw bytes with a dtype and a shape, so that neither side needs the other's array library.
"""

from __future__ import annotations

import itertools
import json
import math
import reprlib
from dataclasses import dataclass, field
from typing import Any

from .errors import WireError, shortened
from .settings import EditSettings, ImagineSettings, InterpolateSettings, ProjectSettings, RandomSettings

ITEM_SIZES = {"uint8": 1, "uint16": 2, "float32": 4}
MAX_SIDE = 65_536
"""Longest side of an array."""
MAX_ARRAY_BYTES = 1 << 30
MAX_PHOTO_SIDE = 524_288
"""Longest side of a photo in pixels, GIMP's own limit. Of a photo that is larger than an array only a part travels."""
MAX_NAME = 4096
"""Longest text of a message in characters: a model may be named by a file's path, and Linux knows none longer."""
MAX_LISTED_BYTES = 32 * 1024
"""What the names of an :class:`EngineStatus` may take of its header, as JSON."""


@dataclass(frozen=True)
class Array:
    """``data`` is C-contiguous, little-endian, of ``dtype`` (uint8, uint16, float32) and ``shape``.

    Raises :class:`WireError` when made with a length that does not fit its shape.
    """

    dtype: str
    shape: tuple[int, ...]
    data: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if array_bytes(self.dtype, self.shape) != len(self.data):
            raise WireError(f"An array of shape {self.shape} and type {self.dtype} came with {len(self.data)} bytes.")


def array_bytes(dtype: str, shape: tuple[int, ...]) -> int:
    """The number of bytes an array must have; :class:`WireError` when dtype or shape are not allowed."""
    if dtype not in ITEM_SIZES:
        raise WireError(f"The array type {reprlib.repr(dtype)} is unknown.")
    if not 1 <= len(shape) <= 4 or any(not 1 <= side <= MAX_SIDE for side in shape):
        raise WireError(f"The array shape {reprlib.repr(shape)} is not allowed.")
    size = math.prod(shape) * ITEM_SIZES[dtype]
    if size > MAX_ARRAY_BYTES:
        raise WireError(f"An array of shape {shape} is larger than {MAX_ARRAY_BYTES >> 20} MiB.")
    return size


def _require(condition: bool, text: str) -> None:
    if not condition:
        raise WireError(text)


def _check_photo(photo: Array) -> None:
    _require(len(photo.shape) == 3 and photo.shape[2] in (3, 4), "A photo must be height × width × 3 or 4 channels.")


def _check_mask(mask: Array | None, photo: Array) -> None:
    if mask is not None:
        _require(
            mask.dtype == "uint8" and mask.shape == photo.shape[:2], "The mask must be uint8 and of the photo's size."
        )


def _check_latent(latent: Array | None, noise: Array | None, residual: Array | None) -> None:
    if latent is not None:
        well_formed = latent.dtype == "float32" and len(latent.shape) == 2
        _require(well_formed, "A latent must be float32, num_ws × w_dim.")
    if noise is not None:
        _require(latent is not None, "Noise maps belong to a latent, and there is none.")
        _require(noise.dtype == "float32" and len(noise.shape) == 2, "Noise maps must be float32, in rows.")
    if residual is not None:
        _require(latent is not None, "A residual belongs to a latent, and there is none.")
        _require(residual.dtype == "uint16" and len(residual.shape) == 3, "A residual must be uint16, C × S × S.")


@dataclass(frozen=True)
class Crop:
    """A square of the photo: centre (``cx``, ``cy``) and ``size`` in photo pixels, ``angle`` in degrees clockwise."""

    cx: float
    cy: float
    size: float
    angle: float = 0.0


@dataclass(frozen=True)
class Align:
    """Two points in photo pixels (for faces: the eyes) that the model's two alignment points are laid on."""

    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True)
class Box:
    """Whole pixels ``x``..``x + width``, ``y``..``y + height`` of a photo."""

    x: int
    y: int
    width: int
    height: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the box in an [H, W, …] array of the whole photo."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)


@dataclass(frozen=True)
class Place:
    """Where the pixels that travel lie: (``x``, ``y``) is their top left one in a photo of ``width`` × ``height``."""

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        _check_photo_size(self.width, self.height)


def _check_photo_size(width: int, height: int) -> None:
    _require(1 <= width <= MAX_PHOTO_SIDE and 1 <= height <= MAX_PHOTO_SIDE, "A photo of that size is not possible.")


def _check_place(place: Place | None, photo: Array) -> None:
    if place is not None:
        height, width = photo.shape[:2]
        inside = 0 <= place.x <= place.width - width and 0 <= place.y <= place.height - height
        _require(inside, "The part of the photo that came does not lie in the photo.")


@dataclass(frozen=True)
class EditRequest:
    """Follow ``scribble`` inside ``mask``: H×W×4 uint8 (counts where its alpha is above zero) and H×W uint8 selection.

    ``photo``: H×W×3 or 4 (uint8, uint16 over its full range, or float32 with 0–1 as the display range), R'G'B'(A).
    Where the model looks: ``align``, else ``crop``, else the square around the mask.
    ``place``: photo, scribble and mask are a part of the photo, the one that a :class:`LookRequest` told or more; None:
    they are all of it. Everything else, the result's place too, is in pixels of the whole photo.
    ``latent``: start from this w+ (num_ws × w_dim float32) and skip the projection, not the tuning; ``noise`` and
    ``residual``: what belongs to it, as in :class:`ResultReady`.
    """

    photo: Array
    scribble: Array
    mask: Array | None = None
    model: str = "default"
    align: Align | None = None
    crop: Crop | None = None
    latent: Array | None = None
    noise: Array | None = None
    residual: Array | None = None
    settings: EditSettings = EditSettings()
    place: Place | None = None

    def __post_init__(self) -> None:
        _check_photo(self.photo)
        _check_place(self.place, self.photo)
        _check_mask(self.mask, self.photo)
        fits = self.scribble.dtype == "uint8" and self.scribble.shape == (*self.photo.shape[:2], 4)
        _require(fits, "The scribble must be uint8 RGBA and of the photo's size.")
        _check_latent(self.latent, self.noise, self.residual)


@dataclass(frozen=True)
class ProjectRequest:
    """Find the latent whose image is the photo's crop, and give back that image in the photo's place.

    ``latent``: search on from this w+ (num_ws × w_dim float32); ``noise`` and ``residual``: what belongs to it.
    ``place``: as for an edit.
    """

    photo: Array
    mask: Array | None = None
    model: str = "default"
    align: Align | None = None
    crop: Crop | None = None
    latent: Array | None = None
    noise: Array | None = None
    residual: Array | None = None
    settings: ProjectSettings = ProjectSettings()
    place: Place | None = None

    def __post_init__(self) -> None:
        _check_photo(self.photo)
        _check_place(self.place, self.photo)
        _check_mask(self.mask, self.photo)
        _check_latent(self.latent, self.noise, self.residual)


@dataclass(frozen=True)
class RandomRequest:
    """Draw a random image of the model."""

    model: str = "default"
    settings: RandomSettings = RandomSettings()


@dataclass(frozen=True)
class ImagineRequest:
    """Draw images of the model that follow ``scribble``, H×W×4 uint8 (counts where its alpha is above zero).

    The images lie on the largest square in its middle.
    """

    scribble: Array
    model: str = "default"
    settings: ImagineSettings = ImagineSettings()

    def __post_init__(self) -> None:
        rgba = self.scribble.dtype == "uint8" and len(self.scribble.shape) == 3 and self.scribble.shape[2] == 4
        _require(rgba, "A scribble must be uint8, height × width × 4 channels.")


@dataclass(frozen=True)
class InterpolateRequest:
    """Make images on the way between latents, or of several latents put together.

    ``latents``: float32, K × num_ws × w_dim in w+, or K × z_dim in z; ``truncations``: float32, K, the truncation_psi
    of the image of each z, 1 where it is absent. ``first``: the number of the frame to begin with; what does not fit
    into one answer is asked for by another request.
    """

    latents: Array
    truncations: Array | None = None
    model: str = "default"
    settings: InterpolateSettings = InterpolateSettings()
    first: int = 0

    def __post_init__(self) -> None:
        _require(self.first >= 0, "Frames are counted from 0.")
        well_formed = self.latents.dtype == "float32" and len(self.latents.shape) in (2, 3)
        _require(well_formed, "Latents must be float32, K × num_ws × w_dim or K × z_dim.")
        if self.truncations is not None:
            one_each = self.truncations.dtype == "float32" and self.truncations.shape == self.latents.shape[:1]
            _require(one_each and len(self.latents.shape) == 2, "Truncations must be float32, one for each z.")


@dataclass(frozen=True)
class LookRequest:
    """Ask which part of a photo of ``width`` × ``height`` an edit or a projection needs, before its pixels are sent.

    ``model``, ``align``, ``crop``: as the request's. ``selection``: the box around the mask; None without a mask.
    ``feather``: in percent, as the settings'. ``pixel_bytes``: what a pixel of the largest array takes.
    """

    width: int
    height: int
    model: str = "default"
    align: Align | None = None
    crop: Crop | None = None
    selection: Box | None = None
    feather: float = 0.0
    pixel_bytes: int = 4

    def __post_init__(self) -> None:
        _check_photo_size(self.width, self.height)
        _require(1 <= self.pixel_bytes <= 16, "A pixel has 1 to 16 bytes.")


@dataclass(frozen=True)
class StatusRequest:
    """Ask for :class:`EngineStatus`; also the greeting that tells which version the other side speaks.

    ``user``: the process for whose sake the client asks, if that is to count among the engine's users.
    """

    user: int | None = None

    def __post_init__(self) -> None:
        _require(self.user is None or 0 < self.user < 1 << 31, "The user of an engine must be a process's number.")


@dataclass(frozen=True)
class CancelRequest:
    """Cancel the job that this client sent under ``job``."""

    job: str


@dataclass(frozen=True)
class ShutdownRequest:
    """End the engine; jobs still waiting or running fail."""


JobRequest = EditRequest | ProjectRequest | RandomRequest | ImagineRequest | InterpolateRequest
Request = JobRequest | LookRequest | StatusRequest | CancelRequest | ShutdownRequest


@dataclass(frozen=True)
class Accepted:
    """The job waits in the queue with ``ahead`` jobs before it; repeated while that number changes."""

    ahead: int


@dataclass(frozen=True)
class Progress:
    """Step ``step`` of ``of`` is done; ``stage`` is what is going on in a few words; ``loss`` of that step.

    ``preview``: h×w×3 uint8 picture of the crop as it is now, every few steps.
    """

    stage: str
    step: int
    of: int
    loss: float
    preview: Array | None = None


@dataclass(frozen=True)
class ResultReady:
    """The job is done.

    ``image``: h×w×(3 or 4), the photo's dtype and channels, to be placed at (``x``, ``y``) of the photo and shown
    through ``mask`` (h×w uint8: 0 keeps the photo). The image carries the edit unmasked, so that the mask can still be
    repainted. ``latent``: num_ws × w_dim float32 of the result; ``latent_start``: that of the projected photo.
    ``noise``: the noise maps that belong to the latent where they were searched too: the model's maps from coarse to
    fine, flattened one after the other, in rows of 1024 values and zeros at the end.
    ``residual``: of the model's features, which belongs to the latent too where it was searched, C × S × S: the 16 bits
    of half-precision numbers as uint16. ``z``: z_dim float32 where the latent is the mapping of a z, truncated by
    ``truncation_psi``.
    ``model``, ``device``, ``perceptual`` network: what was used. ``seconds``: from start to end of the job.
    ``psnr``: dB of the projection against the crop (0 where there is none).
    """

    image: Array
    latent: Array
    mask: Array | None = None
    latent_start: Array | None = None
    noise: Array | None = None
    residual: Array | None = None
    z: Array | None = None
    truncation_psi: float = 1.0
    x: int = 0
    y: int = 0
    model: str = ""
    device: str = ""
    perceptual: str = ""
    seed: int = 0
    seconds: float = 0.0
    steps: int = 0
    psnr: float = 0.0


@dataclass(frozen=True)
class FramesReady:
    """The job is done: ``frames`` N×H×W×3 uint8 and their ``latents`` N × num_ws × w_dim float32.

    ``first``: the number of the first of them; ``of``: how many frames there are in all. Of an :class:`ImagineRequest`
    the candidates, best first. ``errors``: float32, for each the RMS difference of its local means from the scribble's,
    0–1; None where nothing was followed.
    """

    frames: Array
    latents: Array
    errors: Array | None = None
    model: str = ""
    device: str = ""
    seed: int = 0
    seconds: float = 0.0
    first: int = 0
    of: int = 0


@dataclass(frozen=True)
class Failed:
    """The job failed; ``message`` is one plain sentence, ``hint`` what to do. What is too long loses its middle."""

    code: str
    message: str
    hint: str = ""

    def __post_init__(self) -> None:
        for name in ("message", "hint"):
            object.__setattr__(self, name, shortened(getattr(self, name)))


@dataclass(frozen=True)
class Cancelled:
    """The job was cancelled."""


@dataclass(frozen=True)
class Look:
    """The ``part`` of the photo that the job needs; more may be sent."""

    part: Box


@dataclass(frozen=True)
class EngineStatus:
    """``worker``: starting, idle, busy or failed (it does not start; the next job tries again and says why).

    ``device``: such as ``cuda:0 (…)`` or ``cpu``, empty before the first start. ``models``: the names that requests may
    give, as many of them as fit a message; ``more_models``: how many do not. ``jobs``: how many wait or run.
    """

    version: str = ""
    pid: int = 0
    worker: str = ""
    device: str = ""
    jobs: int = 0
    models: tuple[str, ...] = ()
    more_models: int = 0

    @classmethod
    def listing(cls, models: tuple[str, ...], **state: Any) -> EngineStatus:
        """One with the first of ``models`` that fit a message, and the number of the others."""
        ends = itertools.accumulate(len(json.dumps(name)) + 2 for name in models)
        fitting = sum(end <= MAX_LISTED_BYTES for end in ends)
        return cls(models=models[:fitting], more_models=len(models) - fitting, **state)


Event = Accepted | Progress | ResultReady | FramesReady | Failed | Cancelled | Look | EngineStatus
Result = ResultReady | FramesReady
"""What a job that succeeds ends with: frames where frames were asked for."""

FINAL_EVENTS = (ResultReady, FramesReady, Failed, Cancelled, Look, EngineStatus)
"""Exactly one of these ends each request."""

REQUEST_TYPES: tuple[type, ...] = (
    EditRequest,
    ProjectRequest,
    RandomRequest,
    ImagineRequest,
    InterpolateRequest,
    LookRequest,
    StatusRequest,
    CancelRequest,
    ShutdownRequest,
)
EVERY_VERSION: tuple[type, ...] = (StatusRequest, ShutdownRequest, EngineStatus, Failed)
"""Understood whichever version the other side speaks, so that an engine can always be recognised and ended. What one
version adds to them the others leave out."""
EVENT_TYPES: tuple[type, ...] = (Accepted, Progress, ResultReady, FramesReady, Failed, Cancelled, Look, EngineStatus)
