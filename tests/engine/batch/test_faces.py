"""A scribble painted once on one photo of a cat, on every other one's eyes; here, and through a server."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from engine_process import EngineProcess
from numpy.typing import NDArray
from PIL import Image
from serving.served import Served

from chelsea import chelsea_turned
from gan_edit_engine.cli.install import engine_program
from gan_edit_engine.imaging.image_files import Picture, read_picture, write_png
from gan_edit_engine.serving import keys
from gan_edit_protocol import connection

pytestmark = pytest.mark.slow

QUICK = [f"--set={each}" for each in ("steps=3", "edit_steps=3", "init_samples=1", "perceptual=efficientnet-lite0")]
ANGLES = (0, 25, -40)


@pytest.fixture
def cats(tmp_path: Path) -> list[NDArray[Any]]:
    """The same cat turned, in the folder ``cats``, and where her eyes are; with a photo without a cat.

    ``scribble.png`` lies on the first one's irises.
    """
    (tmp_path / "cats").mkdir()
    eyes = []
    for number, angle in enumerate(ANGLES):
        pixels, placed = chelsea_turned(angle)
        write_png(tmp_path / "cats" / f"{number}.png", Picture(pixels))
        eyes.append(placed.points)
    write_png(tmp_path / "cats" / "gray.png", Picture(np.full((200, 300, 3), 128, np.uint8)))
    strokes = np.zeros((*chelsea_turned(0)[0].shape[:2], 4), np.uint8)
    for x, y in eyes[0]:
        cv2.line(strokes, (int(x - 9), int(y)), (int(x + 9), int(y)), (40, 90, 230, 255), 5)
    Image.fromarray(strokes).save(tmp_path / "scribble.png")
    return eyes


def batch(folder: Path, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [*engine_program(), *map(str, words), *QUICK]
    environment = {**os.environ, **environment}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def edit(output: str) -> list[str]:
    return ["batch", "cats", "--output", output, "--task=edit", "--scribble=scribble.png", "--scribble-on=cats/0.png"]


def check(folder: Path, output: str, eyes: list[NDArray[Any]]) -> None:
    """Each cat's eyes have changed, and nothing far from them."""
    lines = {
        line["photo"]: line for line in map(json.loads, (folder / output / "report.jsonl").read_text().splitlines())
    }
    assert lines["gray.png"]["error"] == "no_face"
    for number, points in enumerate(eyes):
        assert lines[f"{number}.png"]["face"] > 0.5
        before = read_picture(folder / "cats" / f"{number}.png").pixels.astype(int)
        after = read_picture(folder / output / f"{number}.png").pixels.astype(int)
        changed = np.abs(after - before).max(axis=2) > 8
        apart = np.linalg.norm(points[1] - points[0])
        y, x = np.mgrid[0 : before.shape[0], 0 : before.shape[1]]
        away = np.min([np.hypot(x - px, y - py) for px, py in points], axis=0) / apart
        for px, py in points:
            assert changed[np.hypot(x - px, y - py) < 0.1 * apart].mean() > 0.2, number
        assert not changed[away > 0.6].any()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EngineProcess]:
    running = EngineProcess(tmp_path, "--idle-timeout", "0").wait_until_ready()
    yield running
    running.end()


def test_paint_on_one_cat_s_eyes_lies_on_all_cats_eyes(
    engine: EngineProcess, tmp_path: Path, cats: list[NDArray[Any]]
) -> None:
    done = batch(tmp_path, *edit("out"), **{connection.ENVIRONMENT_VARIABLE: str(engine.file)})
    assert done.returncode == 1, done.stderr
    assert "No cat face was found in gray.png." in done.stderr
    check(tmp_path, "out", cats)


def test_through_a_server_that_takes_one_job_at_a_time(tmp_path: Path, cats: list[NDArray[Any]]) -> None:
    pytest.importorskip("gradio")
    pytest.importorskip("gradio_client")
    key = keys.add(tmp_path / "keys", "shop")
    (tmp_path / "key").write_text(key)
    mine = {connection.ENVIRONMENT_VARIABLE: str(tmp_path / "mine" / "engine.json")}
    (tmp_path / "served").mkdir()
    served = Served(tmp_path / "served", "--token-file", str(tmp_path / "keys"), "--jobs", "1").wait_until_ready()
    try:
        connect = [*engine_program(), "connect", served.url, "--key-file", str(tmp_path / "key")]
        subprocess.run(connect, env={**os.environ, **mine}, check=True, capture_output=True)
        done = batch(tmp_path, "--engine", served.url, *edit("out"), **mine)
        assert done.returncode == 1, done.stderr
        check(tmp_path, "out", cats)
        assert not (tmp_path / "mine" / "engine.json").exists()  # no engine was started here
    finally:
        served.end()
