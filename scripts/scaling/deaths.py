"""A batch whose workers are killed one after the other: what of it is lost, and what is done twice."""

from __future__ import annotations

import collections
import json
import os
import random
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import psutil

from gan_edit_engine.cli.install import engine_program
from gan_edit_protocol import connection
from scaling.engines import PROCESSES, simulated
from scaling.simulated import Effort

SIDE = 64
"""Of the photos."""


@dataclass(frozen=True)
class Counted:
    """``deaths`` of workers; of the photos those ``lost``, without a line in the report or without a result.

    ``doubled``: with several lines. ``failed``: whose line says that it failed.
    """

    photos: int
    deaths: int
    done: int
    lost: int
    doubled: int
    failed: int
    seconds: int


def batch_with_deaths(folder: Path, photos: int, every: float, workers: int, effort: Effort) -> Counted:
    """Project so many small photos with simulated ``workers``, of which one is killed ``every`` so many seconds."""
    sources, results = folder / "photos", folder / "results"
    sources.mkdir(parents=True)
    for number in range(photos):
        cv2.imwrite(str(sources / f"{number:06d}.png"), np.full((SIDE, SIDE, 3), number % 256, np.uint8))
    begun = time.monotonic()
    with simulated(PROCESSES, workers, effort) as engine:
        words = [*engine_program(), "batch", str(sources), "--output", str(results), "--no-latents", "--no-contact"]
        environment = {**os.environ, connection.ENVIRONMENT_VARIABLE: str(engine.file)}
        batch = subprocess.Popen(words, env=environment)
        deaths = _kill_until_done(batch, engine.process, every)
    return _counted(sources, results, deaths, int(time.monotonic() - begun))


def _kill_until_done(batch: subprocess.Popen[bytes], engine: psutil.Process, every: float) -> int:
    """How many were killed."""
    chance, deaths = random.Random(0), 0
    while True:
        try:
            batch.wait(every)
            return deaths
        except subprocess.TimeoutExpired:
            chance.choice(engine.children()).kill()
            deaths += 1


def _counted(sources: Path, results: Path, deaths: int, seconds: int) -> Counted:
    lines = [json.loads(line) for line in (results / "report.jsonl").read_text(encoding="utf-8").splitlines()]
    lines = [line for line in lines if "photo" in line]
    times = collections.Counter(Path(line["photo"]).stem for line in lines)
    made = collections.Counter(path.stem.split("-")[0] for path in results.rglob("*.png"))
    names = [path.stem for path in sources.iterdir()]
    failed = sum("error" in line for line in lines)
    lost = sum(not times[name] or not made[name] for name in names) - failed
    doubled = sum(times[name] > 1 or made[name] > 1 for name in names)
    return Counted(len(names), deaths, len(lines) - failed, lost, doubled, failed, seconds)
