"""What the worker keeps between jobs: each network once, and only those that were used last."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from small_generators import small_stylegan2
from torch import Tensor

from gan_edit_engine.checkpoints import safetensors_file
from gan_edit_engine.inversion import projection
from gan_edit_engine.inversion.subject import Inversion
from gan_edit_engine.inversion.tuning import Delta
from gan_edit_engine.library import models
from gan_edit_engine.networks.vgg import convolutions
from gan_edit_engine.worker.recent import Recent
from gan_edit_engine.worker.workspace import Workspace
from gan_edit_protocol.settings import ProjectSettings

CPU = torch.device("cpu")


def test_what_was_used_last_is_kept_and_made_once() -> None:
    recent: Recent[str, str] = Recent(2)
    made: list[str] = []

    def get(key: str) -> str:
        return recent.get(key, lambda: (made.append(key), key)[1])

    for key in "abacab":
        assert get(key) == key
    assert made == ["a", "b", "c", "b"]
    assert len(recent) == 2


def test_there_is_never_one_more_than_are_kept() -> None:
    """A model that is opened needs the room that the one which goes has taken."""
    recent: Recent[int, int] = Recent(2)
    sizes = [recent.get(key, lambda: len(recent)) for key in range(4)]
    assert sizes == [0, 1, 1, 1]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts an untrained model of that name into a models folder of its own."""
    monkeypatch.setenv("GAN_EDIT_MODELS_DIR", str(tmp_path))

    def write(name: str) -> None:
        safetensors_file.write(tmp_path / f"{name}.safetensors", small_stylegan2(), {})

    return write


def test_a_model_is_there_once_under_all_its_names_and_for_all_classes(install: Callable[[str], None], tmp_path: Path):
    install("mine")
    workspace = Workspace(CPU)
    assert workspace.model("default")[0] is workspace.model("cats256")[0]
    names = ("mine", str(tmp_path / "mine.safetensors"))
    assert len({id(workspace.model(name)[0].generator) for name in names}) == 1
    assert workspace.model("mine", 0)[0] is workspace.model("mine", 1)[0]


def test_the_models_used_last_are_kept(install: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    read = models.read_generator
    monkeypatch.setattr(models, "read_generator", lambda path: (opened.append(path.stem), read(path))[1])
    for name in "abc":
        install(name)
    workspace = Workspace(CPU)
    for name in "abacab":
        workspace.model(name)
    assert opened == ["a", "b", "c", "b"]


@pytest.fixture
def narrow_vgg19(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A VGG-19 whose layers have two channels each where torch.hub keeps the trained one, with its classifier."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    state: dict[str, Tensor] = {"classifier.0.weight": torch.zeros(1000)}
    for place in convolutions("vgg19").values():
        state[f"features.{place}.weight"] = torch.ones(2, 2 if place else 3, 3, 3)
        state[f"features.{place}.bias"] = torch.zeros(2)
    (tmp_path / "checkpoints").mkdir()
    torch.save(state, tmp_path / "checkpoints/vgg19-dcbb9e9d.pth")


@pytest.mark.usefixtures("narrow_vgg19")
def test_a_vgg_is_there_once_for_all_choices_of_its_layers() -> None:
    workspace = Workspace(CPU)
    networks = [
        workspace.perceptual(
            ProjectSettings(perceptual="vgg19", perceptual_layers=name, precision="float32"), "default"
        )
        for name in convolutions("vgg19")
    ]
    places = {
        buffer.data_ptr() for network in networks for name, buffer in network.named_buffers() if "features" in name
    }
    assert len(places) == 2 * len(convolutions("vgg19"))


def test_the_fallback_is_there_once_whatever_layers_and_precision_are_asked_for(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("GAN_EDIT_MODELS_DIR", str(tmp_path))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    workspace = Workspace(CPU)
    asked = [
        ProjectSettings(perceptual=choice, perceptual_layers=layers, precision=precision)
        for choice, layers, precision in (
            ("auto", "conv1_1", "float32"),
            ("efficientnet-lite0", "conv2_1", "bfloat16"),
        )
    ]
    assert workspace.perceptual(asked[0], "default") is workspace.perceptual(asked[1], "default")


def test_kept_projections_are_bounded_in_bytes_and_the_oldest_go_first(tmp_path: Path, monkeypatch) -> None:
    save_file({"ws": torch.zeros(1, 1, 1000)}, tmp_path / "size.safetensors")
    size = (tmp_path / "size.safetensors").stat().st_size
    (tmp_path / "size.safetensors").unlink()
    monkeypatch.setattr(projection, "KEPT_BYTES", 3 * size + 500)
    inversion = Inversion(torch.zeros(1, 1, 1000), torch.zeros(1, 3, 8, 8), 0.0)
    for number in range(6):
        file = tmp_path / "kept" / f"{number}.safetensors"
        projection.write_projection(file, inversion, Delta({}))
        os.utime(file, (number, number))
    assert sorted(path.stem for path in (tmp_path / "kept").iterdir()) == ["3", "4", "5"]


def test_what_is_computed_with_it_is_exact_and_costs_no_more_than_it_must(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    Workspace(CPU)
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.allow_tf32  # a float32 convolution of a graphics card
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen:
        torch.empty(8)
    assert "aten::fill_" not in {event.key for event in seen.key_averages()}
