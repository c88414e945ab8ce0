"""A worker that computes nothing, but takes as long and says as much as one that does: what is around it shows.

As a worker process's module, or as what a Ray actor computes with ("scaling.simulated:Sleeper").
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial

from gan_edit_engine.worker import pipes
from gan_edit_protocol import wire
from gan_edit_protocol.arrays import Array
from gan_edit_protocol.events import (
    Cancelled,
    EngineStatus,
    Event,
    FacesFound,
    FramesReady,
    Progress,
    ResultReady,
    WorkerStatus,
)
from gan_edit_protocol.geometry import Align, Crop, Face
from gan_edit_protocol.latent import Latent
from gan_edit_protocol.requests import EditRequest, FindRequest, JobRequest, ProjectRequest

VARIABLE = "GAN_EDIT_SIMULATED"
PREVIEW = Array("uint8", (128, 128, 3), bytes(128 * 128 * 3))
LATENT = Latent(Array("float32", (12, 512), bytes(4 * 12 * 512)))


@dataclass(frozen=True)
class Effort:
    """Of a job: the ``seconds`` that it takes."""

    seconds: float

    def environment(self) -> dict[str, str]:
        """What a simulated worker knows it from."""
        return {VARIABLE: json.dumps(asdict(self))}


class Sleeper:
    """Takes the time that the environment says, and tells how far it is as often as a real one.

    With a preview each time, where the request asks for them.
    """

    def __init__(self, device: str | None) -> None:
        self._effort = Effort(**json.loads(os.environ[VARIABLE]))
        self._told = max(1, round(self._effort.seconds / pipes.SAID_SECONDS))

    @property
    def status(self) -> EngineStatus:
        return EngineStatus(pid=os.getpid(), workers=(WorkerStatus("idle", "simulated"),))

    def messages(self, job: str, request: JobRequest, is_cancelled: Callable[[], bool]) -> Iterator[list[bytes]]:
        """As the engine's own."""
        if isinstance(request, FindRequest):
            yield wire.encode(job, _face(request))
            return
        begun, preview = time.monotonic(), PREVIEW if getattr(request, "previews", False) else None
        for number in range(1, self._told + 1):
            # The first word comes when there is something to say.
            yield wire.encode(job, Progress("Simulating", number, self._told, 0.0, preview))
            time.sleep(max(0.0, begun + self._effort.seconds * number / self._told - time.monotonic()))
            if is_cancelled():
                yield wire.encode(job, Cancelled())
                return
        yield wire.encode(job, _result(request, time.monotonic() - begun))


def _face(request: FindRequest) -> FacesFound:
    """One in the middle."""
    height, width = request.photo.shape[:2]
    side = min(width, height) * 0.8
    eyes = Align(width / 2 - side * 0.2, height / 2, width / 2 + side * 0.2, height / 2)
    return FacesFound("cat face", (Face(eyes, Crop(width / 2, height / 2, side), 1.0),), 0, Align(0.3, 0.5, 0.7, 0.5))


def _result(request: JobRequest, seconds: float) -> Event:
    if not isinstance(request, EditRequest | ProjectRequest):
        return FramesReady(Array("uint8", (1, 1, 1, 3), bytes(3)), Array("float32", (1, 1, 1), bytes(4)))
    x, y = (0, 0) if request.place is None else (request.place.x, request.place.y)
    made = ResultReady(request.photo, LATENT, x=x, y=y, model=request.model, device="simulated", seconds=seconds)
    return replace(made, latent_start=LATENT.ws) if isinstance(request, EditRequest) else made


if __name__ == "__main__":
    pipes.serve(*pipes.take_standard_streams(), partial(Sleeper, None))
