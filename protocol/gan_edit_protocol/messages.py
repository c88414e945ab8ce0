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
from .settings import EditSettings, InterpolateSettings, ProjectSettings, RandomSettings

ITEM_SIZES = {"uint8": 1, "uint16": 2, "float32": 4}
MAX_SIDE = 65_536
"""Longest side of an image in pixels; GIMP's own limit is 524,288, but no photo comes near this one."""
MAX_ARRAY_BYTES = 1 << 30
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


def _check_latent(latent: Array | None, noise: Array | None) -> None:
    if latent is not None:
        well_formed = latent.dtype == "float32" and len(latent.shape) == 2
        _require(well_formed, "A latent must be float32, num_ws × w_dim.")
    if noise is not None:
        _require(latent is not None, "Noise maps belong to a latent, and there is none.")
        _require(noise.dtype == "float32" and len(noise.shape) == 2, "Noise maps must be float32, in rows.")


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
class EditRequest:
    """Follow ``scribble`` inside ``mask``: H×W×4 uint8 (counts where its alpha is above zero) and H×W uint8 selection.

    ``photo``: H×W×3 or 4 (uint8, uint16 over its full range, or float32 with 0–1 as the display range), R'G'B'(A).
    Where the model looks: ``align``, else ``crop``, else the square around the mask.
    ``latent``: start from this w+ (num_ws × w_dim float32) and skip the projection, not the tuning; ``noise``: the maps
    that belong to it, as in :class:`ResultReady`.
    """

    photo: Array
    scribble: Array
    mask: Array | None = None
    model: str = "default"
    align: Align | None = None
    crop: Crop | None = None
    latent: Array | None = None
    noise: Array | None = None
    settings: EditSettings = EditSettings()

    def __post_init__(self) -> None:
        _check_photo(self.photo)
        _check_mask(self.mask, self.photo)
        fits = self.scribble.dtype == "uint8" and self.scribble.shape == (*self.photo.shape[:2], 4)
        _require(fits, "The scribble must be uint8 RGBA and of the photo's size.")
        _check_latent(self.latent, self.noise)


@dataclass(frozen=True)
class ProjectRequest:
    """Find the latent whose image is the photo's crop, and give back that image in the photo's place.

    ``latent``: search on from this w+ (num_ws × w_dim float32); ``noise``: the maps that belong to it.
    """

    photo: Array
    mask: Array | None = None
    model: str = "default"
    align: Align | None = None
    crop: Crop | None = None
    latent: Array | None = None
    noise: Array | None = None
    settings: ProjectSettings = ProjectSettings()

    def __post_init__(self) -> None:
        _check_photo(self.photo)
        _check_mask(self.mask, self.photo)
        _check_latent(self.latent, self.noise)


@dataclass(frozen=True)
class RandomRequest:
    """Draw a random image of the model."""

    model: str = "default"
    settings: RandomSettings = RandomSettings()


@dataclass(frozen=True)
class InterpolateRequest:
    """Make images on the way between latents, or of several latents put together.

    ``latents``: float32, K × num_ws × w_dim in w+, or K × z_dim in z; ``truncations``: float32, K, the truncation_psi
    of the image of each z, 1 where it is absent.
    """

    latents: Array
    truncations: Array | None = None
    model: str = "default"
    settings: InterpolateSettings = InterpolateSettings()

    def __post_init__(self) -> None:
        well_formed = self.latents.dtype == "float32" and len(self.latents.shape) in (2, 3)
        _require(well_formed, "Latents must be float32, K × num_ws × w_dim or K × z_dim.")
        if self.truncations is not None:
            one_each = self.truncations.dtype == "float32" and self.truncations.shape == self.latents.shape[:1]
            _require(one_each and len(self.latents.shape) == 2, "Truncations must be float32, one for each z.")


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


JobRequest = EditRequest | ProjectRequest | RandomRequest | InterpolateRequest
Request = JobRequest | StatusRequest | CancelRequest | ShutdownRequest


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
    fine, flattened one after the other, in rows of 1024 values and zeros at the end. ``z``: z_dim float32 where the
    latent is the mapping of a z, truncated by ``truncation_psi``.
    ``model``, ``device``, ``perceptual`` network: what was used. ``seconds``: from start to end of the job.
    ``psnr``: dB of the projection against the crop (0 where there is none).
    """

    image: Array
    latent: Array
    mask: Array | None = None
    latent_start: Array | None = None
    noise: Array | None = None
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
    """The job is done: ``frames`` N×H×W×3 uint8 and their ``latents`` N × num_ws × w_dim float32."""

    frames: Array
    latents: Array
    model: str = ""
    device: str = ""
    seconds: float = 0.0


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


Event = Accepted | Progress | ResultReady | FramesReady | Failed | Cancelled | EngineStatus
Result = ResultReady | FramesReady
"""What a job that succeeds ends with: frames where frames were asked for."""

FINAL_EVENTS = (ResultReady, FramesReady, Failed, Cancelled, EngineStatus)
"""Exactly one of these ends each request."""

REQUEST_TYPES: tuple[type, ...] = (
    EditRequest,
    ProjectRequest,
    RandomRequest,
    InterpolateRequest,
    StatusRequest,
    CancelRequest,
    ShutdownRequest,
)
EVERY_VERSION: tuple[type, ...] = (StatusRequest, ShutdownRequest, EngineStatus, Failed)
"""Understood whichever version the other side speaks, so that an engine can always be recognised and ended. What one
version adds to them the others leave out."""
EVENT_TYPES: tuple[type, ...] = (Accepted, Progress, ResultReady, FramesReady, Failed, Cancelled, EngineStatus)
