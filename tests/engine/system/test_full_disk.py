"""On a full disk every writer says so in one sentence, leaves the old file as it was and nothing beside it."""

from __future__ import annotations

import collections
import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from disks import full_disk

from gan_edit_engine.checkpoints import discriminator_file, safetensors_file
from gan_edit_engine.checkpoints.encoder_file import save_encoder
from gan_edit_engine.cli.synthesize import synthesize
from gan_edit_engine.generators import Discriminator, DiscriminatorConfig, Generator
from gan_edit_engine.imaging.animation import write_animation
from gan_edit_engine.imaging.arrays import to_message
from gan_edit_engine.imaging.image_files import Picture, write_png
from gan_edit_engine.imaging.latent_files import write_latent
from gan_edit_engine.inversion.precision import faster_precision
from gan_edit_engine.inversion.projection import write_projection
from gan_edit_engine.inversion.subject import Inversion
from gan_edit_engine.inversion.tuning import Delta
from gan_edit_engine.library.downloads import RECORD, known_sha256, remember_sha256
from gan_edit_engine.networks.encoder import Encoder, EncoderConfig
from gan_edit_engine.service.worker_process import WorkerProcess
from gan_edit_engine.training.samples import save_grid
from gan_edit_engine.training.state import RunFolder
from gan_edit_protocol import connection
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.latent import Latent

ROOM = 2000
OLD = bytes(range(256)) * 20
RANDOM = np.random.default_rng(3)
PIXELS = RANDOM.integers(0, 256, (64, 64, 3), dtype=np.uint8)
FRAMES = RANDOM.integers(0, 256, (6, 64, 64, 3), dtype=np.uint8)
LATENT = RANDOM.random((12, 512), dtype=np.float32)

WRITERS: dict[str, Callable[[Path], object]] = {
    "r.png": lambda path: write_png(path, Picture(PIXELS)),
    "deep.png": lambda path: write_png(path, Picture(PIXELS.astype(np.uint16) * 257)),
    "l.safetensors": lambda path: write_latent(path, Latent(to_message(LATENT))),
    "way.gif": lambda path: write_animation(path, FRAMES, 10),
    "way.webp": lambda path: write_animation(path, FRAMES, 10),
    "way.png": lambda path: write_animation(path, FRAMES, 10),
    "way.mp4": lambda path: write_animation(path, FRAMES, 10),
    "encoder.safetensors": lambda path: save_encoder(path, Encoder(EncoderConfig(6, 8, 0.5)), {}),
    "discriminator.safetensors": lambda path: discriminator_file.write(
        path, Discriminator(DiscriminatorConfig(resolution=16, channel_base=64, channel_max=8))
    ),
    "samples.png": lambda path: save_grid(path, torch.from_numpy(FRAMES).permute(0, 3, 1, 2), 3),
    "state.pt": lambda path: RunFolder(path.parent).save({"weights": torch.zeros(5000)}),
}


def assert_refused_and_intact(path: Path, write: Callable[[Path], object], room: int = ROOM) -> None:
    path.write_bytes(OLD)
    before = sorted(path.parent.rglob("*"))
    with full_disk(room), pytest.raises(Exception) as caught:
        write(path)
    assert path.read_bytes() == OLD
    assert sorted(path.parent.rglob("*")) == before
    assert isinstance(caught.value, GanEditError)
    assert caught.value.code == "bad_output"
    assert str(path) in caught.value.message
    assert "File too large" in caught.value.message
    assert caught.value.hint
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("room", [0, ROOM])
@pytest.mark.parametrize("name", WRITERS)
def test_the_old_file_is_intact_and_nothing_lies_beside_it(tmp_path: Path, name: str, room: int) -> None:
    RunFolder(tmp_path)  # its folders are there before
    assert_refused_and_intact(tmp_path / name, WRITERS[name], room)


def test_a_model_is_written_whole_or_not_at_all(tmp_path: Path, tiny_generator: Generator) -> None:
    assert_refused_and_intact(
        tmp_path / "tiny.safetensors", lambda path: safetensors_file.write(path, tiny_generator, {})
    )


def test_synthesized_images_are_written_whole_or_not_at_all(tmp_path: Path, tiny_generator: Generator) -> None:
    given = tmp_path / "given"
    given.mkdir()
    safetensors_file.write(given / "tiny.safetensors", tiny_generator, {})
    np.savez(given / "z.npz", z=np.zeros((1, 32), np.float32))
    (tmp_path / "out").mkdir()
    assert_refused_and_intact(
        tmp_path / "out" / "y.npz", lambda path: synthesize(given / "tiny.safetensors", given / "z.npz", path)
    )


def test_the_record_of_known_files_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    remember_sha256(tmp_path, "https://a", "1")
    with full_disk(ROOM), pytest.raises(GanEditError, match=f"{RECORD} cannot be written"):
        remember_sha256(tmp_path, "https://b" + "b" * ROOM, "2")
    assert known_sha256(tmp_path, "https://a") == "1"
    assert [path.name for path in tmp_path.iterdir()] == [RECORD]


def test_a_training_log_on_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with full_disk(10), pytest.raises(GanEditError, match=r"log\.jsonl cannot be written \(File too large\)"):
        folder.report({"images": 1, "loss": 0.5})


def test_a_training_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(GanEditError, match="samples cannot be written"):
        RunFolder(tmp_path / "file")


def test_a_connection_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    key = "k" * 40
    with (
        full_disk(20),
        pytest.raises(GanEditError, match=r"engine\.json cannot be written \(File too large\)") as caught,
    ):
        connection.write(tmp_path / "engine.json", connection.Connection("tcp://127.0.0.1:1", key, key, key, 1))
    assert caught.value.code == "bad_connection_file"
    assert list(tmp_path.iterdir()) == []


def test_a_worker_is_heard_though_its_log_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who stops reading what it says would have it wait for that for ever."""

    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stderr", Full())
    worker = WorkerProcess.__new__(WorkerProcess)
    worker._process = SimpleNamespace(stderr=io.BytesIO(b"one\n\ntwo\n"))  # type: ignore[assignment]
    worker._log_tail = collections.deque()
    worker._copy_log()
    assert list(worker._log_tail) == ["one", "two"]


def test_a_cache_on_a_full_disk_costs_only_the_time(
    tmp_path: Path, tiny_generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "precision.json"
    old.write_text(json.dumps({"x" * ROOM: "float32"}))
    shutil.copy(old, tmp_path / "kept.safetensors")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr("gan_edit_engine.inversion.precision.speedup", lambda run, clock: 3.0)
    with full_disk(ROOM):
        assert faster_precision(tiny_generator, torch.device("cpu"), tmp_path) == "bfloat16"
        found = Inversion(torch.zeros(1, 12, 512), torch.zeros(1, 3, 16, 16), 0.0)
        write_projection(tmp_path / "kept.safetensors", found, Delta({}))
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
