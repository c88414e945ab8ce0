"""Scenes in which the queue is told what happens, by a clock of their own."""

from __future__ import annotations

from gan_edit_engine.service.events import Instruction, Send, Stimulus, Tick
from gan_edit_engine.service.job_queue import JobQueue
from gan_edit_engine.service.pool import Pool
from gan_edit_protocol.arrays import Array
from gan_edit_protocol.events import Failed, Progress, ResultReady
from gan_edit_protocol.latent import Latent
from gan_edit_protocol.requests import RandomRequest

REQUEST = RandomRequest()
RESULT = ResultReady(Array("uint8", (1, 1, 3), bytes(3)), Latent(Array("float32", (1, 1), bytes(4))))
PROGRESS = Progress("Projecting", 1, 10, 0.5)
DEATH = Failed("worker_died", "The computing process crashed.", "Try again.")
ANNA, BERT = b"anna", b"bert"


class Scene:
    """A queue with a clock of its own; ``do`` returns the instructions."""

    def __init__(self, idle_timeout: float = 0.0, pool: Pool | None = None) -> None:
        self.now = 1000.0
        self.queue = JobQueue(idle_timeout, pool)
        self.first = self.queue.start(self.now)

    def do(self, *stimuli: Stimulus) -> list[Instruction]:
        return [instruction for stimulus in stimuli for instruction in self.queue.handle(stimulus, self.now)]

    def wait(self, seconds: float, step: float = 0.05) -> list[tuple[float, Instruction]]:
        """Ticks for that long; what came of it, each with the seconds since the start of the wait."""
        start, seen = self.now, []
        while self.now < start + seconds:
            self.now += step
            seen += [(self.now - start, instruction) for instruction in self.do(Tick())]
        return seen


def sends(instructions: list[Instruction]) -> list[tuple[bytes, str, object]]:
    return [(i.client, i.job, i.event) for i in instructions if isinstance(i, Send)]


def fails(instructions: list[Instruction]) -> list[str]:
    """The codes of the failures that clients are told."""
    return [event.code for _, _, event in sends(instructions) if isinstance(event, Failed)]
