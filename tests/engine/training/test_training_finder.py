"""Training a finder: it learns, goes on as if it had not been stopped, and sees each face at its best once."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import train_finder
from gan_edit_engine.training.composites import Composer
from gan_edit_engine.training.face_crops import load_faces
from gan_edit_engine.training.finder import FinderSettings, FinderTrainer, focal_loss
from gan_edit_engine.training.photos import PhotoSource
from gan_edit_engine.training.scenery import Scenery
from gan_edit_engine.training.state import RunFolder
from gan_edit_protocol.errors import SettingError

CANONICAL = ((0.29, 0.405), (0.73, 0.405))
SETTINGS = FinderSettings(batch=2, side=64, until=1000, warm_up=2, squares=8, faces=4)


def trainer(settings: FinderSettings = SETTINGS) -> FinderTrainer:
    faces = np.random.default_rng(0).integers(0, 256, (3, 128, 128, 3), np.uint8)
    scenery = Scenery([np.full((90, 80, 3), 50, np.uint8)], faces, CANONICAL)
    return FinderTrainer(settings, Composer(faces, CANONICAL, scenery), CANONICAL)


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been() -> None:
    whole, first = trainer(), trainer()
    for _ in range(3):
        expected = whole.step()
    for _ in range(2):
        first.step()
    second = trainer()
    second.load_state_dict(first.state_dict())
    assert second.step() == expected
    assert second.images == 6
    for name, value in whole.averaged.state_dict().items():
        assert torch.equal(value, second.averaged.state_dict()[name]), name


def test_the_average_follows_what_learns_and_the_frozen_layers_stay() -> None:
    run = trainer()
    before = {name: value.clone() for name, value in run.networks.state_dict().items()}
    frozen = [value.clone() for value in run.networks.frozen.buffers()]
    losses = run.step()
    assert set(losses) == {"heat", "points", "score", "shift"}
    assert all(math.isfinite(value) for value in losses.values())
    moved = [name for name, value in run.networks.state_dict().items() if not torch.equal(value, before[name])]
    assert any(name.startswith("detector") for name in moved)
    assert any(name.startswith("refiner") for name in moved)
    averaged = run.averaged.state_dict()
    assert any(not torch.equal(averaged[name], before[name]) for name in moved)
    assert all(torch.equal(one, other) for one, other in zip(frozen, run.networks.frozen.buffers(), strict=True))


def test_the_rate_falls_to_nothing_at_the_end() -> None:
    run = trainer(replace(SETTINGS, until=4))
    run.step()
    run.step()
    assert run.images == 4
    before = [parameter.clone() for parameter in run.networks.parameters()]
    run.step()
    assert all(torch.equal(one, other) for one, other in zip(before, run.networks.parameters(), strict=True))


def test_heat_that_is_right_costs_nearly_nothing_and_what_is_not_asked_nothing() -> None:
    wanted = torch.zeros(1, 4, 4)
    wanted[0, 1, 2] = 1
    right = torch.where(wanted == 1, 9.0, -9.0)
    everything = torch.ones_like(wanted)
    assert focal_loss(right, wanted, everything) < 1e-3
    assert focal_loss(-right, wanted, everything) > 10
    wrong = right.clone()
    wrong[0, 3, 3] = 9
    asked = everything.clone()
    asked[0, 3, 3] = 0
    assert focal_loss(wrong, wanted, everything) > 5
    assert focal_loss(wrong, wanted, asked) < 1e-3


def folder_of(path: Path, sizes: dict[str, int]) -> PhotoSource:
    for name, size in sizes.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (size, size), (size, 0, 0)).save(file)
    return PhotoSource(path)


def test_each_face_comes_once_at_its_largest_and_kept_out_ones_at_no_size(tmp_path: Path) -> None:
    one = folder_of(tmp_path / "one", {"128/a.png": 128, "128/b.png": 128, "64/c.png": 64, "64/tiny.png": 32})
    other = folder_of(tmp_path / "other", {"256/a.png": 250, "256/b.png": 250, "256/d.png": 250})
    faces = load_faces([one, other], exclude=["128/b.png"], side=200)
    assert faces.shape == (3, 200, 200, 3)
    assert sorted(faces[:, 0, 0, 0].tolist()) == [64, 250, 250]
    assert len(load_faces([one, other], only=["128/b.png"], side=64)) == 1


def test_no_face_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="no face"):
        load_faces([folder_of(tmp_path, {"a.png": 20})], [])


@pytest.mark.slow
def test_a_run_that_goes_on_ends_where_it_was_to_or_where_it_is_told_to_now(tmp_path: Path) -> None:
    photos = tmp_path / "faces"
    photos.mkdir()
    for i in range(3):
        pixels = np.random.default_rng(i).integers(0, 256, (128, 128, 3), np.uint8)
        Image.fromarray(pixels).save(photos / f"{i}.png")

    def seen(until: int | None) -> tuple[int, int]:
        train_finder.train(tmp_path / "run", [photos], until=until, threads=torch.get_num_threads())
        saved = RunFolder(tmp_path / "run").load()
        return saved["state"]["images"], saved["settings"]["until"]

    assert seen(16) == (16, 16)
    assert seen(None) == (16, 16)
    assert seen(32) == (32, 32)
