"""What the engine tells a client: one frozen dataclass for each thing that can happen."""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from .arrays import Array
from .entries import BELONGING
from .errors import GanEditError, JobFailedError, require, shortened
from .geometry import Align, Box, Face
from .latent import Latent

MAX_LISTED_BYTES = 32 * 1024
"""What the names of an :class:`EngineStatus` may take of its header, as JSON."""
MAX_WORKERS_BYTES = 24 * 1024
"""What its workers may."""


@dataclass(frozen=True)
class Accepted:
    """The job waits in the queue; ``ahead`` jobs have to end before it starts. Repeated when that number changes."""

    ahead: int


@dataclass(frozen=True)
class Progress:
    """Step ``step`` of ``of`` is done; ``stage`` is what is going on in a few words; ``loss`` of that step.

    ``preview``: h×w×3 uint8 picture of the crop as it is now, every few steps, where the request asks for it.
    """

    stage: str
    step: int
    of: int
    loss: float
    preview: Array | None = None


@dataclass(frozen=True)
class Notice:
    """What a person should know of a job before its long work: ``message`` is one plain sentence, ``hint`` what to do.

    The job goes on.
    """

    message: str
    hint: str = ""

    def __post_init__(self) -> None:
        _shorten(self)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


@dataclass(frozen=True)
class ResultReady:
    """The job is done.

    ``image``: h×w×(3 or 4), the photo's dtype and channels, to be placed at (``x``, ``y``) of the photo and shown
    through ``mask`` (h×w uint8: 0 keeps the photo). The image carries the edit unmasked, so that the mask can still be
    repainted. ``latent``: the result's; ``latent_start``: the ws of the projected photo, see :attr:`start`.
    ``model``, ``device``, ``perceptual`` network: what was used. ``seconds``: from start to end of the job.
    ``psnr``: dB of the projection against the crop (0 where there is none).
    """

    image: Array
    latent: Latent = field(metadata={BELONGING: ("noise", "residual", "z", "truncation_psi")})
    mask: Array | None = None
    latent_start: Array | None = None
    x: int = 0
    y: int = 0
    model: str = ""
    device: str = ""
    perceptual: str = ""
    seed: int = 0
    seconds: float = 0.0
    steps: int = 0
    psnr: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "latent", self.latent.of_model(self.model))

    @property
    def start(self) -> Latent | None:
        """The projected photo's latent, to which the result's noise maps and residual belong, too."""
        return None if self.latent_start is None else self.latent.moved_to(self.latent_start)


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
class FacesFound:
    """What was looked for is found: ``faces``, best first, in continuous pixels of the picture that came.

    ``kind``: what was looked for, as "cat face"; empty where nothing finds what the model knows. ``chosen``: the number
    of the face that is meant, the one under most of the mask, else the best; −1 where none is. ``canonical``: where a
    face's two points lie in the model's own square, whose sides are 1.
    """

    kind: str = ""
    faces: tuple[Face, ...] = ()
    chosen: int = -1
    canonical: Align | None = None

    def __post_init__(self) -> None:
        require(-1 <= self.chosen < len(self.faces), "The chosen face is none of those found.")

    @property
    def face(self) -> Face | None:
        """The one that is meant."""
        return None if self.chosen < 0 else self.faces[self.chosen]

    def told(self, selected: bool) -> str:
        """The sentence for a person who has not said where the model shall look; empty where nothing was looked for.

        ``selected``: whether there is a selection, around which the model then looks; else it looks at the whole photo.
        """
        if not self.kind:
            return ""
        if self.face is not None:
            return f"A {self.kind} was found."
        missed = f"No {self.kind} {'lies where the paint or the selection is' if self.faces else 'was found'}"
        return f"{missed}; {'the square around the selection' if selected else 'the whole photo'} is used."

    def enlarged(self, scale: float) -> FacesFound:
        """The same in a photo ``scale`` times as large."""
        return replace(self, faces=tuple(face.enlarged(scale) for face in self.faces))


@dataclass(frozen=True)
class Failed:
    """The job failed; ``message`` is one plain sentence, ``hint`` what to do. What is too long loses its middle."""

    code: str
    message: str
    hint: str = ""

    def __post_init__(self) -> None:
        _shorten(self)

    @classmethod
    def of(cls, error: GanEditError) -> Failed:
        """What an error says, for those elsewhere."""
        return cls(error.code, error.message, error.hint)

    @property
    def error(self) -> JobFailedError:
        """The same where it is heard."""
        return JobFailedError(self.code, self.message, self.hint)


@dataclass(frozen=True)
class Cancelled:
    """The job was cancelled."""


@dataclass(frozen=True)
class Look:
    """The ``part`` of the photo that the job needs; more may be sent.

    ``notes``: sentences for a person, on what of the selection and the paint lies where the model does not look.
    """

    part: Box
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class WorkerStatus:
    """``state``: starting, idle, busy or failed (it does not start; the next job tries again and says why).

    ``device``: such as ``cuda:0 (…)`` or ``cpu``, empty before the first start.
    """

    state: str = ""
    device: str = ""

    def __str__(self) -> str:
        return f"{self.state}, {self.device or 'device not known yet'}"


@dataclass(frozen=True)
class EngineStatus:
    """``workers``: what computes, one job each at a time. ``jobs``: how many wait or run.

    ``models``: the names that requests may give. Of both as many as fit a message; ``more_workers`` and
    ``more_models``: how many do not.
    """

    version: str = ""
    pid: int = 0
    workers: tuple[WorkerStatus, ...] = ()
    jobs: int = 0
    models: tuple[str, ...] = ()
    more_models: int = 0
    more_workers: int = 0

    @classmethod
    def listing(cls, models: tuple[str, ...], workers: tuple[WorkerStatus, ...], **state: Any) -> EngineStatus:
        """One with the first of ``models`` and ``workers`` that fit a message, and the numbers of the others."""
        named = _fitting(models, MAX_LISTED_BYTES)
        shown = _fitting(tuple(map(asdict, workers)), MAX_WORKERS_BYTES)
        state |= {"more_models": len(models) - named, "more_workers": len(workers) - shown}
        return cls(models=models[:named], workers=workers[:shown], **state)


Result = ResultReady | FramesReady | FacesFound
"""What a job that succeeds ends with: frames or faces where those were asked for."""
Event = Accepted | Progress | Notice | Result | Failed | Cancelled | Look | EngineStatus

FINAL_EVENTS = (ResultReady, FramesReady, FacesFound, Failed, Cancelled, Look, EngineStatus)
"""Exactly one of these ends each request."""

EVENT_TYPES: tuple[type, ...] = (Accepted, Progress, Notice, *FINAL_EVENTS)


def _fitting(items: tuple[Any, ...], size: int) -> int:
    """How many of the first of ``items`` take up to ``size`` bytes as JSON."""
    ends = itertools.accumulate(len(json.dumps(item)) + 2 for item in items)
    return sum(end <= size for end in ends)


def _shorten(event: Notice | Failed) -> None:
    for name in ("message", "hint"):
        object.__setattr__(event, name, shortened(getattr(event, name)))
