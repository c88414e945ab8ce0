"""Models that change under their name while the engine runs, and models that only seem to be the same."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from small_encoders import encoder_answering
from snapshots import nvidia_pickle, small_discriminator, stylegan2_attributes

from gan_edit_engine.checkpoints import safetensors_file
from gan_edit_engine.checkpoints.encoder_file import GENERATOR_DIGEST, save_encoder
from gan_edit_engine.generators import Generator, build
from gan_edit_engine.generators.stylegan2 import StyleGAN2Config
from gan_edit_engine.imaging.arrays import from_message, to_message
from gan_edit_engine.inversion.optimize import result_of
from gan_edit_engine.library import encoders, importing, models
from gan_edit_engine.library.models_folder import MODELS_DIR_VARIABLE, file_identity
from gan_edit_engine.networks.digest import weights_digest
from gan_edit_engine.worker.perform import perform
from gan_edit_engine.worker.workspace import Workspace
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.requests import ProjectRequest, RandomRequest
from gan_edit_protocol.settings import EditSettings, ProjectSettings

CPU = torch.device("cpu")
QUICK = {"steps": 1, "perceptual_weight": 0.0}


def generator(seed: int, **changes: object) -> Generator:
    torch.manual_seed(seed)
    fields = {"z_dim": 8, "w_dim": 8, "resolution": 16, "channel_base": 128, "channel_max": 8, "mapping_layers": 1}
    return build(StyleGAN2Config(**{**fields, **changes})).requires_grad_(False).eval()


def put(folder: Path, model: Generator, name: str = "mine", **header: str) -> Path:
    path = folder / f"{name}.safetensors"
    safetensors_file.write(path, model, {"sha256": "0" * 64, **header})
    return path


def replace_unnoticed(path: Path, content: bytes) -> None:
    """In its place, with its size and its time, as a copy that keeps times leaves it."""
    before = path.stat()
    assert len(content) == before.st_size
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(MODELS_DIR_VARIABLE, str(tmp_path / "models"))
    monkeypatch.setenv("GAN_EDIT_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def drawn(workspace: Workspace, name: str = "mine") -> np.ndarray:
    *_, result = perform(RandomRequest(model=name), workspace)
    return from_message(result.image)


def steps(workspace: Workspace, name: str = "mine", **settings: object) -> int:
    """How many steps it takes to project a grey photo: none where the projection is kept."""
    grey = to_message(np.full((16, 16, 3), 128, np.uint8))
    chosen = ProjectSettings(**{**QUICK, "seed": 99, **settings})
    *_, result = perform(ProjectRequest(grey, model=name, settings=chosen), workspace)
    return int(result.steps)


def test_a_fine_tuned_model_has_projections_of_its_own(folder: Path) -> None:
    """Its header still names the file that its parent was imported from."""
    put(folder, generator(0), "parent")
    put(folder, generator(1), "child")
    workspace = Workspace(CPU)
    assert models.open_model("parent").info.sha256 == models.open_model("child").info.sha256
    assert [steps(workspace, name) for name in ("parent", "parent", "child", "child")] == [1, 0, 1, 0]


def test_what_an_import_says_of_its_source_is_true(folder: Path, tmp_path: Path) -> None:
    file = put(tmp_path, generator(1), "child", provenance="trained further")
    made = importing.import_model(file, "mine")
    assert made.sha256 != "0" * 64
    assert made.provenance == "trained further"


def test_the_same_weights_are_the_same_model_whatever_is_said_of_them(folder: Path, tmp_path: Path) -> None:
    put(folder, generator(0), "one", licence="A")
    put(folder, generator(0), "two", licence="B")
    workspace = Workspace(CPU)
    assert [steps(workspace, name, seed=5) for name in ("one", "two")] == [1, 0]


def test_the_same_weights_computed_with_otherwise_are_another_model(folder: Path) -> None:
    put(folder, generator(0), "free")
    put(folder, generator(0, conv_clamp=0.1), "clamped")
    workspace = Workspace(CPU)
    assert [steps(workspace, name, seed=6) for name in ("free", "clamped")] == [1, 1]


def test_a_replaced_model_counts_at_once_though_size_and_time_stay(folder: Path, tmp_path: Path) -> None:
    path = put(folder, generator(0))
    other = put(tmp_path, generator(1))
    workspace, earlier = Workspace(CPU), file_identity(path)
    before = drawn(workspace)
    replace_unnoticed(path, other.read_bytes())
    assert file_identity(path) != earlier
    after = drawn(workspace)
    assert not np.array_equal(before, after)
    assert np.array_equal(after, drawn(Workspace(CPU)))


def test_axes_and_statistics_are_those_of_the_model_that_is_there_now(folder: Path) -> None:
    path = put(folder, generator(0))
    workspace = Workspace(CPU)
    settings = EditSettings()
    first = result_of(workspace.explore("mine", settings)).statistics
    assert result_of(workspace.explore("mine", settings)).statistics is first
    safetensors_file.write(path, generator(1), {})
    second = result_of(workspace.explore("mine", settings)).statistics
    fresh = result_of(Workspace(CPU).explore("mine", settings)).statistics
    assert not torch.equal(first.mean, second.mean)
    assert torch.equal(second.mean, fresh.mean)
    assert torch.equal(second.axes.w.axes, fresh.axes.w.axes)
    assert all(torch.equal(second.features.mean[side], fresh.features.mean[side]) for side in fresh.features.mean)


def test_what_was_explored_while_the_model_was_replaced_is_not_taken_for_the_new_ones(folder: Path) -> None:
    path = put(folder, generator(0))
    workspace = Workspace(CPU)
    exploring = workspace.explore("mine", ProjectSettings())
    next(exploring)
    safetensors_file.write(path, generator(1), {})
    stale = result_of(exploring).statistics
    found = result_of(workspace.explore("mine", ProjectSettings())).statistics
    assert not torch.equal(found.mean, stale.mean)
    assert torch.equal(found.mean, workspace.model("mine")[1].mean)


def test_a_model_that_is_replaced_while_it_is_prepared_keeps_the_key_of_its_own_weights(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(folder, generator(0))
    workspace = Workspace(CPU)
    model, _ = workspace.model("mine")
    monkeypatch.setattr(workspace, "perceptual", lambda *_: safetensors_file.write(path, generator(1), {}))
    projector = result_of(workspace.prepare("mine", ProjectSettings(axes="own")))
    assert projector.generator is model.generator
    assert projector.key == models.weights_key(model)


def test_a_removed_model_is_gone_at_once_and_comes_back_as_what_is_imported_then(folder: Path, tmp_path: Path) -> None:
    workspace = Workspace(CPU)
    importing.import_model(put(tmp_path, generator(0), "source"), "mine")
    before = drawn(workspace)
    importing.remove_model("mine")
    with pytest.raises(GanEditError, match="no model or file named 'mine'"):
        drawn(workspace)
    importing.import_model(put(tmp_path, generator(1), "source"), "mine")
    assert not np.array_equal(before, drawn(workspace))


def test_a_replaced_encoder_counts_at_once_though_size_and_time_stay(folder: Path, tmp_path: Path) -> None:
    model = generator(0)
    put(folder, model)
    ws = model.mapping(torch.randn(1, 8, generator=torch.Generator().manual_seed(1)))[0]
    files = []
    for number, answer in enumerate((ws, ws + 1)):
        files.append(tmp_path / f"{number}.safetensors")
        save_encoder(files[-1], encoder_answering(answer), {GENERATOR_DIGEST: weights_digest(model)})
    attached = encoders.attach_encoder("mine", files[0])
    workspace, opened = Workspace(CPU), models.open_model("mine")
    first = workspace.encoder(opened, ProjectSettings())
    assert workspace.encoder(opened, ProjectSettings()) is first
    replace_unnoticed(attached, files[1].read_bytes())
    second = workspace.encoder(opened, ProjectSettings())
    assert first is not None
    assert second is not None
    assert first.sha256 != second.sha256


def test_an_encoder_does_not_stay_with_the_model_that_takes_its_models_place(folder: Path, tmp_path: Path) -> None:
    model = generator(0)
    path = put(folder, model)
    ws = model.mapping(torch.randn(1, 8, generator=torch.Generator().manual_seed(1)))[0]
    save_encoder(tmp_path / "e.safetensors", encoder_answering(ws), {GENERATOR_DIGEST: weights_digest(model)})
    encoders.attach_encoder("mine", tmp_path / "e.safetensors")
    workspace = Workspace(CPU)
    steps(workspace)
    safetensors_file.write(path, generator(1), {})
    with pytest.raises(GanEditError, match="trained for other weights"):
        steps(workspace)


def test_a_replaced_discriminator_counts_at_once_and_for_what_is_kept(folder: Path, tmp_path: Path) -> None:
    workspace = Workspace(CPU)
    settings = ProjectSettings(perceptual="discriminator")
    networks, taken = [], []
    for clamp in (None, 0.5):  # another discriminator to the same generator
        discriminator = small_discriminator(conv_clamp=clamp)
        if clamp:
            discriminator.b4.conv.weight.mul_(2)
        content = nvidia_pickle(generator(0), stylegan2_attributes(clamp), discriminator)
        (tmp_path / "snapshot.pkl").write_bytes(content)
        importing.import_model(tmp_path / "snapshot.pkl", "mine")
        networks.append(workspace.perceptual(settings, "mine"))
        assert workspace.perceptual(settings, "mine") is networks[-1]
        taken.append(steps(workspace, perceptual="discriminator", perceptual_weight=1.0, seed=7))
    assert networks[0] is not networks[1]
    assert networks[0].digest != networks[1].digest
    assert taken == [1, 1]
