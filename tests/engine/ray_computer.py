"""What tests' Ray actors compute with: each job says what to do by its seed, and leaves a mark of who has begun it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from gan_edit_protocol import wire
from gan_edit_protocol.arrays import Array
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.events import Cancelled, EngineStatus, FramesReady, Progress, WorkerStatus
from gan_edit_protocol.requests import JobRequest, RandomRequest

MARKS = "GAN_EDIT_TEST_MARKS"
QUICK, LONG, TOO_LARGE, DEAF = 1, 2, 3, 4


class Computer:
    def __init__(self, device: str | None) -> None:
        if device == "broken":
            raise GanEditError("bad_device", "The device 'broken' cannot be used.", "Take another.")

    @property
    def status(self) -> EngineStatus:
        return EngineStatus(workers=(WorkerStatus("idle", "made up"),))

    def messages(self, job: str, request: JobRequest, is_cancelled: Callable[[], bool]) -> Iterator[list[bytes]]:
        assert isinstance(request, RandomRequest)
        with (Path(os.environ[MARKS]) / job).open("a") as mark:
            mark.write(f"{os.getpid()}\n")
        yield wire.encode(job, Progress("Working", 1, 2, 0.5))
        if request.settings.seed == TOO_LARGE:
            raise MemoryError
        while request.settings.seed in (LONG, DEAF):
            if is_cancelled() and request.settings.seed == LONG:
                yield wire.encode(job, Cancelled())
                return
            time.sleep(0.02)
        nothing = Array("uint8", (1, 1, 1, 3), bytes(3)), Array("float32", (1, 1, 1), bytes(4))
        yield wire.encode(job, FramesReady(*nothing, seed=os.getpid()))
