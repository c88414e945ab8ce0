"""Whole requests on the default model: real photo in, real result out."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import skimage
import torch

from default_size import LAYERS, SIDE
from gan_edit_engine.imaging.arrays import from_message, to_message
from gan_edit_engine.imaging.crop import composite
from gan_edit_engine.inversion.axes import PROBES
from gan_edit_engine.inversion.kin import SAMPLES
from gan_edit_engine.inversion.search_size import search_side
from gan_edit_engine.worker import interpolation
from gan_edit_engine.worker import progress as progress_events
from gan_edit_engine.worker.perform import perform
from gan_edit_engine.worker.workspace import Workspace
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.events import Progress, ResultReady
from gan_edit_protocol.geometry import Align, Crop
from gan_edit_protocol.latent import Latent
from gan_edit_protocol.requests import EditRequest, InterpolateRequest, JobRequest, ProjectRequest, RandomRequest
from gan_edit_protocol.settings import EditSettings, InterpolateSettings, ProjectSettings, RandomSettings

EYES = Align(172, 118, 320, 137)
QUICK = EditSettings(steps=10, edit_steps=10, cache=False)


@pytest.fixture(scope="module")
def workspace() -> Workspace:
    return Workspace(torch.device("cpu"))


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return skimage.data.chelsea()


def scribble_and_mask(photo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scribble = np.zeros((*photo.shape[:2], 4), np.uint8)
    scribble[100:135, 150:195] = (80, 145, 220, 255)
    mask = np.zeros(photo.shape[:2], np.uint8)
    mask[80:160, 130:215] = 255
    return scribble, mask


def edit_request(photo: np.ndarray, **changes) -> EditRequest:
    scribble, mask = scribble_and_mask(photo)
    arguments = {"mask": to_message(mask), "align": EYES, "settings": QUICK, **changes}
    return EditRequest(to_message(photo), to_message(scribble), **arguments)


def latent(*values: np.ndarray) -> Latent:
    """Of ws and noise maps."""
    return Latent(*(to_message(each.astype(np.float32)) for each in values))


def run(request, workspace) -> tuple[list[Progress], ResultReady]:
    *progress, result = perform(request, workspace)
    return progress, result


def test_a_models_first_search_explores_it_without_showing_what_it_draws(photo, tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_EDIT_CACHE_DIR", str(tmp_path))
    workspace = Workspace(torch.device("cpu"))
    first, again = (run(edit_request(photo, previews=True), workspace)[0] for _ in range(2))
    explored = [(p.step, p.of, p.preview) for p in first if p.stage == "Exploring the model"]
    looks = PROBES + SAMPLES
    assert explored == [(number, looks, None) for number in range(1, looks + 1)]
    assert len(first) == looks + len(again)


def test_pictures_on_the_way_that_nobody_asked_for_are_not_even_drawn(photo, workspace, monkeypatch):
    drawn = []
    for room in (progress_events, interpolation):
        monkeypatch.setattr(room, "preview", drawn.append)
    ws = to_message(np.zeros((2, LAYERS, 512), np.float32))
    way, short = InterpolateRequest(ws, settings=InterpolateSettings(frames=2)), ProjectSettings(steps=10, cache=False)
    for request in (edit_request(photo), ProjectRequest(to_message(photo), align=EYES, settings=short), way):
        events, _ = run(request, workspace)
        assert {event.preview for event in events} == {None}
    assert not drawn
    run(dataclasses.replace(way, previews=True), workspace)
    assert len(drawn) == 2


def test_an_edit_reports_each_step_shows_previews_and_stays_inside_the_mask(photo, workspace):
    progress, result = run(edit_request(photo, previews=True), workspace)
    progress = [p for p in progress if p.stage != "Exploring the model"]
    assert [p.step for p in progress] == list(range(1, 21))
    assert {p.of for p in progress} == {20}
    assert [p.step for p in progress if p.preview] == [10, 20]
    searched = search_side(workspace.model("default")[0].generator)
    assert progress[9].preview.shape == (searched, searched, 3)
    assert (result.model, result.device, result.steps, result.seed) == ("cats256", "cpu", 20, 0)
    assert result.psnr > 10
    edited = composite(photo, from_message(result.image), from_message(result.mask), result.x, result.y)
    mask = scribble_and_mask(photo)[1]
    assert (edited[mask == 0] == photo[mask == 0]).all()
    centre = (slice(105, 130), slice(155, 190))
    assert edited[centre][..., 2].mean() > photo[centre][..., 2].mean() + 10


@pytest.mark.parametrize("kind", ["uint16", "float32"])
def test_deeper_photos_are_edited_at_their_depth(photo, workspace, kind):
    deep = photo.astype(np.uint16) * 257 if kind == "uint16" else (photo / 255).astype(np.float32)
    # Adam's first steps turn the last bit of a gradient into a whole step: small steps keep the two ways together.
    settings = dataclasses.replace(QUICK, learning_rate=1e-3)
    result = run(edit_request(deep, settings=settings), workspace)[1]
    shallow = run(edit_request(photo, settings=settings), workspace)[1]
    white = 257 if kind == "uint16" else 1 / 255
    assert result.image.dtype == kind
    ours, theirs = (from_message(r.image).astype(np.float64) for r in (result, shallow))
    assert np.abs(ours.clip(0, 255 * white) / white - theirs).mean() < 1
    assert len(np.unique(ours)) > 1000


def test_alpha_comes_back_as_it_was_and_transparent_parts_are_not_reproduced(photo, workspace):
    alpha = np.full((*photo.shape[:2], 1), 255, np.uint8)
    alpha[:, :200] = 0
    half = np.concatenate([photo, alpha], axis=2)
    half[:, :200, :3] = (255, 0, 255)
    result = run(edit_request(half), workspace)[1]
    y, x = slice(result.y, result.y + result.image.shape[0]), slice(result.x, result.x + result.image.shape[1])
    assert (from_message(result.image)[..., 3] == half[y, x, 3]).all()
    opaque = run(ProjectRequest(to_message(half), align=EYES, settings=ProjectSettings(steps=20)), workspace)[1]
    magenta = from_message(opaque.image)[150, :50, :3].astype(int)
    assert (magenta[:, 1] > magenta[:, 2] - 100).all()


def test_the_same_request_gives_the_same_image(photo, workspace):
    first, second = (run(edit_request(photo), workspace)[1] for _ in range(2))
    assert first.image.data == second.image.data
    assert first.latent == second.latent


def test_without_strength_nothing_changes_at_all(photo, workspace):
    result = run(edit_request(photo, settings=EditSettings(steps=3, edit_steps=3, strength=0.0)), workspace)[1]
    y, x = slice(result.y, result.y + result.image.shape[0]), slice(result.x, result.x + result.image.shape[1])
    assert (from_message(result.image) == photo[y, x]).all()


def test_a_given_latent_skips_the_projection(photo, workspace):
    first = run(edit_request(photo), workspace)[1]
    progress, second = run(edit_request(photo, latent=first.start), workspace)
    assert len(progress) == 10
    assert second.latent_start.data == first.latent_start.data
    assert np.array_equal(from_message(second.image), from_message(first.image))


def test_the_second_edit_of_a_photo_starts_from_the_kept_projection(photo, workspace):
    settings = EditSettings(steps=12, edit_steps=5, tuning_steps=3, optimize_noise=True, seed=77)
    first_progress, first = run(edit_request(photo, settings=settings), workspace)
    second_progress, second = run(edit_request(photo, settings=settings), workspace)
    assert (len(first_progress), len(second_progress)) == (20, 5)
    assert second.image.data == first.image.data
    other_progress, _ = run(edit_request(photo, settings=dataclasses.replace(settings, prior_weight=0.02)), workspace)
    assert len(other_progress) == 20


def test_a_damaged_kept_projection_is_found_anew(photo, workspace):
    settings = EditSettings(steps=4, edit_steps=2, seed=78)
    run(edit_request(photo, settings=settings), workspace)
    for file in workspace.projections.iterdir():
        file.write_bytes(file.read_bytes()[:1000])
    assert len(run(edit_request(photo, settings=settings), workspace)[0]) == 6


def test_searched_noise_comes_back_and_can_be_given_with_the_latent(photo, workspace):
    settings = EditSettings(steps=10, edit_steps=5, optimize_noise=True)
    first = run(edit_request(photo, settings=settings), workspace)[1]
    assert first.latent.noise.shape[1] == 1024
    second = run(edit_request(photo, latent=first.start, settings=settings), workspace)[1]
    assert second.psnr == pytest.approx(first.psnr)
    assert second.image.data == first.image.data
    wrong = dataclasses.replace(first.start, noise=to_message(np.zeros((3, 1024), np.float32)))
    with pytest.raises(GanEditError, match="not this model's"):
        run(edit_request(photo, latent=wrong, settings=settings), workspace)


def test_a_residual_comes_back_and_can_be_given_with_the_latent(photo, workspace):
    settings = EditSettings(steps=6, edit_steps=3, residual=True, seed=79)
    first = run(edit_request(photo, settings=settings), workspace)[1]
    assert from_message(first.latent.residual).view("<f2").shape == (128, 32, 32)
    kept = run(edit_request(photo, settings=settings), workspace)[1]
    given = edit_request(photo, latent=first.start, settings=settings)
    for again in (kept, run(given, workspace)[1]):
        assert again.psnr == first.psnr
        assert again.image.data == first.image.data
        assert again.latent.residual.data == first.latent.residual.data
    without = dataclasses.replace(given, latent=Latent(first.latent_start))
    assert run(without, workspace)[1].psnr != first.psnr
    for wrong, sentence in ((np.zeros((3, 2, 2)), "not this model's"), (np.full((128, 32, 32), np.nan), "no numbers")):
        other = dataclasses.replace(first.start, residual=to_message(wrong.astype(np.float16).view(np.uint16)))
        with pytest.raises(GanEditError, match=sentence):
            run(dataclasses.replace(given, latent=other), workspace)


def test_a_projection_goes_on_from_a_given_latent(photo, workspace):
    request = ProjectRequest(to_message(photo), align=EYES, settings=ProjectSettings(steps=12, cache=False))
    first = run(request, workspace)[1]
    further = dataclasses.replace(request, latent=first.latent, settings=ProjectSettings(steps=2))
    second = run(further, workspace)[1]
    assert second.psnr > first.psnr - 1.5
    assert second.psnr > run(dataclasses.replace(further, latent=None), workspace)[1].psnr + 0.2
    assert len(run(further, workspace)[0]) == 0
    other = first.latent.moved_to(to_message(from_message(first.latent.ws) * np.float32(0.5)))
    assert len(run(dataclasses.replace(further, latent=other), workspace)[0]) == 2


def test_an_edit_of_a_given_latent_uses_a_generator_that_is_tuned_on_the_photo(photo, workspace):
    settings = EditSettings(steps=10, edit_steps=2, tuning_steps=15, seed=79)
    latent = run(edit_request(photo), workspace)[1].start
    plain = run(edit_request(photo, latent=latent), workspace)[1]
    progress, tuned = run(edit_request(photo, latent=latent, settings=settings), workspace)
    assert (len(progress), tuned.steps) == (17, 17)
    assert tuned.psnr > plain.psnr + 0.3
    assert tuned.latent_start == latent.ws
    assert len(run(edit_request(photo, latent=latent, settings=settings), workspace)[0]) == 2


def test_only_what_is_selected_has_to_be_reproduced_where_that_is_wanted(photo, workspace):
    mask = scribble_and_mask(photo)[1]
    errors = []
    for selected_only in (False, True):
        settings = ProjectSettings(steps=40, selected_only=selected_only, cache=False)
        result = run(ProjectRequest(to_message(photo), to_message(mask), align=EYES, settings=settings), workspace)[1]
        y, x = slice(result.y, result.y + result.image.shape[0]), slice(result.x, result.x + result.image.shape[1])
        errors.append(np.square(from_message(result.image).astype(float) - photo[y, x]).mean())
    assert errors[1] < 0.8 * errors[0]


def test_a_random_images_z_and_truncation_come_with_it(workspace):
    result = run(RandomRequest(settings=RandomSettings(seed=3, truncation_psi=0.5)), workspace)[1]
    generator = workspace.model("default")[0].generator
    z = torch.from_numpy(from_message(result.latent.z).copy())[None]
    assert np.allclose(generator.mapping(z, truncation_psi=0.5)[0], from_message(result.latent.ws), atol=1e-5)
    assert result.latent.truncation_psi == 0.5


def test_a_projection_looks_like_the_photo(photo, workspace):
    def projected(steps):
        request = ProjectRequest(to_message(photo), align=EYES, settings=ProjectSettings(steps=steps, start="mean"))
        result = run(request, workspace)[1]
        mask = from_message(result.mask)
        shown = composite(photo, from_message(result.image), mask, result.x, result.y)
        covered = np.zeros(photo.shape[:2], np.uint8)
        covered[result.y : result.y + mask.shape[0], result.x : result.x + mask.shape[1]] = mask
        assert (shown[covered == 0] == photo[covered == 0]).all()
        return np.abs(shown.astype(int) - photo)[covered > 0].mean()

    assert projected(40) < 0.75 * projected(1)


def test_random_images_follow_their_seed_and_truncation(workspace):
    def draw(**settings):
        return from_message(run(RandomRequest(settings=RandomSettings(**settings)), workspace)[1].image)

    assert draw(seed=1).shape == (SIDE, SIDE, 3)
    assert (draw(seed=1) == draw(seed=1)).all()
    assert (draw(seed=1) != draw(seed=2)).any()
    assert (draw(seed=1, truncation_psi=0.0) == draw(seed=2, truncation_psi=0.0)).all()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mask": np.zeros((300, 451), np.uint8)}, "Nothing of the layer is selected"),
        ({"crop": Crop(430, 280, 20), "align": None}, "outside of the square"),
        ({"scribble": np.zeros((300, 451, 4), np.uint8)}, "Nothing is painted inside the selection"),
        ({"latent": latent(np.zeros((3, 512)))}, "given latent"),
        ({"latent": latent(np.full((LAYERS, 512), np.nan))}, "no numbers"),
        ({"model": "nonesuch"}, "nonesuch"),
    ],
)
def test_a_request_that_cannot_be_done_says_why_in_one_sentence(photo, workspace, changes, words):
    arguments = {k: to_message(v) if isinstance(v, np.ndarray) else v for k, v in changes.items()}
    scribble, mask = scribble_and_mask(photo)
    arguments = {"scribble": to_message(scribble), "mask": to_message(mask), "align": EYES, **arguments}
    with pytest.raises(GanEditError, match=words) as caught:
        list(perform(EditRequest(to_message(photo), settings=QUICK, **arguments), workspace))
    assert caught.value.hint


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"mask": np.zeros((300, 451), np.uint8)}, "empty_mask"),
        ({"scribble": np.zeros((300, 451, 4), np.uint8)}, "nothing_painted"),
        ({"mask": np.pad(np.ones((9, 9), np.uint8), ((0, 291), (0, 442)))}, "nothing_painted"),
        ({"latent": latent(np.zeros((3, 512)))}, "bad_latent"),
        ({"latent": latent(np.full((LAYERS, 512), np.inf))}, "bad_latent"),
        ({"latent": latent(np.zeros((LAYERS, 512)), np.zeros((3, 1024)))}, "bad_latent"),
        ({"latent": latent(np.zeros((LAYERS, 512)), np.full((22, 1024), np.nan))}, "bad_latent"),
        ({"model": "nonesuch"}, "unknown_model"),
        ({"model": "nonesuch.pkl"}, "unknown_model"),
    ],
)
def test_what_cannot_be_done_is_refused_before_a_model_is_loaded(photo, unloaded, changes, code):
    arguments = {k: to_message(v) if isinstance(v, np.ndarray) else v for k, v in changes.items()}
    scribble, mask = scribble_and_mask(photo)
    arguments = {"scribble": to_message(scribble), "mask": to_message(mask), "align": EYES, **arguments}
    assert refusal(EditRequest(to_message(photo), **arguments), unloaded).code == code
    if code != "nothing_painted":
        del arguments["scribble"]
        assert refusal(ProjectRequest(to_message(photo), **arguments), unloaded).code == code


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_no_numbers_are_named_with_the_first_of_them(photo, unloaded, value):
    broken = (photo / 255).astype(np.float32)
    broken[7, 30:32, 1] = value
    for request in (edit_request(broken), ProjectRequest(to_message(broken), align=EYES)):
        refused = refusal(request, unloaded)
        assert refused.code == "bad_pixels"
        assert "2 pixels that are no finite numbers, the first at (30, 7)" in refused.message


@pytest.mark.parametrize(
    ("latents", "settings", "code"),
    [
        (np.zeros((2, 3, 512)), {}, "bad_latent"),
        (np.full((2, LAYERS, 512), np.nan), {}, "bad_latent"),
        (np.zeros((2, LAYERS, 512)), {"mode": "spherical"}, "bad_latent"),
        (np.zeros((1, LAYERS, 512)), {}, "too_few_latents"),
        (np.zeros((3, LAYERS, 512)), {"mode": "crossover"}, "too_many_latents"),
    ],
)
def test_latents_that_make_no_animation_are_refused_before_a_model_is_loaded(unloaded, latents, settings, code):
    request = InterpolateRequest(to_message(latents.astype(np.float32)), settings=InterpolateSettings(**settings))
    assert refusal(request, unloaded).code == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"crop": Crop(430, 280, 20), "align": None}, "outside_crop"),
        ({"align": Align(5, 5, 5, 5)}, "bad_crop"),
        ({"settings": EditSettings(optimizer="lbfgs", optimize_noise=True)}, "bad_setting"),
        ({"settings": EditSettings(start="encoder", space="z")}, "no_encoder"),
    ],
)
def test_what_only_the_model_tells_is_refused_before_it_is_explored(photo, monkeypatch, changes, code):
    workspace = Workspace(torch.device("cpu"))
    monkeypatch.setattr(workspace, "explore", explored)
    assert refusal(edit_request(photo, **changes), workspace).code == code
    arguments = {"align": EYES, **changes, "mask": to_message(scribble_and_mask(photo)[1])}
    assert refusal(ProjectRequest(to_message(photo), **arguments), workspace).code == code


def explored(*arguments: object) -> None:
    raise AssertionError("the model was explored")


@pytest.fixture
def unloaded(monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace that must not load a model."""

    def load(*arguments: object) -> None:
        raise AssertionError("a model was loaded")

    workspace = Workspace(torch.device("cpu"))
    monkeypatch.setattr(workspace, "model", load)
    return workspace


def refusal(request: JobRequest, workspace: Workspace) -> GanEditError:
    with pytest.raises(GanEditError) as caught:
        list(perform(request, workspace))
    assert caught.value.hint
    return caught.value


def test_the_random_image_of_any_seed_is_one_of_the_models_usual_ones(workspace):
    statistics = workspace.model("default")[1]
    lengths = []
    for seed in range(6):
        ws = from_message(run(RandomRequest(settings=RandomSettings(seed=seed)), workspace)[1].latent.ws)
        lengths.append(float(np.square(ws[0] - statistics.mean.numpy()).mean() ** 0.5 / statistics.std))
    assert min(lengths) > 0.5
    assert max(lengths) < 1.1, "that of the seed which the mapping was initialised with was 1.35"
