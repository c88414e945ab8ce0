"""The commands as a user runs them: real processes, a real engine, small photos and few steps."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from engine_process import EngineProcess, wait_for
from numpy.typing import NDArray
from PIL import Image, ImageCms

from default_size import LAYERS, SIDE
from gan_edit_engine import __version__
from gan_edit_engine.cli import edit as cli_edit
from gan_edit_engine.cli import interpolate as cli_interpolate
from gan_edit_engine.cli.app import main
from gan_edit_engine.cli.install import engine_program
from gan_edit_engine.imaging.arrays import from_message, to_message
from gan_edit_engine.imaging.image_files import Picture, read_picture, write_png
from gan_edit_engine.imaging.latent_files import read_latent, write_latent
from gan_edit_protocol import connection
from gan_edit_protocol.latent import Latent
from gan_edit_protocol.settings import EditSettings

ROOT = Path(__file__).resolve().parents[3]
H, W = 60, 80
QUICK = ("--set", "steps=3", "--set", "init_samples=1")
QUICK_EDIT = (*QUICK, "--set", "edit_steps=2")
RESULT_ENTRIES = {
    "seconds",
    "steps",
    "psnr",
    "model",
    "device",
    "perceptual",
    "seed",
    "output",
    "latent",
    "face",
    "notes",
}

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(engine: EngineProcess, tmp_path: Path) -> Run:
    """Runs ``gan-edit`` in the test's folder; the engine above is the one that it finds."""
    return lambda *words: gan_edit(tmp_path, engine.file, *words)


def gan_edit(folder: Path, connection_file: Path, *words: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, connection.ENVIRONMENT_VARIABLE: str(connection_file)}
    command = [*engine_program(), *map(str, words)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def photo(tmp_path: Path) -> NDArray[Any]:
    """photo.png, and with it scribble.png (a blue square) and mask.png (a larger one around it)."""
    return write_case(tmp_path, np.uint8, 3)


def write_case(folder: Path, dtype: type, channels: int, profile: bytes | None = None) -> NDArray[Any]:
    y, x = np.mgrid[0:H, 0:W]
    noise = np.random.default_rng(0).random((H, W, channels))
    values = 0.5 + 0.2 * np.sin(x / 9)[..., None] + 0.2 * np.cos(y / 7)[..., None] + 0.1 * (noise - 0.5)
    pixels = (values * np.iinfo(dtype).max).astype(dtype)
    write_png(folder / "photo.png", Picture(pixels, profile))
    scribble = np.zeros((H, W, 4), np.uint8)
    scribble[20:40, 20:40] = (0, 0, 255, 255)
    Image.fromarray(scribble).save(folder / "scribble.png")
    Image.fromarray(selection()).save(folder / "mask.png")
    return pixels


def selection() -> NDArray[np.uint8]:
    mask = np.zeros((H, W), np.uint8)
    mask[15:45, 15:45] = 255
    return mask


def edit(*more: object) -> list[object]:
    return ["edit", "photo.png", "--scribble", "scribble.png", "--mask", "mask.png", "--output", "r.png", *more]


# --- what is made -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [3, 4])
def test_an_edit_changes_the_selection_and_not_one_bit_outside_of_it(
    run: Run, tmp_path: Path, dtype: type, channels: int
) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    before = write_case(tmp_path, dtype, channels, profile)
    done = run(*edit("--json", *QUICK_EDIT))
    assert done.returncode == 0, done.stderr
    after = read_picture(tmp_path / "r.png")
    assert after.pixels.dtype == dtype
    assert after.pixels.shape == before.shape
    assert after.profile == profile
    outside = selection() == 0
    np.testing.assert_array_equal(after.pixels[outside], before[outside])
    inside = ~outside
    assert (after.pixels[inside] != before[inside]).any()
    if channels == 4:
        np.testing.assert_array_equal(after.pixels[..., 3], before[..., 3])


def test_json_is_exactly_one_object_with_the_promised_entries(run: Run, photo: NDArray[Any]) -> None:
    done = run(*edit("--json", "--seed", 5, *QUICK_EDIT))
    about = json.loads(done.stdout)
    assert set(about) == RESULT_ENTRIES
    assert (about["seed"], about["steps"], about["output"]) == (5, 5, "r.png")
    assert about["seconds"] > 0
    assert about["psnr"] > 0


def test_a_quality_is_asked_for_by_its_name_and_a_setting_that_is_given_wins(run: Run, photo: NDArray[Any]) -> None:
    done = run(*edit("--json", "--quality", "draft", "--set", "steps=3"))
    assert json.loads(done.stdout)["steps"] == 3 + EditSettings(quality="draft").edit_steps


def test_without_json_one_sentence_says_where_the_result_is(run: Run, photo: NDArray[Any]) -> None:
    done = run("project", "photo.png", "--output", "r.png", "--crop", "40,30,50,10", *QUICK)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("r.png: 3 steps in ")
    assert done.stdout.count("\n") == 1


def test_a_projection_puts_the_model_s_image_into_the_crop_only(run: Run, tmp_path: Path, photo: NDArray[Any]) -> None:
    assert run("project", "photo.png", "--output", "r.png", "--crop", "40,30,40", *QUICK).returncode == 0
    changed = (read_picture(tmp_path / "r.png").pixels != photo).any(axis=2)
    ys, xs = np.nonzero(changed)
    assert 10 <= ys.min() <= ys.max() < 50
    assert 20 <= xs.min() <= xs.max() < 60


def test_the_two_points_of_alignment_may_come_in_any_order(run: Run, tmp_path: Path, photo: NDArray[Any]) -> None:
    for name, points in (("a.png", "25,20,55,24"), ("b.png", "55,24,25,20")):
        assert run("project", "photo.png", "--output", name, "--align", points, *QUICK).returncode == 0
    a, b = (read_picture(tmp_path / name).pixels for name in ("a.png", "b.png"))
    assert (a != photo).any()
    np.testing.assert_array_equal(a, b)


def test_the_official_projector_s_latent_starts_a_projection(run: Run, tmp_path: Path, photo: NDArray[Any]) -> None:
    assert run("random", "--output", "r.png", "--seed", 3, "--latent", "l.st").returncode == 0
    np.savez(tmp_path / "projected_w.npz", w=from_message(read_latent(tmp_path / "l.st").ws)[None])
    latents = []
    for name in ("l.st", "projected_w.npz"):
        words = ("project", "photo.png", "--output", "p.png", "--latent", "a.st", "--set", "steps=1")
        assert run(*words, "--latent-in", name).returncode == 0
        latents.append(read_latent(tmp_path / "a.st").ws)
    assert latents[0] == latents[1]


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
@pytest.mark.parametrize("name", ["猫.png", os.fsdecode(b"\xe9\xff.png")])
def test_a_name_that_the_terminal_cannot_print_ends_no_command(
    engine: EngineProcess, tmp_path: Path, photo: NDArray[Any], encoding: str, name: str
) -> None:
    (tmp_path / "photo.png").rename(tmp_path / name)
    environment = {**os.environ, connection.ENVIRONMENT_VARIABLE: str(engine.file), "PYTHONIOENCODING": encoding}
    done = subprocess.run(
        [*engine_program(), "project", name, "--output", f"r{name}", "--latent", f"l{name}", *QUICK],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b".png: " in done.stdout
    assert done.stdout.count(b"\n") == 1
    assert b"No cat face was found" in done.stderr
    assert (tmp_path / f"r{name}").exists()
    refused = subprocess.run(
        [*engine_program(), "project", name, "--output", f"none/{name}"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        check=False,
    )
    assert refused.returncode == 2
    assert refused.stderr.count(b"\n") == 1


def test_a_saved_latent_starts_an_edit_without_a_projection(run: Run, photo: NDArray[Any]) -> None:
    assert run("project", "photo.png", "--output", "p.png", "--latent", "l.safetensors", *QUICK).returncode == 0
    about = json.loads(run(*edit("--json", "--latent-in", "l.safetensors", *QUICK_EDIT)).stdout)
    assert about["steps"] == 2


def test_a_saved_latent_starts_a_projection_and_brings_its_noise_along(
    run: Run, tmp_path: Path, photo: NDArray[Any]
) -> None:
    searched = ("--set", "optimize_noise=true", *QUICK)
    assert run("project", "photo.png", "--output", "p.png", "--latent", "a.safetensors", *searched).returncode == 0
    again = ("project", "photo.png", "--output", "p.png", "--latent-in", "a.safetensors", "--json")
    about = json.loads(run(*again, "--latent", "b.safetensors", "--set", "steps=1").stdout)
    assert about["steps"] == 1
    first, second = (read_latent(tmp_path / name) for name in ("a.safetensors", "b.safetensors"))
    assert first.noise is not None
    assert first.noise == second.noise
    assert first.ws != second.ws
    assert first.model == "cats256"


def test_saved_latents_of_random_images_know_the_way_on_the_sphere(run: Run, tmp_path: Path) -> None:
    for seed in (1, 2):
        assert run("random", "--output", f"{seed}.png", "--seed", seed, "--latent", f"{seed}.st").returncode == 0
    words = ("interpolate", "1.st", "2.st", "--output", "way.png", "--set", "mode=spherical", "--set", "frames=3")
    done = run(*words)
    assert done.returncode == 0, done.stderr
    way, first = (read_picture(tmp_path / name).pixels.astype(int) for name in ("way.png", "1.png"))
    assert np.abs(way[:, :SIDE] - first).max() <= 1


def test_a_random_image_is_the_same_for_the_same_seed(run: Run, tmp_path: Path) -> None:
    for name, seed in (("a.png", 1), ("b.png", 1), ("c.png", 2)):
        assert run("random", "--output", name, "--seed", seed, "--set", "truncation_psi=0.5").returncode == 0
    a, b, c = (read_picture(tmp_path / name).pixels for name in ("a.png", "b.png", "c.png"))
    assert a.shape == (SIDE, SIDE, 3)
    assert (a == b).all()
    assert (a != c).any()


def test_a_scribble_alone_becomes_numbered_images_with_their_latents(
    run: Run, tmp_path: Path, photo: NDArray[Any]
) -> None:
    words = ("imagine", "scribble.png", "--output", "cat.png", "--latent", "cat.safetensors", "--candidates", 2)
    done = run(*words, "--json", "--seed", 3, "--set", "samples=8", "--set", "steps=2")
    assert done.returncode == 0, done.stderr
    about = json.loads(done.stdout)
    assert (about["seed"], about["model"]) == (3, "cats256")
    found = about["candidates"]
    assert [each["output"] for each in found] == ["cat.png", "cat-2.png"]
    assert [each["latent"] for each in found] == ["cat.safetensors", "cat-2.safetensors"]
    assert all(0 < each["error"] < 1 for each in found)
    first, second = (read_picture(tmp_path / each["output"]).pixels for each in found)
    assert first.shape == (SIDE, SIDE, 3)
    assert (first != second).any()
    latents = [read_latent(tmp_path / each["latent"]) for each in found]
    assert [kept.model for kept in latents] == ["cats256"] * 2
    assert latents[0].ws != latents[1].ws


def test_an_opaque_picture_is_a_scribble_and_a_transparent_one_is_told_apart(run: Run, tmp_path: Path) -> None:
    quick = ("--candidates", 1, "--set", "samples=8", "--set", "steps=2")
    Image.new("RGB", (40, 30), (200, 120, 60)).save(tmp_path / "whole.jpg")
    done = run("imagine", "whole.jpg", "--output", "r.png", *quick)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("r.png: in ")
    Image.new("RGBA", (40, 40)).save(tmp_path / "empty.png")
    beside = Image.new("RGBA", (80, 40))
    beside.paste((255, 0, 0, 255), (0, 0, 15, 40))
    beside.save(tmp_path / "beside.png")
    for name, where in (("empty.png", ""), ("beside.png", " in the square in its middle")):
        done = run("imagine", name, "--output", "r2.png", *quick)
        assert done.returncode == 2
        assert f"Nothing is painted on the scribble{where}. Paint the colours that you want there." in done.stderr
    assert not (tmp_path / "r2.png").exists()


def test_a_jpeg_photo_gives_a_png_of_its_upright_size(run: Run, tmp_path: Path, photo: NDArray[Any]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photo).save(tmp_path / "p.jpg", exif=exif)
    assert run("project", "p.jpg", "--output", "r.png", *QUICK).returncode == 0
    assert read_picture(tmp_path / "r.png").pixels.shape == (W, H, 3)


def test_a_model_file_is_found_from_the_users_folder(run: Run, tmp_path: Path) -> None:
    source = ROOT / "engine" / "gan_edit_engine" / "data" / "cats256.safetensors"
    (tmp_path / "mine.safetensors").symlink_to(source)
    done = run("random", "--output", "r.png", "--model", "mine.safetensors", "--json")
    assert json.loads(done.stdout)["model"] == "mine"


def test_latents_of_a_file_become_images_of_a_file(run: Run, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", z=np.random.default_rng(0).standard_normal((2, 512)))
    done = run("synthesize", "default", "--input", "x.npz", "--output", "y.npz", "--noise", "none")
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "y.npz") as arrays:
        assert arrays["image"].shape == (2, 3, SIDE, SIDE)


# --- engines ------------------------------------------------------------------------------------------------------


def test_without_an_engine_a_private_one_serves_and_leaves_nothing_behind(tmp_path: Path) -> None:
    words = ("random", "--no-keep", "--output", "r.png", "--device", "cpu", "--json")
    done = gan_edit(tmp_path, tmp_path / "engine.json", *words)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["device"] == "cpu"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.png"]


def test_an_engine_that_a_command_started_serves_the_next_one(tmp_path: Path) -> None:
    file = tmp_path / "engine.json"
    try:
        pids = []
        for _ in range(2):
            done = gan_edit(tmp_path, file, "random", "--output", "r.png")
            assert done.returncode == 0, done.stderr
            pids.append(json.loads(gan_edit(tmp_path, file, "status", "--json").stdout)["pid"])
        assert pids[0] == pids[1]
    finally:
        assert gan_edit(tmp_path, file, "stop").stdout == "The engine has ended.\n"


def test_status_and_stop_tell_about_the_running_engine_and_end_it(tmp_path: Path) -> None:
    engine = EngineProcess(tmp_path).wait_until_ready()
    about = json.loads(gan_edit(tmp_path, engine.file, "status", "--json").stdout)
    assert about["running"] is True
    assert about["pid"] == engine.process.pid
    assert f"process {engine.process.pid}" in gan_edit(tmp_path, engine.file, "status").stdout
    assert gan_edit(tmp_path, engine.file, "stop").stdout == "The engine has ended.\n"
    assert engine.process.wait(10) == 0
    assert json.loads(gan_edit(tmp_path, engine.file, "status", "--json").stdout) == {"running": False}


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is a signal here")
def test_ctrl_c_cancels_the_job_and_writes_nothing(engine: EngineProcess, tmp_path: Path, photo: NDArray[Any]) -> None:
    environment = {**os.environ, connection.ENVIRONMENT_VARIABLE: str(engine.file)}
    words = [*engine_program(), *map(str, edit("--crop", "40,30,40", "--set", "steps=20000"))]
    with engine.client() as client:
        process = subprocess.Popen(words, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
        wait_for(lambda: client.status().jobs == 1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)
        assert process.returncode == 130
        assert errors.splitlines()[-1] == "gan-edit: The edit was cancelled. Nothing was changed."
        assert client.status().jobs == 0
    assert not (tmp_path / "r.png").exists()


# --- what is wrong ------------------------------------------------------------------------------------------------


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """The one line that a command ends with on standard error; it must come with exit code 2 and nothing else."""
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    out, err = capsys.readouterr()
    assert caught.value.code == 2
    assert out == ""
    assert err.startswith("gan-edit: ")
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--set", "steps=many"], "steps must be a whole number"),
        (["--set", "steps=-1"], "outside its range. Use 0 to 20000."),
        (["--quality", "great"], "Use one of draft, normal, best."),
        (["--set", "speed=1"], "known name"),
        (["--seed", "-1"], "Use 0 to 2147483647."),
        (["--align", "1,2,3"], "--align needs 4 numbers"),
        (["--align", "1,2,3,nan"], "--align needs 4 numbers"),
        (["--crop", "1,2"], "--crop needs 3 or 4 numbers"),
        (["--crop", "40,30,40", "--align", "20,20,60,20"], "--align and --crop both say where the model looks."),
        (["--mask", "corner.png"], "Nothing is painted inside the selection."),
        (["--mask", "black.png"], "The mask black.png is black"),
        (["--mask", "small.png"], "small.png is 4×4 pixels, the photo 80×60."),
        (["--scribble", "photo.png"], "has no transparency"),
        (["--scribble", "none.png"], "none.png cannot be read"),
        (["--output", "r.jpg"], "not a PNG file"),
        (["--output", "none/r.png"], "There is no folder none."),
        (["--latent-in", "photo.png"], "photo.png holds no latent"),
        (["--latent-in", "none.safetensors"], "There is no file none.safetensors."),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    tmp_path: Path,
    photo: NDArray[Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    sentence: str,
) -> None:
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "small.png")
    Image.fromarray(np.zeros((H, W), np.uint8)).save(tmp_path / "black.png")
    corner = np.zeros((H, W), np.uint8)
    corner[:10, :10] = 255
    Image.fromarray(corner).save(tmp_path / "corner.png")
    monkeypatch.chdir(tmp_path)
    assert sentence in refused(capsys, *edit(*more))


OUTPUTS = [
    ("none/r.png", "There is no folder none."),
    ("folder.png", "folder.png cannot be written (Is a directory)."),
    ("n" * 260 + ".png", "cannot be written (File name too long)."),
    ("photo.png/r.png", "There is no folder photo.png."),
]


@pytest.mark.parametrize("command", ["edit", "project", "random", "interpolate"])
@pytest.mark.parametrize("option", ["--output", "--latent"])
@pytest.mark.parametrize(("path", "sentence"), OUTPUTS)
def test_every_output_is_looked_at_before_an_engine_is(
    tmp_path: Path,
    photo: NDArray[Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    option: str,
    path: str,
    sentence: str,
) -> None:
    def start(*arguments: object) -> None:
        raise AssertionError("the work began")

    (tmp_path / "folder.png").mkdir()
    write_latent(tmp_path / "a.st", Latent(to_message(np.zeros((LAYERS, 512), np.float32))))
    monkeypatch.chdir(tmp_path)
    for module in (cli_edit, cli_interpolate):
        monkeypatch.setattr(module, "engine", start)
    before = sorted(tmp_path.iterdir())
    given = {"edit": ["photo.png", "--scribble", "scribble.png"], "project": ["photo.png"]}
    words = [command, *given.get(command, ["a.st", "a.st"] if command == "interpolate" else [])]
    outputs = {"--output": "r.png", "--latent": "l.st", option: path}
    assert sentence in refused(capsys, *words, *(word for pair in outputs.items() for word in pair))
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("path", [path for path, _ in OUTPUTS])
def test_the_output_of_synthesize_is_looked_at_before_the_model_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "photo.png").touch()
    monkeypatch.chdir(tmp_path)
    sentence = refused(capsys, "synthesize", "no-such-model", "--input", "none.npz", "--output", path)
    assert dict(OUTPUTS)[path] in sentence


def test_a_latent_does_not_replace_the_picture_that_was_just_written(
    tmp_path: Path, photo: NDArray[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "is to be written twice" in refused(capsys, *edit("--latent", tmp_path / "r.png"))


def test_a_photo_for_which_there_is_no_room_is_refused_before_the_work(
    tmp_path: Path, photo: NDArray[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1 << 30, 1 << 30, 1000))
    assert "r.png cannot be written (it takes about" in refused(capsys, *edit())


@pytest.mark.parametrize("words", [["engine"], ["random", "--output", "r.png"], ["status"], ["stop"]])
def test_a_home_that_cannot_be_written_to_is_one_sentence(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "home").touch()
    home = {"HOME": str(tmp_path / "home"), connection.ENVIRONMENT_VARIABLE: ""}
    home |= {name: str(tmp_path / "home" / "x") for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME")}
    environment = {**os.environ, **home}
    done = subprocess.run(
        [*engine_program(), *words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    assert (done.stdout + done.stderr).count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home"]


def test_an_engine_on_a_full_disk_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    program = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20)); "
    program += "from gan_edit_engine.cli.app import main; main(sys.argv[1:])"
    words = [sys.executable, "-c", program, "engine", "--connection", "engine.json"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "gan-edit: The connection file engine.json cannot be written (File too large)." in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["engine.json.lock"]


def test_a_connection_file_that_cannot_be_written_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    sentence = refused(capsys, "engine", "--connection", tmp_path / "file" / "engine.json")
    assert "engine.json cannot be written" in sentence


def test_a_photo_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.png").write_text("not a picture")
    assert "is not an image" in refused(capsys, "project", tmp_path / "p.png", "--output", tmp_path / "r.png")


def test_what_the_engine_refuses_is_one_sentence_too(run: Run) -> None:
    done = run("random", "--output", "r.png", "--model", "zebras")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "zebras" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.fixture
def own_file(tmp_path: Path) -> Iterator[Path]:
    """The connection file of an engine that a command of the test starts, and that ends with the test."""
    file = tmp_path / "engine.json"
    yield file
    gan_edit(tmp_path, file, "stop")


def test_a_device_that_is_not_there_is_one_sentence(tmp_path: Path, own_file: Path) -> None:
    done = gan_edit(tmp_path, own_file, "random", "--output", "r.png", "--device", "cuda:99")
    assert done.returncode == 2
    assert "The device 'cuda:99' cannot be used" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_full_disk_leaves_the_photo_that_the_result_was_to_replace(
    engine: EngineProcess, tmp_path: Path, photo: NDArray[Any]
) -> None:
    before = (tmp_path / "photo.png").read_bytes()
    files = sorted(tmp_path.iterdir())
    # As engine_program() runs it, in a process whose files cannot grow beyond 1,000 bytes.
    program = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)); "
    program += "from gan_edit_engine.cli.app import main; main(sys.argv[1:])"
    words = [sys.executable, "-c", program, "project", "photo.png", "--crop", "40,30,40"]
    words += ["--output", "photo.png", *QUICK]
    environment = {**os.environ, connection.ENVIRONMENT_VARIABLE: str(engine.file)}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (tmp_path / "photo.png").read_bytes() == before
    assert sorted(tmp_path.iterdir()) == files
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("gan-edit: photo.png cannot be written (File too large).")


# --- help ---------------------------------------------------------------------------------------------------------


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"gan-edit {__version__}\n"


def test_the_settings_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["settings"])
    assert "truncation_psi" in capsys.readouterr().out


def test_the_command_line_page_is_what_the_program_says_today() -> None:
    script = ROOT / "scripts" / "document_command_line.py"
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_neither_the_command_line_nor_the_service_loads_torch() -> None:
    """The engine has to answer at once, and its service must not hold half a gigabyte for nothing."""
    program = "import sys, gan_edit_engine.cli.app; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_picture_with_16_bits_is_written_so_that_others_read_16_bits(run: Run, tmp_path: Path) -> None:
    write_case(tmp_path, np.uint16, 3)
    assert run(*edit(*QUICK_EDIT)).returncode == 0
    assert cv2.imread(str(tmp_path / "r.png"), cv2.IMREAD_UNCHANGED).dtype == np.uint16
