"""What was found out about a model, kept for the next engine."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from disks import full_disk
from small_generators import small_dcgan
from torch import Tensor

from gan_edit_engine.checkpoints import safetensors_file
from gan_edit_engine.inversion.axes import PROBES
from gan_edit_engine.inversion.kin import SAMPLES
from gan_edit_engine.inversion.latents import Statistics
from gan_edit_engine.inversion.optimize import result_of
from gan_edit_engine.worker import kept_statistics
from gan_edit_engine.worker.kept_statistics import read_statistics, write_statistics
from gan_edit_engine.worker.workspace import Workspace
from gan_edit_protocol.settings import EditSettings, ProjectSettings

CPU = torch.device("cpu")


@pytest.fixture
def file(tmp_path, monkeypatch, tiny_generator) -> Path:
    """A model file, and a cache of its own."""
    monkeypatch.setenv("GAN_EDIT_CACHE_DIR", str(tmp_path / "cache"))
    path = tmp_path / "tiny.safetensors"
    safetensors_file.write(path, tiny_generator, {})
    return path


def explore(file: Path, settings: ProjectSettings | None = None) -> tuple[int, Statistics]:
    """How often a freshly started engine looks at the model for an edit, and what it knows of it then."""
    looks = []
    known = result_of(Workspace(CPU).explore(str(file), settings or EditSettings()), looks.append).statistics
    return len(looks), known


def tensors(known: Statistics) -> list[Tensor]:
    assert known.axes is not None
    assert known.features is not None
    frames = [known.axes.w, known.axes.w_plus]
    return [
        *(known.mean, known.p_mean, known.p_whitening, known.basis, torch.tensor([known.std, known.w_slope])),
        *(tensor for frame in frames for tensor in (frame.axes, frame.reach)),
        *(tensor for by_side in (known.features.mean, known.features.std) for tensor in by_side.values()),
    ]


def alike(one: Statistics, other: Statistics) -> bool:
    return all(torch.equal(ours, theirs) for ours, theirs in zip(tensors(one), tensors(other), strict=True))


def test_a_freshly_started_engine_knows_what_another_found_out(file):
    looks, found = explore(file)
    again, known = explore(file)
    assert (looks, again) == (PROBES + SAMPLES, 0)
    assert alike(found, known)
    assert [*known.features.mean] == [*known.features.std] == [*found.features.mean]
    assert known.p_whitening.stride() == found.p_whitening.stride()  # or products of it would be rounded otherwise


def test_what_a_projection_found_out_an_edit_only_adds_to(file):
    result_of(Workspace(CPU).explore(str(file), ProjectSettings()))
    assert explore(file)[0] == SAMPLES
    assert explore(file)[0] == 0


def test_a_model_without_axes_is_not_explored_anew_either(file):
    safetensors_file.write(file, small_dcgan(), {})
    assert [explore(file, EditSettings(space="z"))[0] for _ in range(2)] == [SAMPLES, 0]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1000] + bytes(1000),
        lambda content: content.replace(b"axes.w_plus", b"axes.w_plux"),
        lambda content: b"",
        lambda content: b"<html>" + content,
    ],
    ids=["cut off", "a hole", "another name", "empty", "something else"],
)
def test_a_damaged_file_is_found_anew(file, damage: Callable[[bytes], bytes]):
    found = explore(file)[1]
    (kept,) = Workspace(CPU).explored.iterdir()
    kept.write_bytes(damage(kept.read_bytes()))
    looks, known = explore(file)
    assert looks == PROBES + SAMPLES
    assert alike(found, known)
    assert explore(file)[0] == 0


def test_other_weights_under_the_same_name_are_explored_themselves(file, tiny_generator):
    found = explore(file)[1]
    other = {name: value * 1.1 for name, value in tiny_generator.mapping.state_dict().items()}
    before = {name: value.clone() for name, value in tiny_generator.mapping.state_dict().items()}
    tiny_generator.mapping.load_state_dict(other)
    safetensors_file.write(file, tiny_generator, {})
    tiny_generator.mapping.load_state_dict(before)
    looks, known = explore(file)
    assert looks == PROBES + SAMPLES
    assert not torch.equal(known.mean, found.mean)


def test_each_device_has_its_own(file):
    model, _ = Workspace(CPU).model(str(file))
    folder = Workspace(CPU).explored
    files = [kept_statistics.statistics_file(folder, model, 0, torch.device(name)) for name in ("cpu", "cuda")]
    assert files[0] != files[1]
    assert kept_statistics.statistics_file(folder, model, 1, CPU) not in files


def test_a_full_disk_costs_only_the_time(file):
    with full_disk(2000):
        explore(file)
    assert list(Workspace(CPU).explored.iterdir()) == []
    assert explore(file)[0] == PROBES + SAMPLES


def test_those_that_were_not_used_for_longest_go_first(file, tmp_path, monkeypatch):
    monkeypatch.setattr(kept_statistics, "KEPT", 2)
    known = Workspace(CPU).model(str(file))[1]
    files = [tmp_path / "kept" / f"{name}.safetensors" for name in "abc"]
    for age, kept in zip((30, 20), files, strict=False):
        write_statistics(kept, known)
        os.utime(kept, (kept.stat().st_mtime - age,) * 2)
    assert read_statistics(files[0], CPU) is not None  # now it is b that was not used for longest
    write_statistics(files[2], known)
    assert sorted(path.name for path in files[0].parent.iterdir()) == ["a.safetensors", "c.safetensors"]
