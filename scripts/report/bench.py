"""Where one model is tried: its targets, the report's perceptual network, and a trial that keeps its curve."""

from __future__ import annotations

import dataclasses
import functools
import sys
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import torch

from gan_edit_engine.inversion.invert import invert
from gan_edit_engine.inversion.optimize import Step, result_of
from gan_edit_engine.inversion.perceptual import Perceptual, load_perceptual
from gan_edit_engine.inversion.subject import Inversion, Subject, psnr
from gan_edit_engine.worker.evaluate import Judge, Score
from gan_edit_engine.worker.workspace import Workspace
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.settings import ProjectSettings
from report.targets import Target

# The layers that the report keeps.
REPORT_LAYERS = ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1")


@dataclass(frozen=True)
class Budget:
    """How much is done: optimisation ``steps`` per inversion, ``frames`` of an animation, samples as ``neighbours``."""

    steps: int = 100
    edit_steps: int = 100
    frames: int = 32
    neighbours: int = 50
    mean_of: int = 1_000


QUICK = Budget(steps=2, edit_steps=1, frames=3, neighbours=2, mean_of=10)


@dataclass(frozen=True)
class Moment:
    """One point of a trial's curve: ``seconds`` and ``evaluations`` of the loss so far; ``psnr`` in dB."""

    seconds: float
    evaluations: int
    loss: float
    psnr: float


@dataclass(frozen=True)
class Trial:
    """One inversion of ``target`` under the ``setting`` that the figure varies."""

    setting: str
    target: Target
    inversion: Inversion
    score: Score
    curve: tuple[Moment, ...]


class Bench:
    """A model by name or file, ready for trials."""

    def __init__(self, model: str, workspace: Workspace, budget: Budget, targets: Sequence[Target] = ()) -> None:
        self.name, self.workspace, self.device, self.budget = model, workspace, workspace.device, budget
        self.model, _ = workspace.model(model)
        self.projector = result_of(workspace.prepare(model, ProjectSettings(cache=False)))
        self.generator = self.projector.generator
        self.targets = tuple(targets)
        self.settings = ProjectSettings(steps=budget.steps, space=self.generator.spaces[-1], cache=False)
        self.judge = Judge(self.device)
        self._found: dict[tuple[str, ProjectSettings, Perceptual], Trial] = {}

    def trial(self, setting: str, target: Target, settings: ProjectSettings, perceptual: Perceptual) -> Trial:
        """Invert ``target``, once for all figures that ask for the same; the time is that of the search alone."""
        key = (target.name, settings, perceptual)
        if key not in self._found:
            say(f"  {setting}, {target.name}")
            self._found[key] = self._search(setting, target, settings, perceptual)
        return dataclasses.replace(self._found[key], setting=setting)

    def _search(self, setting: str, target: Target, settings: ProjectSettings, perceptual: Perceptual) -> Trial:
        # A processor may have other work to do: its own seconds are what the search costs.
        clock = time.process_time if self.device.type == "cpu" else time.perf_counter
        curve: list[Moment] = []
        started = clock()

        def keep(step: Step) -> None:
            done = (curve[-1].evaluations if curve else 0) + step.taken
            curve.append(Moment(clock() - started, done, step.loss, psnr(step.image, target.subject)))

        found = result_of(self.search(target.subject, settings, perceptual), keep)
        seconds = clock() - started
        score = self.judge.score(target.name, found.image, target.subject, seconds, found.steps)
        return Trial(setting, target, found, score, tuple(curve))

    def search(
        self, subject: Subject, settings: ProjectSettings, perceptual: Perceptual
    ) -> Generator[Step, None, Inversion]:
        """From random latents, as the report's searches: no encoder."""
        projector = dataclasses.replace(self.projector, settings=settings, perceptual=perceptual, encoder=None)
        return invert(projector, subject)

    def trials(self, setting: str, perceptual: Perceptual, **changes: object) -> list[Trial]:
        """Invert every target with the bench's settings, changed."""
        settings = ProjectSettings.from_dict({**dataclasses.asdict(self.settings), **changes})
        return [self.trial(setting, target, settings, perceptual) for target in self.targets]


def say(text: str) -> None:
    """Progress, for whoever waits."""
    print(text, file=sys.stderr, flush=True)


@functools.cache
def layers_network(layers: tuple[str, ...], device: torch.device) -> Perceptual:
    """The report's perceptual loss at ``layers``: VGG-19's where that is installed, else VGG-16's of the same names.

    GanEditError when neither network is installed.
    """
    names = " ".join(layers)
    try:
        return load_perceptual("vgg19", device, names)
    except GanEditError as error:
        if error.code != "missing_weights":
            raise
    return load_perceptual("vgg16", device, names)
