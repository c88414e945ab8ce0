"""Projections that start from a model's encoder, and encoders as part of the model library."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_encoders import encoder_answering
from typer.testing import CliRunner

from default_size import LAYERS
from gan_edit_engine.checkpoints import safetensors_file
from gan_edit_engine.checkpoints.encoder_file import GENERATOR_DIGEST, save_encoder
from gan_edit_engine.cli import models as models_cli
from gan_edit_engine.generators import Generator
from gan_edit_engine.imaging.arrays import from_message, to_message
from gan_edit_engine.inversion import projection
from gan_edit_engine.inversion.latents import random_z, statistics
from gan_edit_engine.inversion.optimize import result_of
from gan_edit_engine.inversion.prepared import Projector
from gan_edit_engine.inversion.subject import Inversion, Subject
from gan_edit_engine.library import encoders, importing, models
from gan_edit_engine.library.models_folder import MODELS_DIR_VARIABLE, default_model_path, encoder_path
from gan_edit_engine.networks.digest import weights_digest
from gan_edit_engine.networks.encoder import Encoder
from gan_edit_engine.worker.perform import perform
from gan_edit_engine.worker.workspace import Workspace
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.events import Progress, ResultReady
from gan_edit_protocol.requests import ProjectRequest
from gan_edit_protocol.settings import ProjectSettings

CPU = torch.device("cpu")
STILL = {"steps": 1, "learning_rate": 1e-4, "perceptual_weight": 0.0}  # one step that hardly leaves the start


@pytest.fixture(scope="module")
def ws(tiny_generator: Generator) -> torch.Tensor:
    """A w+ whose layers differ (in their first dimension)."""
    latent = tiny_generator.mapping(random_z(tiny_generator, 1, seed=5, device=CPU))[0].clone()
    latent[:, 0] += torch.linspace(-2, 2, len(latent))
    return latent


@pytest.fixture
def run_search(tiny_generator, perceptual, ws):
    """Projects the image of ``ws`` from an encoder."""
    image = tiny_generator.synthesis(ws[None])
    subject = Subject(image, torch.ones(1, 1, 16, 16))
    spread = statistics(tiny_generator, CPU)

    def run(encoder: Encoder, **settings) -> Inversion:
        chosen = ProjectSettings(**{**STILL, "cache": False, **settings})
        projector = Projector(tiny_generator, spread, chosen, perceptual, encoders.ModelEncoder(encoder, ""))
        return result_of(projection.project(projector, subject)).inversion

    return run


# The search


def test_a_search_in_w_plus_starts_from_the_encoders_answer_layer_by_layer(run_search, ws):
    found = run_search(encoder_answering(ws), w_fraction=1.0)
    assert torch.allclose(found.ws[0], ws, atol=1e-3)
    assert found.psnr > 50
    assert found.steps == 1


def test_a_search_in_w_starts_from_the_mean_of_the_answers_layers(run_search, ws):
    found = run_search(encoder_answering(ws), space="w")
    assert torch.allclose(found.ws[0], ws.mean(dim=0).expand_as(ws), atol=1e-3)


def answer_of(encoder, side):
    """ws [1, num_ws, w_dim] for a grey picture."""
    with torch.no_grad():
        return encoder.network(torch.zeros(1, 3, side, side))


@pytest.mark.parametrize("start", ["auto", "encoder"])
def test_a_models_encoder_is_where_the_search_starts(mine, tmp_path, ws, tiny_generator, start):
    encoders.attach_encoder("mine", encoder_file(tmp_path, ws, tiny_generator))
    encoder = Workspace(CPU).encoder(models.open_model("mine"), ProjectSettings(start=start))
    assert torch.allclose(answer_of(encoder, tiny_generator.resolution)[0], ws, atol=1e-2)


@pytest.mark.parametrize("settings", [{"start": "mean"}, {"start": "best"}, {"space": "z"}, {"restarts": 4}])
def test_other_starts_several_starts_and_z_do_without_the_encoder(mine, tmp_path, ws, tiny_generator, settings):
    encoders.attach_encoder("mine", encoder_file(tmp_path, ws, tiny_generator))
    assert Workspace(CPU).encoder(models.open_model("mine"), ProjectSettings(**settings)) is None


@pytest.mark.parametrize(("settings", "words"), [({}, "has no encoder"), ({"space": "z"}, "in z")])
def test_an_encoder_that_is_asked_for_and_not_there_is_a_plain_error(mine, settings, words):
    with pytest.raises(GanEditError, match=words) as caught:
        Workspace(CPU).encoder(models.open_model("mine"), ProjectSettings(start="encoder", **settings))
    assert "start to auto" in caught.value.hint


# The library


@pytest.fixture
def mine(tmp_path: Path, tiny_generator: Generator, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models folder with one imported model, "mine"."""
    monkeypatch.setenv(MODELS_DIR_VARIABLE, str(tmp_path / "models"))
    import_as_mine(tiny_generator, tmp_path)
    return tmp_path / "models"


def import_as_mine(generator: Generator, folder: Path, dtype: torch.dtype = torch.float32) -> None:
    safetensors_file.write(folder / "some.safetensors", generator, {"provenance": str(dtype)}, dtype)
    importing.import_model(folder / "some.safetensors", "mine")


def encoder_file(folder: Path, ws: torch.Tensor, generator: Generator) -> Path:
    save_encoder(folder / "e.safetensors", encoder_answering(ws), {GENERATOR_DIGEST: weights_digest(generator)})
    return folder / "e.safetensors"


def other(generator: Generator) -> Generator:
    """The same architecture with other weights."""
    state = {name: value.clone() for name, value in generator.state_dict().items()}
    changed = type(generator)(generator.config)
    changed.load_state_dict(state)
    with torch.no_grad():
        next(changed.parameters()).view(-1)[0] += 1
    return changed.requires_grad_(False)


def project(workspace: Workspace, **settings) -> tuple[int, ResultReady]:
    """Number of optimisation steps and the result of projecting a grey photo into "mine"."""
    grey = to_message(np.full((16, 16, 3), 128, np.uint8))
    chosen = ProjectSettings(**{**STILL, **settings})
    *progress, result = perform(ProjectRequest(grey, model="mine", settings=chosen), workspace)
    assert all(isinstance(event, Progress) for event in progress)
    return sum(event.stage == "Projecting the photo" for event in progress), result


def test_an_attached_encoder_is_where_projections_start_at_once(mine, tmp_path, ws, tiny_generator):
    workspace = Workspace(CPU)
    before = from_message(project(workspace)[1].latent.ws)
    encoders.attach_encoder("mine", encoder_file(tmp_path, ws, tiny_generator))
    after = from_message(project(workspace)[1].latent.ws)
    assert np.abs(before - ws.numpy()).max() > 0.5
    assert np.abs(after - ws.numpy()).max() < 0.02


def test_a_kept_projection_belongs_to_the_encoder_it_started_from(mine, tmp_path, ws, tiny_generator):
    workspace = Workspace(CPU)
    settings = {"seed": 4321, "cache": True}
    assert [project(workspace, **settings)[0] for _ in range(2)] == [1, 0]
    encoders.attach_encoder("mine", encoder_file(tmp_path, ws, tiny_generator))
    assert [project(workspace, **settings)[0] for _ in range(2)] == [1, 0]
    encoders.attach_encoder("mine", encoder_file(tmp_path, ws + 1, tiny_generator))
    assert [project(workspace, **settings)[0] for _ in range(2)] == [1, 0]
    assert project(workspace, start="mean", **settings)[0] == 1


def test_an_encoder_of_other_weights_is_refused_and_leaves_the_old_one(mine, tmp_path, ws, tiny_generator):
    attached = encoders.attach_encoder("mine", encoder_file(tmp_path, ws, tiny_generator))
    before = attached.read_bytes()
    with pytest.raises(GanEditError, match="trained for other weights than those of mine") as caught:
        encoders.attach_encoder("mine", encoder_file(tmp_path, ws + 1, other(tiny_generator)))
    assert caught.value.code == "wrong_encoder"
    assert "gan-edit models encoder mine" in caught.value.hint
    assert attached.read_bytes() == before


def test_a_wrong_or_damaged_encoder_is_never_passed_over_in_silence(mine, tmp_path, ws, tiny_generator):
    attached = encoders.attach_encoder("mine", encoder_file(tmp_path, ws, tiny_generator))
    attached.write_bytes(encoder_file(tmp_path, ws, other(tiny_generator)).read_bytes())
    with pytest.raises(GanEditError, match="other weights") as caught:
        project(Workspace(CPU))
    assert "set start to mean" in caught.value.hint
    attached.write_bytes(attached.read_bytes()[:1000])
    with pytest.raises(GanEditError, match=r"mine\.safetensors"):
        project(Workspace(CPU))
    assert project(Workspace(CPU), start="mean")[1].model == "mine"


def test_an_encoder_needs_an_imported_model(mine, tmp_path, ws, tiny_generator):
    file = encoder_file(tmp_path, ws, tiny_generator)
    for name in ("nothere", "default", "../up"):
        with pytest.raises(GanEditError, match="no imported model"):
            encoders.attach_encoder(name, file)


def test_the_digest_is_of_the_weights_and_not_of_the_file(mine, tmp_path, ws, tiny_generator):
    """The encoder may be trained on a half-precision file; importing that writes float32 and another header."""
    import_as_mine(tiny_generator, tmp_path, torch.float16)
    trained_on, _ = safetensors_file.read(tmp_path / "some.safetensors")
    attached = encoders.attach_encoder("mine", encoder_file(tmp_path, ws, trained_on))
    import_as_mine(trained_on, tmp_path)
    assert attached.is_file()
    encoder = encoders.open_encoder(models.open_model("mine"))
    assert torch.allclose(answer_of(encoder, tiny_generator.resolution)[0], ws, atol=1e-2)
    import_as_mine(other(tiny_generator), tmp_path)
    assert not attached.exists()


def test_removing_a_model_removes_its_encoder(mine, tmp_path, ws, tiny_generator):
    attached = encoders.attach_encoder("mine", encoder_file(tmp_path, ws, tiny_generator))
    assert [info.name for info in models.installed()] == ["cats256", "mine"]
    importing.remove_model("mine")
    assert not attached.exists()


def test_a_file_that_is_not_installed_has_no_encoder(mine, tmp_path):
    assert encoder_path(tmp_path / "some.safetensors") is None
    assert encoders.open_encoder(models.open_model(tmp_path / "some.safetensors")) is None


def test_the_embedded_models_encoder_is_small_and_belongs_to_it():
    beside = default_model_path().with_name("cats256-encoder.safetensors")
    assert encoder_path(default_model_path()) == beside
    assert beside.stat().st_size < 8e6
    assert answer_of(encoders.open_encoder(models.open_model("default")), 128).shape == (1, LAYERS, 512)


# The commands


def test_the_commands_attach_an_encoder_and_tell_of_it(mine, tmp_path, ws, tiny_generator):
    def run(*arguments: str) -> str:
        return CliRunner().invoke(models_cli.app, list(arguments), catch_exceptions=False).output

    assert json.loads(run("info", "mine", "--json"))["encoder"] is None
    run("encoder", "mine", str(encoder_file(tmp_path, ws, tiny_generator)))
    assert json.loads(run("info", "mine", "--json"))["encoder"] == str(mine / "encoders" / "mine.safetensors")


def test_what_the_script_trains_can_be_attached(mine, tmp_path, tiny_generator, monkeypatch):
    script = Path(__file__).resolve().parents[3] / "scripts" / "train_encoder.py"
    spec = importlib.util.spec_from_file_location("train_encoder", script)
    train_encoder = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(train_encoder)
    monkeypatch.setattr("signal.signal", lambda *_: None)  # Ctrl-C shall still end the tests
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(3):
        Image.fromarray(np.full((16, 16, 3), 80 * number, np.uint8)).save(photos / f"{number}.png")
    (tmp_path / "kept_out.txt").write_text("2.png\n")
    arguments = tmp_path / "run", tmp_path / "some.safetensors", photos, tmp_path / "kept_out.txt"
    train_encoder.train(*arguments, images=16, threads=torch.get_num_threads())
    assert encoders.attach_encoder("mine", tmp_path / "run" / "encoder.safetensors").is_file()
