"""The figures of an evaluation mean what they say."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from PIL import Image

import narrow_lpips
from gan_edit_engine.cli import evaluate as cli_evaluate
from gan_edit_engine.imaging.image_files import photo_files
from gan_edit_engine.inversion.optimize import result_of
from gan_edit_engine.inversion.subject import Subject
from gan_edit_engine.library.models_folder import MODELS_DIR_VARIABLE
from gan_edit_engine.worker.evaluate import Judge, Score, evaluate, mean
from gan_edit_engine.worker.workspace import Workspace
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.settings import ProjectSettings

CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def _narrow_lpips(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(MODELS_DIR_VARIABLE, str(tmp_path_factory.mktemp("models")))
        narrow_lpips.install()
        yield


def test_an_image_against_itself_is_perfect_and_a_blurred_one_is_not():
    torch.manual_seed(0)
    image = torch.rand(1, 3, 64, 64) * 2 - 1
    subject = Subject(image, torch.ones(1, 1, 64, 64))
    judge = Judge(CPU)
    same = judge.score("same", image, subject, 1.0, 5)
    blurred = judge.score("blurred", torch.nn.functional.avg_pool2d(image, 3, 1, 1), subject, 1.0, 5)
    assert (same.ssim, same.lpips) == (pytest.approx(1), pytest.approx(0, abs=1e-6))
    assert same.psnr > 90
    assert blurred.psnr < 15
    assert blurred.ssim < 0.8
    assert blurred.lpips > 0.01


def test_the_mean_is_the_mean():
    scores = [Score("a", 20, 0.5, 0.1, 1, 100), Score("b", 30, 0.7, 0.3, 2, 200)]
    assert mean(scores) == Score("mean", 25, pytest.approx(0.6), pytest.approx(0.2), 1.5, 150)


def test_photos_are_projected_and_scored_one_after_the_other(tmp_path):
    for seed in (1, 2):
        pixels = np.random.default_rng(seed).integers(0, 255, (90, 128, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{seed}.png")
    (tmp_path / "notes.txt").write_text("not a photo")
    begun: list[str] = []
    files = photo_files(tmp_path)
    settings = ProjectSettings(steps=3, cache=False)
    scores = list(evaluate(files, result_of(Workspace(CPU).prepare("default", settings)), begun.append))
    assert begun == [score.photo for score in scores] == ["1.png", "2.png"]
    assert all(score.steps == 3 and score.psnr > 5 and score.seconds > 0 for score in scores)


def test_a_folder_without_photos_is_refused(tmp_path):
    with pytest.raises(GanEditError, match="no photos"):
        photo_files(tmp_path)


def test_what_is_no_picture_is_skipped_with_a_word_and_all_scores_are_kept(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 255, (90, 128, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "b.png")
    Image.fromarray(pixels).save(tmp_path / "d.tif")
    Image.fromarray(pixels[:2, :2]).save(tmp_path / "tiny.png")
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    (tmp_path / "c.png").write_bytes((tmp_path / "b.png").read_bytes()[:300])
    (tmp_path / "e.png").mkdir()
    skipped: dict[str, str] = {}
    scores = evaluate(
        photo_files(tmp_path),
        result_of(Workspace(CPU).prepare("default", ProjectSettings(steps=2, cache=False))),
        lambda name: None,
        lambda name, error: skipped.update({name: error.message}),
    )
    assert [score.photo for score in scores] == ["b.png", "d.tif"]
    assert list(skipped) == ["a.jpg", "c.png", "e.png", "tiny.png"]
    assert all(name in skipped[name] for name in ("a.jpg", "c.png", "e.png"))


@pytest.mark.parametrize("as_json", [False, True])
def test_the_command_tells_of_both(tmp_path, capsys, as_json):
    Image.fromarray(np.zeros((90, 128, 3), np.uint8)).save(tmp_path / "b.png")
    (tmp_path / "a.png").write_bytes(b"no picture")
    cli_evaluate.evaluate(photo_files(tmp_path), "default", ProjectSettings(steps=2), "cpu", as_json)
    out, err = capsys.readouterr()
    assert f"Skipped: {tmp_path / 'a.png'} is not an image." in err
    assert "b.png" in out
    if as_json:
        assert list(json.loads(out)["skipped"]) == ["a.png"]


def test_a_folder_without_any_readable_picture_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(GanEditError, match="Nothing in .* is a photo"):
        cli_evaluate.evaluate(photo_files(tmp_path), "default", ProjectSettings(steps=2), "cpu", False)
