"""What generators tell besides the image: feature maps, and small images at a smaller cost."""

from __future__ import annotations

import pytest
import torch
from small_generators import small_dcgan, small_stylegan2, small_stylegan3, stylegan3_layer
from torch import Tensor
from torch.nn import functional as F

from gan_edit_engine.generators import Generator
from gan_edit_engine.inversion.latents import random_z
from gan_edit_engine.inversion.subject import Drawing, synthesise

CPU = torch.device("cpu")
OTHERS = {
    "resnet": lambda: small_stylegan2(architecture="resnet"),
    "orig": lambda: small_stylegan2(architecture="orig"),
    "stylegan3": small_stylegan3,
    "dcgan": small_dcgan,
    "course": lambda: small_dcgan(variant="upsample", norm="instance"),
}
ALL = {"skip": small_stylegan2, **OTHERS}


def latents(generator: Generator, count: int = 2) -> Tensor:
    return generator.mapping(random_z(generator, count, 0, CPU))


def sides(generator: Generator) -> list[int]:
    """Of the feature maps, each once."""
    return list(dict.fromkeys(features.shape[-1] for features in generator.features(latents(generator))))


@pytest.mark.parametrize("family", ALL)
def test_features_go_from_coarse_to_fine_and_leave_the_image_out(family):
    generator = ALL[family]()
    maps = list(generator.features(latents(generator)))
    assert all(features.ndim == 4 and len(features) == 2 for features in maps)
    found = [features.shape[-1] for features in maps]
    assert found == sorted(found)
    assert all(features.shape[1] > generator.image_channels for features in maps)
    assert not any(features.requires_grad for features in maps)


def test_the_sides_of_the_features_are_those_of_the_layers():
    assert sides(small_stylegan2()) == [4, 8, 16]
    assert sides(small_dcgan()) == [4, 8, 16]
    assert sides(small_dcgan(variant="upsample", norm="instance")) == [4, 8, 16]


def test_features_of_stylegan3_lie_where_the_image_does():
    """All layers but those of the image's own size carry ten pixels more on each side."""
    widths = {"L0": (36, 36), "L1": (36, 52), "L2": (52, 64)}
    layers = [stylegan3_layer(name, size, 8, from_size=below) for name, (below, size) in widths.items()]
    layers.append(stylegan3_layer("L3", 64, 3, torgb=True))
    generator = small_stylegan3(layers=tuple(layers), resolution=64, input_size=36)
    ws = latents(generator)
    first, second, third, _image = generator.synthesis.steps(ws)
    seen = list(generator.features(ws))
    assert [features.shape[-1] for features in seen] == [16, 32, 64]
    inside = slice(10, -10)
    wanted = (first[..., inside, inside], second[..., inside, inside], third)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(seen, wanted, strict=True))


def test_the_image_is_drawn_from_the_features():
    generator = small_stylegan2()
    ws = latents(generator)
    *_, finest = generator.features(ws)
    *_, (features, image) = generator.synthesis.steps(ws)
    assert torch.equal(finest, features)
    assert torch.equal(image, generator.synthesis(ws))


def test_only_the_features_that_are_asked_for_are_computed(monkeypatch):
    generator = small_stylegan2()
    monkeypatch.setattr(generator.synthesis.b16, "features", lambda *_: pytest.fail("a finer layer was computed"))
    maps = generator.features(latents(generator))
    assert [next(maps).shape[-1] for _ in range(2)] == [4, 8]


def test_the_small_image_of_a_skip_generator_is_its_running_image(monkeypatch):
    generator = small_stylegan2()
    ws = latents(generator)
    running = {image.shape[-1]: image for image in generator.synthesis.images(ws)}
    assert torch.equal(generator.small_image(ws, 16), generator.synthesis(ws))
    monkeypatch.setattr(generator.synthesis.b16, "features", lambda *_: pytest.fail("a finer layer was computed"))
    assert torch.equal(generator.small_image(ws, 8), running[8])
    assert torch.equal(generator.small_image(ws, 4), running[4])


@pytest.mark.parametrize("family", OTHERS)
def test_the_small_image_of_others_is_the_image_by_areas(family):
    generator = OTHERS[family]()
    ws = latents(generator)
    side = generator.resolution // 2
    wanted = F.interpolate(generator.synthesis(ws), size=(side, side), mode="area")
    assert torch.allclose(generator.small_image(ws, side), wanted, atol=1e-6)


@pytest.mark.parametrize("family", ALL)
def test_who_asks_for_a_small_image_gets_one_of_that_side_with_its_gradient(family):
    generator = ALL[family]()
    ws = latents(generator, 1).requires_grad_()
    small = synthesise(generator, ws, Drawing(side=generator.resolution // 2))
    assert small.shape[-2:] == (generator.resolution // 2, generator.resolution // 2)
    small.square().sum().backward()
    assert ws.grad.abs().max() > 0
    whole = synthesise(generator, ws, Drawing(side=2 * generator.resolution))
    assert torch.equal(whole, generator.synthesis(ws))


def test_the_noise_that_is_given_is_in_features_and_small_images():
    generator = small_stylegan2()
    for name, strength in generator.named_parameters():
        if name.endswith("noise_strength"):
            strength += 0.5
    ws = latents(generator)
    noise = {name: torch.full_like(stored, 2.0) for name, stored in generator.noise_consts().items()}
    assert not torch.allclose(generator.small_image(ws, 8, noise), generator.small_image(ws, 8))
    given, stored = (list(generator.features(ws, n)) for n in (noise, "const"))
    assert not any(torch.allclose(a, b) for a, b in zip(given, stored, strict=True))
