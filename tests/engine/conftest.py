"""A generator small enough to optimise in seconds, and engines that a test may kill."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from engine_process import EngineProcess, MakeEngine

from gan_edit_engine import generators
from gan_edit_engine.generators.stylegan2 import StyleGAN2Config
from gan_edit_engine.inversion.perceptual import Perceptual, load_perceptual


@pytest.fixture
def never_waits() -> Iterator[None]:
    """Ends a test that would wait for ever, say for the other end of a pipe."""

    def end(*_: object) -> None:
        raise AssertionError("it waits for something")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """An engine for all tests of a module that leave it as it was."""
    running = EngineProcess(tmp_path_factory.mktemp("engine"), "--idle-timeout", "0").wait_until_ready()
    yield running
    running.end()


@pytest.fixture(scope="session")
def tiny_generator() -> generators.Generator:
    """An untrained StyleGAN2 of 16 px: smooth coloured clouds, enough for every loss to have something to do."""
    torch.manual_seed(0)
    config = StyleGAN2Config(z_dim=32, w_dim=32, resolution=16, channel_base=256, channel_max=16, mapping_layers=2)
    generator = generators.build(config).requires_grad_(False).eval()
    for name, weight in generator.named_parameters():
        if name.endswith("torgb.weight"):
            weight *= 0.4  # the colours of photos, −1..1
    return generator


@pytest.fixture(scope="session")
def perceptual() -> Perceptual:
    return load_perceptual("efficientnet-lite0", torch.device("cpu"))


@pytest.fixture
def make_engine(tmp_path: Path) -> Iterator[MakeEngine]:
    """Makes engines that only one test uses and may kill, all with one connection file."""
    made: list[EngineProcess] = []

    def make(
        *options: str, descriptors: int | None = None, protocol: int | None = None, **environment: str
    ) -> EngineProcess:
        limits = {"descriptors": descriptors, "protocol": protocol}
        made.append(EngineProcess(tmp_path, *options, environment=environment, **limits))
        return made[-1]

    yield make
    for one in made:
        one.end()
