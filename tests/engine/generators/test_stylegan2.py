"""StyleGAN2: the fast paths equal the plain ones, the interface keeps its shapes, and the default model draws cats."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from default_size import SIDE
from gan_edit_engine.generators import StateMismatchError, build, build_with_weights
from gan_edit_engine.generators.layers import (
    fir,
    fold_up_conv,
    make_filter,
    up_conv_folded,
    up_conv_reference,
    upsample,
)
from gan_edit_engine.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from gan_edit_engine.generators.stylegan2_blocks import SynthesisLayer
from gan_edit_engine.library.models import open_model

SMALL = {"z_dim": 16, "w_dim": 24, "resolution": 16, "channel_base": 256, "channel_max": 16, "mapping_layers": 2}
SYMLET = (0.0154, 0.0035, -0.1180, -0.0483, 0.4911, 0.7876, 0.3379, -0.0726, -0.0211, 0.0447, 0.0018, -0.0078)


def small(**changes: object) -> StyleGAN2:
    torch.manual_seed(0)
    generator = build(StyleGAN2Config(**{**SMALL, **changes}))
    for name in generator.synthesis.conv_names():
        if generator.config.use_noise:
            generator.synthesis.get_submodule(name).noise_strength.data.fill_(0.3)
    return generator.requires_grad_(False)


@pytest.mark.parametrize("taps", [(1,), (1, 1), (1, 2, 1), (1, 3, 3, 1), (1, 4, 6, 4, 1), (5, 1, 0, 2), SYMLET])
def test_the_folded_up_convolution_equals_the_plain_one(taps: tuple[float, ...]) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(2, 3, 7, 5), torch.randn(4, 3, 3, 3)
    f = make_filter(taps)
    expected = up_conv_reference(x, weight, f)
    got = up_conv_folded(x, fold_up_conv(weight, f))
    assert got.shape == (2, 4, 14, 10)
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)


def test_the_folded_kernel_of_the_usual_filter_is_three_wide() -> None:
    assert fold_up_conv(torch.randn(4, 3, 3, 3), make_filter((1, 3, 3, 1))).shape == (16, 3, 3, 3)


def test_filtering_is_a_true_convolution() -> None:
    x = torch.zeros(1, 1, 5, 5)
    x[0, 0, 2, 2] = 1
    f = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert torch.equal(fir(x, f, gain=1, padding=(1, 0))[0, 0, 2:4, 2:4], f)


@pytest.mark.parametrize("taps", [(1, 3, 3, 1), (1, 2, 1), SYMLET])
def test_upsampling_keeps_a_flat_image_flat(taps: tuple[float, ...]) -> None:
    up = upsample(torch.ones(1, 2, 16, 16), make_filter(taps))
    assert up.shape == (1, 2, 32, 32)
    # Each of the four phases must add up to about one; odd or rounded taps miss it by a little.
    torch.testing.assert_close(up[:, :, 12:20, 12:20].mean(), torch.tensor(1.0), atol=1e-3, rtol=0)


def test_scaled_activations_equal_per_sample_modulated_kernels() -> None:
    """Equation 3 of the StyleGAN2 paper, computed literally with grouped convolution."""
    torch.manual_seed(0)
    config = StyleGAN2Config(**SMALL)
    layer = SynthesisLayer(6, 5, 16, 1, config).requires_grad_(False)
    x, w = torch.randn(3, 6, 16, 16), torch.randn(3, 24)
    styles = layer.affine(w)
    kernels = layer.weight[None] * styles[:, None, :, None, None]
    kernels = kernels / (kernels.square().sum(dim=[2, 3, 4], keepdim=True) + 1e-8).sqrt()
    expected = F.conv2d(x.reshape(1, 18, 16, 16), kernels.reshape(15, 6, 3, 3), padding=1, groups=3)
    expected = F.leaky_relu(expected.reshape(3, 5, 16, 16), 0.2) * math.sqrt(2)
    torch.testing.assert_close(layer(x, w, noise="none"), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
@pytest.mark.parametrize("resolution", [8, 32])
@pytest.mark.parametrize("image_channels", [1, 3])
def test_every_architecture_keeps_the_interface(architecture: str, resolution: int, image_channels: int) -> None:
    generator = small(architecture=architecture, resolution=resolution, image_channels=image_channels, c_dim=2)
    c = torch.eye(2)[[0, 1, 1]]
    ws = generator.mapping(torch.randn(3, 16), c)
    assert ws.shape == (3, generator.num_ws, generator.w_dim)
    assert generator.num_ws == 2 * int(math.log2(resolution)) - 2
    assert generator.synthesis(ws).shape == (3, image_channels, resolution, resolution)


@pytest.mark.slow
def test_a_generator_of_1024_pixels_runs() -> None:
    generator = small(resolution=1024, channel_base=4096, channel_max=8)
    image = generator(torch.randn(1, 16))
    assert image.shape == (1, 3, 1024, 1024)
    assert torch.isfinite(image).all()


def test_given_noise_equals_stored_noise_and_differs_from_none() -> None:
    generator = small()
    ws = generator.mapping(torch.randn(2, 16))
    const = generator.synthesis(ws, noise="const")
    torch.testing.assert_close(generator.synthesis(ws, noise=generator.noise_consts()), const)
    torch.testing.assert_close(generator.synthesis(ws, noise={}), generator.synthesis(ws, noise="none"))
    assert (const - generator.synthesis(ws, noise="none")).abs().max() > 0.01
    assert (generator.synthesis(ws, noise="random") - generator.synthesis(ws, noise="random")).abs().max() > 0.01


def test_an_unknown_noise_name_is_refused() -> None:
    generator = small()
    with pytest.raises(ValueError, match="b64.conv1"):
        generator.synthesis(torch.zeros(1, generator.num_ws, 24), noise={"b64.conv1": torch.zeros(64, 64)})


def test_a_generator_without_noise_has_no_noise_keys() -> None:
    generator = small(use_noise=False)
    assert generator.noise_names() == ()
    assert not [key for key in generator.state_dict() if "noise" in key]


def test_clamping_bounds_every_activation() -> None:
    generator = small(conv_clamp=0.5)
    seen = []
    generator.synthesis.b16.conv1.register_forward_hook(lambda *call: seen.append(call[-1].abs().max()))
    generator(torch.randn(2, 16))
    assert seen[0] == 0.5


def test_truncation_zero_is_the_mean_and_the_cutoff_limits_it() -> None:
    generator = small()
    generator.mapping.w_avg.copy_(torch.arange(24.0))
    z = torch.randn(2, 16)
    assert torch.equal(generator.mapping(z, truncation_psi=0), generator.w_avg.expand(2, generator.num_ws, 24))
    cut = generator.mapping(z, truncation_psi=0, truncation_cutoff=2)
    assert torch.equal(cut[:, 2:], generator.mapping(z)[:, 2:])
    assert torch.equal(cut[:, :2], generator.w_avg.expand(2, 2, 24))


def test_a_conditional_model_asks_for_its_classes() -> None:
    generator = small(c_dim=3)
    with pytest.raises(ValueError, match="conditional"):
        generator(torch.randn(1, 16))
    with pytest.raises(ValueError, match=r"\[1, 3\]"):
        generator(torch.randn(1, 16), torch.zeros(1, 2))


def test_every_parameter_gets_a_gradient() -> None:
    generator = small(architecture="resnet", c_dim=2).requires_grad_(True)
    generator(torch.randn(2, 16), torch.eye(2)).square().mean().backward()
    without = [name for name, p in generator.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


def test_prepared_kernels_follow_the_weights() -> None:
    """A trainer that evaluates between steps must see the new weights, in whatever mode it evaluates."""
    generator = small()
    ws = generator.mapping(torch.randn(1, 16))
    before = generator.synthesis(ws)
    generator.synthesis.b8.conv0.weight.mul_(torch.randn(16, 16, 3, 3))
    after = generator.synthesis(ws)
    assert (after - before).abs().max() > 1e-3
    fresh = small()
    fresh.load_state_dict(generator.state_dict())
    torch.testing.assert_close(fresh.synthesis(ws), after)


def test_bfloat16_feature_maps_stay_close() -> None:
    generator = small()
    ws = generator.mapping(torch.randn(2, 16))
    exact = generator.synthesis(ws)
    generator.synthesis.set_compute_dtype(torch.bfloat16)
    fast = generator.synthesis(ws)
    assert fast.dtype == torch.float32
    assert (fast - exact).abs().mean() < 0.02 * exact.abs().mean()


def test_weights_enter_by_exact_name_shape_and_finite_value() -> None:
    config = StyleGAN2Config(**SMALL)
    state = small().state_dict()
    torch.testing.assert_close(
        build_with_weights(config, state)(torch.ones(1, 16)), small()(torch.ones(1, 16)), atol=0, rtol=0
    )
    name = "synthesis.b8.conv0.weight"
    with pytest.raises(StateMismatchError, match=f"{name} is missing"):
        build_with_weights(config, {k: v for k, v in state.items() if k != name})
    with pytest.raises(StateMismatchError, match="synthesis.b99.extra does not belong"):
        build_with_weights(config, {**state, "synthesis.b99.extra": torch.zeros(1)})
    with pytest.raises(StateMismatchError, match=r"\[16, 16, 1, 1\] instead of \[16, 16, 3, 3\]"):
        build_with_weights(config, {**state, name: torch.zeros(16, 16, 1, 1)})
    with pytest.raises(StateMismatchError, match="NaN"):
        build_with_weights(config, {**state, name: torch.full((16, 16, 3, 3), float("nan"))})


@pytest.mark.parametrize(
    "change", [{"resolution": 48}, {"architecture": "unet"}, {"image_channels": 4}, {"channel_base": 3}, {"z_dim": 0}]
)
def test_an_impossible_configuration_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        StyleGAN2Config(**{**SMALL, **change})


def test_the_default_model_draws_faces_that_are_alike_and_differ() -> None:
    """Aligned faces: in range, their mean like its mirror image but not like itself upside down, all different."""
    model = open_model("default")
    torch.manual_seed(0)
    images = model.generator(torch.randn(32, 512), truncation_psi=0.7)
    assert images.shape == (32, 3, SIDE, SIDE)
    assert (images.abs() - 1).clamp_min(0).mean() < 0.02, "little is cut off when the image becomes bytes"
    mean = images.mean(dim=(0, 1))

    def likeness(other: torch.Tensor) -> float:
        return float(torch.corrcoef(torch.stack([mean.flatten(), other.flatten()]))[0, 1])

    assert likeness(mean.flip(1)) > 0.35
    assert likeness(mean.flip(0)) < 0.2
    assert 0.3 < images.std(dim=0).mean() < 0.8
