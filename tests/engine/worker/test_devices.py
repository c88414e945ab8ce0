"""Everything computes on the device it is put on: no network leaves a part of itself on the processor, no job a tensor.

Networks are moved to CUDA as torch's own fake tensors, which know their device and no values, so that it needs no card.
Generators, which keep prepared kernels by their address, and searches, which look at values, run on a pretended device,
and on the graphics card too where there is one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pretended_device import DEVICE, DeviceMixedError, PretendedDevice
from snapshots import small_discriminator, small_stylegan2, small_stylegan3
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._pytree import tree_leaves

import narrow_lpips
from benching.parts import Bench
from gan_edit_engine.checkpoints import safetensors_file
from gan_edit_engine.checkpoints.encoder_file import GENERATOR_DIGEST, save_encoder
from gan_edit_engine.generators import Generator, build
from gan_edit_engine.generators.dcgan import DCGANConfig
from gan_edit_engine.generators.stylegan2 import StyleGAN2Config
from gan_edit_engine.imaging.arrays import from_message, to_message
from gan_edit_engine.inversion import precision
from gan_edit_engine.inversion.latents import label, random_z
from gan_edit_engine.inversion.optimize import result_of
from gan_edit_engine.inversion.perceptual import Perceptual, discriminator_features, load_perceptual
from gan_edit_engine.inversion.precision import speedup
from gan_edit_engine.library import encoders, importing
from gan_edit_engine.library.models_folder import MODELS_DIR_VARIABLE
from gan_edit_engine.networks.digest import weights_digest
from gan_edit_engine.networks.encoder import Encoder, EncoderConfig
from gan_edit_engine.networks.lpips import Lpips
from gan_edit_engine.training.detail import DetailTrainer
from gan_edit_engine.training.discriminators import DetailDiscriminator, ProjectedDiscriminator, StyleGAN2Discriminator
from gan_edit_engine.training.encoder_trainer import EncoderSettings, EncoderTrainer
from gan_edit_engine.training.evaluation import Lite0Features, Vgg16Features, diversity
from gan_edit_engine.training.settings import TrainingSettings
from gan_edit_engine.training.start import new_generator
from gan_edit_engine.training.trainer import Trainer
from gan_edit_engine.worker import workspace
from gan_edit_engine.worker.evaluate import evaluate, mean
from gan_edit_engine.worker.perform import perform
from gan_edit_engine.worker.workspace import Workspace
from gan_edit_protocol.events import FramesReady
from gan_edit_protocol.requests import (
    EditRequest,
    ImagineRequest,
    InterpolateRequest,
    JobRequest,
    ProjectRequest,
    RandomRequest,
)
from gan_edit_protocol.settings import (
    EditSettings,
    ImagineSettings,
    InterpolateSettings,
    ProjectSettings,
    RandomSettings,
)

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
SIDE = 16
SMALL = StyleGAN2Config(z_dim=8, w_dim=8, resolution=SIDE, channel_base=64, channel_max=8, mapping_layers=1)
DEVICES = [DEVICE, *([CUDA] if torch.cuda.is_available() else [])]


@pytest.fixture(scope="module", autouse=True)
def models(tiny_generator: Generator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A models folder: "tiny" with its encoder, "cloud", a DCGAN, and LPIPS on a narrow VGG, all untrained."""
    folder = tmp_path_factory.mktemp("devices")
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(MODELS_DIR_VARIABLE, str(folder / "models"))
        patch.setenv("GAN_EDIT_CACHE_DIR", str(folder / "cache"))  # others explore with more probes, and keep that
        patch.setattr(workspace, "PROBES", 2)
        patch.setattr(precision, "_ROUNDS", 1)
        for name, generator in {"tiny": tiny_generator, "cloud": small_dcgan("transposed")}.items():
            safetensors_file.write(folder / f"{name}.safetensors", generator, {})
            importing.import_model(folder / f"{name}.safetensors", name)
        encoder = Encoder(EncoderConfig(tiny_generator.num_ws, tiny_generator.w_dim, 1.0))
        save_encoder(folder / "encoder.safetensors", encoder, {GENERATOR_DIGEST: weights_digest(tiny_generator)})
        encoders.attach_encoder("tiny", folder / "encoder.safetensors")
        narrow_lpips.install()
        yield folder


@pytest.fixture(autouse=True)
def _nothing_explored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another test found out about a model would be read instead of computed."""
    monkeypatch.setenv("GAN_EDIT_CACHE_DIR", str(tmp_path / "cache"))


def small_dcgan(variant: str) -> Generator:
    config = DCGANConfig(z_dim=8, channels=(8, 8), variant=variant)
    return build(config).requires_grad_(False).eval()


def present(device: torch.device) -> AbstractContextManager[object]:
    """Inside, the device is there."""
    return PretendedDevice() if device == DEVICE else nullcontext()


# Networks


def pictures(count: int = 1, side: int = SIDE) -> Tensor:
    return torch.rand(count, 3, side, side, device=CUDA) * 2 - 1


def answer(network: nn.Module) -> Any:
    return network(pictures())


def judgement(discriminator: Any) -> Any:
    return discriminator.judge(discriminator.features(pictures(2)))


def all_distances(perceptual: Perceptual) -> Any:
    image, other = pictures(2, 2 * SIDE)
    target = perceptual.target(image[None], torch.ones_like(image[None, :1]), style=True)
    return target.maps, target.grams, perceptual.loss(other[None], target), perceptual.compare(other[None], target)


def lpips_of_pairs(network: Lpips) -> Any:
    return network.distance(pictures(2), pictures(2))


def vgg16_lpips() -> Lpips:
    return Lpips(narrow_lpips.weights())


NETWORKS: dict[str, tuple[Callable[[], nn.Module], Callable[[Any], Any]]] = {
    "encoder": (lambda: Encoder(EncoderConfig(6, 8, 1.0)), answer),
    "discriminator": (small_discriminator, answer),
    "discriminator's features": (lambda: discriminator_features(small_discriminator(resolution=32)), all_distances),
    "efficientnet-lite0": (lambda: load_perceptual("efficientnet-lite0", CPU), all_distances),
    "vgg16": (lambda: load_perceptual("vgg16", CPU), all_distances),
    "vgg16-lpips": (lambda: load_perceptual("vgg16-lpips", CPU), all_distances),
    "training: stylegan2": (lambda: StyleGAN2Discriminator(small_discriminator().config), judgement),
    "training: projected": (lambda: ProjectedDiscriminator(width=8, hidden=8), judgement),
    "training: detail": (lambda: DetailDiscriminator(width=8, hidden=8), judgement),
    "evaluation: lpips": (vgg16_lpips, lpips_of_pairs),
    "evaluation: vgg16": (lambda: Vgg16Features(vgg16_lpips()), answer),
    "evaluation: lite0": (Lite0Features, answer),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_moves_as_one(name: str) -> None:
    make, use = NETWORKS[name]
    network = make()
    # What a network forgets becomes a fake tensor of the processor, which does not mix with those of the card.
    with FakeTensorMode(allow_non_fake_inputs=True):
        results = tree_leaves(use(network.to(CUDA)))
    assert {result.device.type for result in results} == {"cuda"}


GENERATORS: dict[str, Callable[[], Generator]] = {
    "stylegan2": small_stylegan2,
    "stylegan2, resnet with classes": lambda: small_stylegan2(architecture="resnet", c_dim=3),
    "stylegan3": small_stylegan3,
    "stylegan-xl": lambda: small_stylegan3(c_dim=3, embedding_count=4, embedding_features=5),
    "dcgan": lambda: small_dcgan("transposed"),
    "dcgan of the course": lambda: small_dcgan("upsample"),
}


@pytest.mark.parametrize("device", DEVICES, ids=str)
@pytest.mark.parametrize("name", GENERATORS)
def test_a_generator_moves_as_one_and_gives_the_same_image(name: str, device: torch.device) -> None:
    generator = GENERATORS[name]().eval()
    z = random_z(generator, 2, 0, CPU)
    c = label(generator, 2, 0, CPU)
    expected = generator(z, c, truncation_psi=0.5)
    with present(device):
        image = generator.to(device)(z.to(device), None if c is None else c.to(device), truncation_psi=0.5)
        assert image.device.type == generator.w_avg.device.type == device.type
        # A card takes sums in another order.
        assert torch.allclose(image.cpu(), expected, rtol=0, atol=0 if device == DEVICE else 1e-2)


@pytest.mark.parametrize("name", ["encoder", "training: projected", "training: detail"])
def test_a_network_does_not_save_the_frozen_one_that_it_looks_through(name: str) -> None:
    network = NETWORKS[name][0]()
    assert not [key for key in network.state_dict() if key.startswith("frozen")]
    assert [key for key, _ in network.named_buffers() if key.startswith("frozen")]


# Searches


def settings_of(kind: type[ProjectSettings], **changes: Any) -> Any:
    return kind(**{"steps": 2, "precision": "float32", "cache": False, **changes})


def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)


def projection_of(model: str = "tiny", **changes: Any) -> ProjectRequest:
    return ProjectRequest(to_message(photo()), model=model, settings=settings_of(ProjectSettings, **changes))


def edit_of(**changes: Any) -> EditRequest:
    scribble = np.zeros((24, 24, 4), np.uint8)
    scribble[8:12, 8:12] = 255
    settings = settings_of(EditSettings, edit_steps=2, **changes)
    return EditRequest(to_message(photo()), to_message(scribble), model="tiny", settings=settings)


def latents_in(mode: str) -> InterpolateRequest:
    shape = {"linear": (3, 6, 32), "spherical": (2, 32), "transfer": (3, 6, 32)}.get(mode, (2, 6, 32))
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    settings = InterpolateSettings(mode=mode, frames=2, steps=2)
    return InterpolateRequest(to_message(values), model="tiny", settings=settings)


JOBS: dict[str, JobRequest] = {
    "projection": projection_of(),
    "projection that is kept": projection_of(cache=True, optimize_noise=True, seed=987),
    "projection in z from several starts": projection_of(space="z", start="best", restarts=3, init_samples=3, steps=8),
    "projection in w by L-BFGS": projection_of(space="w", optimizer="lbfgs"),
    "projection of a style": projection_of(style_weight=1.0, prior="gaussian", pixel_loss="l1", axes="own"),
    "projection by plain VGG-16": projection_of(perceptual="vgg16", stop_psnr=90, patience=9),
    "projection in a DCGAN": projection_of("cloud", space="z"),
    "projection with noise, tuned": projection_of(optimize_noise=True, tuning_steps=2, tuning_selected_only=True),
    "edit": edit_of(),
    "edit by EfficientNet-lite0 of a tuned projection": edit_of(perceptual="efficientnet-lite0", tuning_steps=2),
    "images from a scribble": ImagineRequest(
        to_message(np.pad(photo(), ((0, 0), (0, 0), (0, 1)), constant_values=255)),
        "tiny",
        ImagineSettings(candidates=2, samples=3, steps=4),
    ),
    "random image": RandomRequest(model="tiny", settings=RandomSettings()),
    **{f"{mode} interpolation": latents_in(mode) for mode in InterpolateSettings.specs()[0].choices},
}


@pytest.fixture(scope="module", params=DEVICES, ids=str)
def workspaces(request: pytest.FixtureRequest) -> tuple[Workspace, Workspace]:
    """On the processor, and on the other device."""
    return Workspace(CPU), Workspace(request.param)


def done(job: JobRequest, workspace: Workspace) -> Any:
    """What comes of a job, wherever that is computed."""
    with present(workspace.device):
        *_, result = perform(job, workspace)
    return result


@pytest.mark.parametrize("name", JOBS)
def test_a_job_computes_on_its_device_what_it_would_on_the_processor(
    name: str, workspaces: tuple[Workspace, Workspace]
) -> None:
    here, there = workspaces
    expected, result = done(JOBS[name], here), done(JOBS[name], there)
    assert result.device == str(there.device)
    field = "frames" if isinstance(expected, FramesReady) else "image"
    ours, theirs = (from_message(getattr(each, field)).astype(float) for each in (result, expected))
    assert np.abs(ours - theirs).mean() < 1  # of 255: sums may be taken in another order


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_same_edit_on_the_same_device_gives_the_same_image(
    precision: str, workspaces: tuple[Workspace, Workspace]
) -> None:
    # What a device does not compute alike in every run, torch warns of, and a warning fails a test.
    first, again = (done(edit_of(precision=precision), workspaces[1]) for _ in range(2))
    assert first.image == again.image


def test_an_edit_goes_on_from_a_latent_with_its_noise(workspaces: tuple[Workspace, Workspace]) -> None:
    found = done(projection_of(optimize_noise=True), workspaces[1])
    result = done(dataclasses.replace(edit_of(), latent=found.latent), workspaces[1])
    assert result.latent_start == found.latent.ws


def test_photos_are_evaluated_on_the_device(workspaces: tuple[Workspace, Workspace], tmp_path: Path) -> None:
    Image.fromarray(photo()).save(tmp_path / "photo.png")
    settings = settings_of(ProjectSettings)
    with present(workspaces[1].device):
        projector = result_of(workspaces[1].prepare("tiny", settings))
        scores = list(evaluate([tmp_path / "photo.png"], projector, lambda name: None))
    assert mean(scores).lpips > 0


def test_the_diversity_of_images_is_measured_where_they_are() -> None:
    with PretendedDevice():
        images = torch.randint(0, 256, (4, 3, SIDE, SIDE), device=DEVICE).to(torch.uint8)
        assert diversity(vgg16_lpips().to(DEVICE), images, pairs=2) > 0


@pytest.mark.parametrize("device", DEVICES, ids=str)
@pytest.mark.parametrize("name", GENERATORS)
def test_the_number_formats_are_compared_on_the_device(
    name: str, device: torch.device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[float] = []
    monkeypatch.setattr(precision, "speedup", lambda run, clock: found.append(speedup(run, clock)) or found[0])
    with present(device):
        precision.faster_precision(GENERATORS[name]().eval().to(device), device, tmp_path)
    assert found[0] > 0  # else a step could not be computed there


@pytest.mark.parametrize("device", DEVICES, ids=str)
def test_the_bench_runs_on_the_device(device: torch.device) -> None:
    with present(device):
        for make in Bench("tiny", device).groups().values():
            for run in make().values():
                run()


# Training


def photos(side: int = SIDE) -> Tensor:
    return torch.randint(0, 256, (4, 3, side, side), dtype=torch.uint8).to(DEVICE)


def new(config: StyleGAN2Config) -> Generator:
    return new_generator(config, seed=0).to(DEVICE)


def trainer_of_all() -> Any:
    settings = TrainingSettings(resolution=SIDE, batch=2, blur_images=100)
    return Trainer(settings, new(SMALL), ProjectedDiscriminator(width=8, hidden=8).to(DEVICE), photos())


def trainer_of_detail() -> Any:
    settings = TrainingSettings(
        resolution=SIDE, batch=2, discriminator="detail", blur_images=0, augment_probability=0.5
    )
    return DetailTrainer(settings, new(SMALL), DetailDiscriminator(width=8, hidden=8).to(DEVICE), photos())


def trainer_of_encoder() -> Any:
    generator = new(SMALL).requires_grad_(False)
    return EncoderTrainer(EncoderSettings(batch=4), generator, load_perceptual("efficientnet-lite0", DEVICE), photos())


@pytest.mark.parametrize("make", [trainer_of_all, trainer_of_detail, trainer_of_encoder])
def test_a_step_of_a_training_computes_where_the_photos_lie(
    make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    adam = torch.optim.Adam
    # The fused step is one of a few devices' own kernels.
    monkeypatch.setattr(torch.optim, "Adam", lambda *given, **settings: adam(*given, **{**settings, "fused": False}))
    with PretendedDevice():
        assert all(map(math.isfinite, make().step().values()))


# The pretended device itself


@pytest.mark.parametrize(
    "mix",
    [
        lambda there, here: there + here,
        lambda there, here: here.add_(there),
        lambda there, here: torch.stack([there, here]),
        lambda there, here: torch.lerp(here, here, there),
        lambda there, here: torch.randn(4, device=DEVICE, generator=torch.Generator()),
    ],
)
def test_tensors_of_two_devices_do_not_mix(mix: Callable[[Tensor, Tensor], Tensor]) -> None:
    with PretendedDevice(), pytest.raises(DeviceMixedError):
        mix(torch.ones(4, device=DEVICE), torch.ones(4))


def test_gradients_stay_on_the_device_and_values_come_back_by_copies() -> None:
    with PretendedDevice():
        x = torch.arange(4.0).to(DEVICE).requires_grad_()
        doubled = torch.zeros(2, 4, device=DEVICE)
        doubled[1] = x * torch.tensor(2.0)
        doubled.square().sum().backward()
        assert x.grad is not None
        assert x.device == x.grad.device == DEVICE
        assert x.grad.cpu().tolist() == [0, 8, 16, 24]
        with pytest.raises((TypeError, RuntimeError), match="numpy"):
            x.grad.numpy()
        with pytest.raises(TypeError, match="float64"):
            x.double()
