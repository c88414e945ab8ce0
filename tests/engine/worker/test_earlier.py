"""What was made with the default before goes on with the default, and people are told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage
import torch
from small_generators import small_stylegan2

from default_size import LAYERS
from gan_edit_engine.checkpoints import safetensors_file
from gan_edit_engine.imaging.arrays import from_message, to_message
from gan_edit_engine.inversion.latents import random_z
from gan_edit_engine.library.models_folder import EARLIER_DEFAULT, EARLIER_LAYERS
from gan_edit_engine.worker.earlier import TOLD, is_of_earlier
from gan_edit_engine.worker.perform import perform
from gan_edit_engine.worker.workspace import Workspace
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.geometry import Align
from gan_edit_protocol.latent import Latent
from gan_edit_protocol.requests import InterpolateRequest, JobRequest, ProjectRequest
from gan_edit_protocol.settings import InterpolateSettings, ProjectSettings

QUICK = ProjectSettings(steps=2, cache=False, w_fraction=0.0)


@pytest.fixture(scope="module")
def workspace() -> Workspace:
    return Workspace(torch.device("cpu"))


@pytest.fixture(scope="module")
def ws(workspace: Workspace) -> np.ndarray:
    """Two latents of the default before."""
    generator = workspace.model("default")[0].generator
    with torch.no_grad():
        whole = generator.mapping(random_z(generator, 2, 3, torch.device("cpu"))).numpy()
    differing = whole * np.linspace(0.5, 1, LAYERS, dtype=np.float32)[:, None]
    return differing[:, :EARLIER_LAYERS].astype(np.float32)


def grown(ws: np.ndarray) -> np.ndarray:
    """As many layers as the default has: the last one again."""
    return ws[..., [*range(EARLIER_LAYERS), *[EARLIER_LAYERS - 1] * (LAYERS - EARLIER_LAYERS)], :]


def projection(model: str, ws: np.ndarray, noise: np.ndarray | None = None) -> ProjectRequest:
    latent = Latent(to_message(ws), None if noise is None else to_message(noise))
    photo, eyes = to_message(skimage.data.chelsea()), Align(172, 118, 320, 137)
    return ProjectRequest(photo, model=model, align=eyes, latent=latent, settings=QUICK)


def told_and_done(request: JobRequest, workspace: Workspace):
    *events, result = perform(request, workspace)
    return [event for event in events if event == TOLD], result


def test_a_latent_of_the_default_before_is_searched_on_from_and_people_are_told(workspace, ws):
    told, ours = told_and_done(projection(EARLIER_DEFAULT, ws[0]), workspace)
    nothing, expected = told_and_done(projection("default", grown(ws[0])), workspace)
    assert (len(told), nothing) == (1, [])
    assert ours.model == workspace.model("default")[0].info.name != EARLIER_DEFAULT
    assert ours.latent.ws.shape == (LAYERS, ws.shape[-1])
    assert ours.image == expected.image
    assert EARLIER_DEFAULT in TOLD.message
    assert "not here any more" in TOLD.message


def test_its_noise_maps_come_along_and_the_further_ones_are_the_models_own(workspace, ws):
    own = [values.numpy() for values in workspace.model("default")[0].generator.noise_consts().values()]
    random = np.random.default_rng(0)
    searched = [random.standard_normal(each.shape).astype(np.float32) for each in own[: EARLIER_LAYERS - 1]]
    _, ours = told_and_done(projection("default", ws[0], in_rows(searched)), workspace)
    whole = in_rows([*searched, *own[EARLIER_LAYERS - 1 :]])
    _, expected = told_and_done(projection("default", grown(ws[0]), whole), workspace)
    _, without = told_and_done(projection("default", ws[0]), workspace)
    assert ours.latent.noise == expected.latent.noise == to_message(whole)
    assert ours.image == expected.image != without.image
    with pytest.raises(GanEditError, match="not this model's"):
        told_and_done(projection("default", ws[0], in_rows(searched[:4])), workspace)


def in_rows(maps: list[np.ndarray]) -> np.ndarray:
    values = np.concatenate([each.ravel() for each in maps])
    return np.pad(values, (0, -len(values) % 1024)).reshape(-1, 1024)


def test_the_way_between_two_of_them_is_drawn(workspace, ws):
    settings = InterpolateSettings(frames=2)
    told, ours = told_and_done(InterpolateRequest(to_message(ws), None, EARLIER_DEFAULT, settings), workspace)
    assert len(told) == 1
    assert np.array_equal(from_message(ours.latents), grown(ws))
    nothing, expected = told_and_done(InterpolateRequest(to_message(grown(ws)), settings=settings), workspace)
    assert not nothing
    assert ours.frames == expected.frames


def test_latents_of_other_models_are_not_taken_for_its_own(tmp_path: Path, ws):
    file = tmp_path / "other.safetensors"
    safetensors_file.write(file, small_stylegan2(), {})
    assert is_of_earlier(projection("default", ws[0]))
    assert not is_of_earlier(projection(str(file), ws[0]))
    assert not is_of_earlier(projection("default", ws[0][:-1]))
    assert not is_of_earlier(InterpolateRequest(to_message(ws[:, 0])))
