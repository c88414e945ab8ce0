"""Winograd's convolution is the plain one, and only searches in large models are computed by it."""

from __future__ import annotations

import pytest
import torch
from small_generators import small_stylegan2
from torch.nn import functional as F

from gan_edit_engine.generators import stylegan2_blocks, winograd


@pytest.mark.parametrize("shape", [(1, 5, 4, 4), (2, 3, 8, 12), (1, 16, 16, 16)])
def test_it_is_the_plain_convolution_with_its_gradient(shape):
    torch.manual_seed(0)
    weight = torch.randn(7, shape[1], 3, 3)
    kernels = winograd.transformed(weight), winograd.transformed_for_gradient(weight)
    images, gradients = [], []
    for convolve in (lambda x: F.conv2d(x, weight, padding=1), lambda x: winograd.convolve(x, *kernels)):
        x = torch.linspace(-1, 1, torch.Size(shape).numel()).sin().view(shape).requires_grad_()
        images.append(convolve(x))
        images[-1].sin().sum().backward()
        gradients.append(x.grad)
    torch.testing.assert_close(images[0], images[1], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-4)


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sides of the feature maps that it was used for; layers of 8 channels are wide here."""
    monkeypatch.setattr(stylegan2_blocks, "LEAST_TRANSFORMED_CHANNELS", 8)
    sides, convolve = [], winograd.convolve
    monkeypatch.setattr(winograd, "convolve", lambda x, *kernels: (sides.append(x.shape[-1]), convolve(x, *kernels))[1])
    return sides


def test_a_search_in_a_large_model_has_the_gradient_of_the_plain_way(used, monkeypatch):
    generator = small_stylegan2(resolution=256, channel_base=1024)
    gradients = []
    for largest in (128, 1024):  # the second: as a small model
        monkeypatch.setattr(stylegan2_blocks, "LARGEST_FOLDED", largest)
        fresh = small_stylegan2(resolution=256, channel_base=1024)
        ws = generator.mapping(torch.ones(1, 8)).requires_grad_()
        image = fresh.small_image(ws, 64)
        image.square().mean().backward()
        gradients.append((image.detach(), ws.grad))
    assert used == [16, 32, 64]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_what_is_given_is_drawn_plainly(used):
    generator = small_stylegan2(resolution=256, channel_base=1024)
    ws = generator.mapping(torch.ones(1, 8))
    generator.synthesis(ws)
    with torch.no_grad():
        generator.synthesis(ws.clone().requires_grad_())
    small = small_stylegan2(resolution=64, channel_base=1024)
    small.synthesis(small.mapping(torch.ones(1, 8)).requires_grad_())
    generator.requires_grad_(True).synthesis(ws.clone().requires_grad_())
    assert used == []


def test_the_kernels_follow_the_weights(used):
    generator = small_stylegan2(resolution=256, channel_base=1024)
    ws = generator.mapping(torch.ones(1, 8)).requires_grad_()
    before = generator.small_image(ws, 16)
    generator.synthesis.b16.conv1.weight.mul_(torch.randn(8, 8, 3, 3))
    after = generator.small_image(ws, 16)
    assert (after - before).abs().max() > 1e-3
    with torch.no_grad():
        torch.testing.assert_close(generator.small_image(ws, 16), after.detach(), rtol=1e-3, atol=1e-4)
    assert used == [16, 16]
