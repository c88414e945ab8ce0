"""``gan-edit batch`` as a user runs it: real processes, a real engine, a small model, and all that goes wrong."""

from __future__ import annotations

import collections
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine_process import EngineProcess, MakeEngine, wait_for
from numpy.typing import NDArray
from PIL import Image, ImageCms

import narrow_lpips
from gan_edit_engine.checkpoints import safetensors_file
from gan_edit_engine.cli.install import engine_program
from gan_edit_engine.generators import Generator
from gan_edit_engine.imaging.image_files import Picture, read_picture, write_png
from gan_edit_engine.imaging.latent_files import read_latent
from gan_edit_engine.library.models_folder import MODELS_DIR_VARIABLE
from gan_edit_protocol import connection

pytestmark = pytest.mark.slow

H, W = 48, 64
QUICK = (
    "--set",
    "steps=2",
    "--set",
    "init_samples=1",
    "--set",
    "cache=false",
    "--set",
    "perceptual=efficientnet-lite0",
)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Begin = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, tiny_generator: Generator) -> Path:
    """A model of 16 pixels, of nothing that anybody finds."""
    file = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    safetensors_file.write(file, tiny_generator, {})
    return file


@pytest.fixture
def begin() -> Iterator[Begin]:
    """As :func:`begun`; what still runs when the test ends, however it does, is killed."""
    made: list[subprocess.Popen[str]] = []

    def start(*arguments: Any, **environment: str) -> subprocess.Popen[str]:
        made.append(begun(*arguments, **environment))
        return made[-1]

    yield start
    for process in made:
        process.kill()
        process.communicate()


@pytest.fixture
def run(begin: Begin, engine: EngineProcess, model: Path, tmp_path: Path) -> Run:
    return lambda *words: finished(begin(tmp_path, engine.file, model, *words))


def begun(folder: Path, file: Path, model: Path, *words: object, **environment: str) -> subprocess.Popen[str]:
    """``gan-edit batch`` in the folder, with the engine of this connection file."""
    command = [*engine_program(), "batch", *map(str, words), "--model", str(model)]
    return subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, connection.ENVIRONMENT_VARIABLE: str(file), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def clouds(seed: int = 0, dtype: type = np.uint8, channels: int = 3) -> NDArray[Any]:
    y, x = np.mgrid[0:H, 0:W]
    noise = np.random.default_rng(seed).random((H, W, channels))
    values = 0.5 + 0.2 * np.sin(x / 9 + seed)[..., None] + 0.2 * np.cos(y / 7)[..., None] + 0.1 * (noise - 0.5)
    return (values * np.iinfo(dtype).max).astype(dtype)


def photos(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        write_png(folder / f"{number:02d}.png", Picture(clouds(number)))
    return folder


def report(folder: Path) -> list[dict[str, Any]]:
    """The whole lines."""
    file = folder / "report.jsonl"
    text = file.read_text() if file.exists() else ""
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def has_lines(folder: Path, least: int) -> bool:
    return len(report(folder)) >= least


def done_once(folder: Path, count: int) -> bool:
    """Whether the report tells of each photo exactly once, and there is a whole picture of each."""
    told = collections.Counter(line["photo"] for line in report(folder) if "error" not in line)
    for number in range(count):
        read_picture(folder / f"{number:02d}.png")
        read_latent(folder / f"{number:02d}.safetensors")
    return told == {f"{number:02d}.png": 1 for number in range(count)}


def test_a_folder_of_all_kinds_of_photos_becomes_results_and_lines(run: Run, tmp_path: Path) -> None:
    folder = photos(tmp_path / "in", 1)
    write_png(folder / "deep.png", Picture(clouds(1, np.uint16), SRGB))
    write_png(folder / "alpha.png", Picture(clouds(2, channels=4)))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.fromarray(clouds(3)).save(folder / "turned.jpg", exif=exif, quality=95)
    Image.fromarray(clouds(4)[..., 0]).save(folder / "gray.webp", lossless=True)
    (folder / "bad.jpg").write_bytes((folder / "turned.jpg").read_bytes()[:200])
    (folder / "text.png").write_text("not a picture")
    (folder / "gone.png").symlink_to("nowhere")
    (folder / "folder.png").mkdir()
    os.mkfifo(folder / "pipe.png")
    (folder / "notes.txt").write_text("no photo at all")

    first = run("in", "--output", "out", *QUICK, "--json")
    assert first.returncode == 1, first.stderr
    about = json.loads(first.stdout)
    assert (about["total"], about["done"], about["failed"]) == (10, 5, 5)
    lines = {line["photo"]: line for line in report(tmp_path / "out")}
    assert len(report(tmp_path / "out")) == 10
    assert {name: line["error"] for name, line in lines.items() if "error" in line} == {
        "bad.jpg": "bad_image",
        "text.png": "bad_image",
        "gone.png": "bad_image",
        "folder.png": "bad_image",
        "pipe.png": "bad_image",
    }
    assert all(line["message"] in first.stderr for line in lines.values() if "error" in line)
    for name, line in lines.items():
        if "error" in line:
            continue
        before, after = read_picture(folder / name), read_picture(tmp_path / "out" / line["output"])
        assert after.pixels.shape == before.pixels.shape
        assert after.pixels.dtype == before.pixels.dtype
        assert after.profile == before.profile
        assert (after.pixels != before.pixels).any()
        latent = read_latent(tmp_path / "out" / line["latent"])
        assert latent.model == "tiny"
        assert line["steps"] == 2
        assert line["psnr"] > 0
    assert read_picture(tmp_path / "out" / "turned.png").pixels.shape == (W, H, 3)
    with Image.open(tmp_path / "out" / "contact.webp") as sheet:
        assert sheet.size[0] > 1000

    told = (tmp_path / "out" / "report.jsonl").read_bytes()
    second = run("in", "--output", "out", *QUICK)
    assert second.returncode == 1
    assert "5 of 10 photos are done" in second.stdout
    assert "--retry" in second.stdout
    assert (tmp_path / "out" / "report.jsonl").read_bytes() == told

    (folder / "folder.png").rmdir()
    (folder / "pipe.png").unlink()
    for name in ("bad.jpg", "text.png", "gone.png"):
        (folder / name).unlink()
    for name in ("bad.jpg", "text.png", "gone.png", "folder.png", "pipe.png"):
        Image.fromarray(clouds(7)).save(folder / name)
    third = run("in", "--output", "out", *QUICK, "--retry", "--no-contact")
    assert third.returncode == 0, third.stderr
    assert "10 of 10 photos are done" in third.stdout

    other = run("in", "--output", "out", *QUICK, "--set", "seed=5")
    assert other.returncode == 2
    assert "the report of another batch" in other.stderr


def test_after_a_kill_the_same_command_goes_on_and_does_each_photo_once(
    begin: Begin, engine: EngineProcess, model: Path, tmp_path: Path
) -> None:
    photos(tmp_path / "in", 10)
    out = tmp_path / "out"
    words = ("in", "--output", "out", *QUICK, "--set", "steps=20")
    times: dict[str, int] = {}
    for least in (2, 5):
        process = begin(tmp_path, engine.file, model, *words)
        wait_for(partial(has_lines, out, least))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        for line in report(out):
            assert times.setdefault(line["output"], (out / line["output"]).stat().st_mtime_ns)
        for file in out.glob("*.png"):
            read_picture(file)  # whole, whether or not a line tells of it
    done = finished(begin(tmp_path, engine.file, model, *words))
    assert done.returncode == 0, done.stderr
    assert done_once(out, 10)
    assert len(report(out)) == 10
    for name, changed in times.items():
        assert (out / name).stat().st_mtime_ns == changed  # was not made again
    assert not list(out.glob(".gan-edit-*"))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_that_dies_in_a_job_costs_no_photo(
    begin: Begin, make_engine: MakeEngine, model: Path, tmp_path: Path, workers: int
) -> None:
    engine = make_engine("--idle-timeout", "0", "--workers", str(workers)).wait_until_ready()
    photos(tmp_path / "in", 6)
    process = begin(tmp_path, engine.file, model, "in", "--output", "out", *QUICK, "--set", "steps=20")
    wait_for(lambda: len(report(tmp_path / "out")) >= 1)
    for _ in range(2):
        engine.worker().kill()
        wait_for(partial(has_lines, tmp_path / "out", len(report(tmp_path / "out")) + 1))
    done = finished(process)
    assert done.returncode == 0, done.stderr
    assert done_once(tmp_path / "out", 6)


def test_an_engine_that_dies_is_started_again_and_costs_no_photo(
    begin: Begin, make_engine: MakeEngine, model: Path, tmp_path: Path
) -> None:
    engine = make_engine("--idle-timeout", "0").wait_until_ready()
    photos(tmp_path / "in", 6)
    own = {"XDG_STATE_HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    process = begin(tmp_path, engine.file, model, "in", "--output", "out", *QUICK, "--set", "steps=20", **own)
    wait_for(lambda: len(report(tmp_path / "out")) >= 1)
    engine.process.kill()
    engine.process.wait()
    done = finished(process)
    assert done.returncode == 0, done.stderr
    assert done_once(tmp_path / "out", 6)
    subprocess.run([*engine_program(), "stop", "--connection", str(engine.file)], check=True, capture_output=True)


def test_ctrl_c_ends_the_jobs_and_says_how_it_goes_on(
    begin: Begin, engine: EngineProcess, model: Path, tmp_path: Path
) -> None:
    photos(tmp_path / "in", 5)
    words = ("in", "--output", "out", *QUICK)
    process = begin(tmp_path, engine.file, model, *words, "--set", "steps=60")
    wait_for(lambda: len(report(tmp_path / "out")) >= 1)
    process.send_signal(signal.SIGINT)
    stopped = finished(process)
    assert stopped.returncode == 130
    assert "of 5 photos are done" in stopped.stderr
    assert "The same command goes on" in stopped.stderr
    lines = report(tmp_path / "out")
    assert 1 <= len(lines) < 5
    assert all("error" not in line for line in lines)
    with engine.client() as client:
        wait_for(lambda: client.status().jobs == 0)
    done = finished(begin(tmp_path, engine.file, model, *words, "--set", "steps=60"))
    assert done.returncode == 0, done.stderr
    assert done_once(tmp_path / "out", 5)


def test_two_batches_do_not_share_a_folder(begin: Begin, engine: EngineProcess, model: Path, tmp_path: Path) -> None:
    photos(tmp_path / "in", 3)
    words = ("in", "--output", "out", *QUICK, "--set", "steps=2000")
    begin(tmp_path, engine.file, model, *words)
    wait_for(lambda: (tmp_path / "out" / "report.jsonl").exists())
    other = finished(begin(tmp_path, engine.file, model, *words))
    assert other.returncode == 2
    assert "Another batch is writing to out." in other.stderr


def test_a_file_of_jobs_edits_each_photo_as_its_line_says(run: Run, tmp_path: Path) -> None:
    photos(tmp_path / "in", 3)
    strokes = np.zeros((H, W, 4), np.uint8)
    strokes[10:20, 20:30] = (20, 40, 220, 255)
    Image.fromarray(strokes).save(tmp_path / "scribble.png")
    mask = np.zeros((H, W), np.uint8)
    mask[5:30, 15:40] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    edit = {"task": "edit", "scribble": "scribble.png", "mask": "mask.png", "set": {"edit_steps": 2}}
    said = [
        {"photo": "in/00.png", "output": "blue", **edit},
        {"photo": "in/01.png", "latents": True, "crop": [32, 24, 40]},
        {"photo": "in/02.png", "output": "small", "crop": [30, 20, 2]},
        {"photo": "in/02.png", "output": "unpainted", **edit, "mask": "in/none.png"},
    ]
    (tmp_path / "jobs.jsonl").write_text("\n".join(map(json.dumps, said)))
    done = run("jobs.jsonl", "--output", "out", *QUICK)
    assert done.returncode == 1, done.stderr
    lines = {line["output"]: line for line in report(tmp_path / "out")}
    assert set(lines) == {"blue.png", "01.png", "small.png", "unpainted.png"}
    assert lines["small.png"]["error"] == "bad_crop"
    assert lines["unpainted.png"]["error"] == "bad_image"
    before, after = (read_picture(path).pixels for path in (tmp_path / "in/00.png", tmp_path / "out/blue.png"))
    np.testing.assert_array_equal(after[mask == 0], before[mask == 0])
    assert (after[mask > 0] != before[mask > 0]).any()
    changed = (read_picture(tmp_path / "out/01.png").pixels != clouds(1)).any(axis=2)
    assert changed[24, 32]
    assert not changed[:, :11].any()
    assert lines["01.png"]["crop"] == {"cx": 32, "cy": 24, "size": 40, "angle": 0}


def test_a_wrong_line_is_said_before_an_engine_is_asked_and_nothing_is_made(run: Run, tmp_path: Path) -> None:
    (tmp_path / "jobs.jsonl").write_text('{"photo": "a.jpg"}\n{"photo": "b.jpg", "task": "paint"}\n')
    refused = run("jobs.jsonl", "--output", "out")
    assert refused.returncode == 2
    assert "Line 2 of jobs.jsonl" in refused.stderr
    assert not (tmp_path / "out").exists()


def test_what_all_photos_share_is_checked_before_any_of_them(
    begin: Begin, run: Run, engine: EngineProcess, tmp_path: Path
) -> None:
    photos(tmp_path / "in", 2)
    np.savez(tmp_path / "wide.npz", direction=np.full((3, 3, 3, 3), 1.0))
    for words, said in (
        (("--task", "edit", "--scribble", "none.png"), "none.png cannot be read"),
        (("--task", "edit", "--scribble", "in/00.png"), "no transparency"),
        (("--task", "edit", "--direction", "none.npz"), "none.npz cannot be read"),
        (("--task", "edit", "--direction", "wide.npz"), "holds no direction"),
        (("--task", "edit"), "needs a scribble or a direction"),
        (("--set", "steps=x"), "steps"),
        (("--crop", "1,2"), "--crop needs"),
    ):
        refused = run("in", "--output", "out", *words)
        assert refused.returncode == 2, words
        assert said in refused.stderr
        assert report(tmp_path / "out") == []
    refused = finished(begin(tmp_path, engine.file, Path("no-such-model"), "in", "--output", "out"))
    assert refused.returncode == 2
    assert "no model or file named 'no-such-model'" in refused.stderr


def test_a_direction_of_latents_changes_each_photo_by_its_amount(
    run: Run, tmp_path: Path, tiny_generator: Generator
) -> None:
    photos(tmp_path / "in", 2)
    torch.manual_seed(3)
    with torch.no_grad():
        ws = tiny_generator.mapping(torch.randn(2, tiny_generator.z_dim))
    np.savez(tmp_path / "d.npz", direction=(ws[1] - ws[0]).numpy())
    np.savez(tmp_path / "a.npz", ws=ws[:1].numpy())
    np.savez(tmp_path / "b.npz", ws=ws[1:].numpy())
    edit = ("in", "--task", "edit", *QUICK, "--no-contact", "--output")
    for words in (
        ("one", "--direction", "d.npz"),
        ("two", "--direction", "a.npz", "--direction", "b.npz"),
        ("none", "--direction", "d.npz", "--amount", "0"),
        ("masked", "--direction", "d.npz", "--mask", "mask.png"),
    ):
        mask = np.zeros((H, W), np.uint8)
        mask[10:30, 20:40] = 255
        Image.fromarray(mask).save(tmp_path / "mask.png")
        done = run(*edit, *words)
        assert done.returncode == 0, done.stderr
    before = clouds(0).astype(int)
    one, two, none, masked = (
        read_picture(tmp_path / name / "00.png").pixels.astype(int) for name in ("one", "two", "none", "masked")
    )
    np.testing.assert_array_equal(one, two)
    assert np.abs(one - before).max() > 20
    np.testing.assert_array_equal(none, before)
    np.testing.assert_array_equal(masked[mask == 0], before[mask == 0])
    assert (masked != before).any()
    wrong = tmp_path / "wrong.npz"
    np.savez(wrong, direction=np.zeros((1, 7), np.float32))
    refused = run(*edit, "wrong", "--direction", "wrong.npz")
    assert refused.returncode == 1
    assert {line["error"] for line in report(tmp_path / "wrong")} == {"bad_latent"}


def test_an_evaluation_tells_three_figures_of_each_photo(
    begin: Begin, engine: EngineProcess, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("skimage")
    monkeypatch.setenv(MODELS_DIR_VARIABLE, str(tmp_path / "models"))
    narrow_lpips.install()
    photos(tmp_path / "in", 2)
    words = ("in", "--output", "out", "--task", "evaluate", *QUICK, "--json")
    done = finished(begin(tmp_path, engine.file, model, *words))
    assert done.returncode == 0, done.stderr
    means = json.loads(done.stdout)["mean"]
    lines = report(tmp_path / "out")
    for name in ("psnr", "ssim", "lpips"):
        assert means[name] == pytest.approx(np.mean([line[name] for line in lines]))
    for line in lines:
        image = read_picture(tmp_path / "out" / line["output"]).pixels
        assert image.shape == (16, 16, 3)
        assert line["latent"] is None
        assert line["steps"] == 2
