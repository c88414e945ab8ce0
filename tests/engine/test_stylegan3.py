"""StyleGAN3: the interface, the user transform, and StyleGAN-XL's class table, on small random models."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from golden_outputs import outputs

from gan_edit_engine.checkpoints import read_generator
from gan_edit_engine.generators import build
from gan_edit_engine.generators.stylegan3 import LayerSpec, StyleGAN3, StyleGAN3Config, filter_axes


def layer(name: str, size: int, out: int, torgb: bool = False) -> LayerSpec:
    """Twofold up- and downsampling with 12 taps each: padding 11 + 10 for a 3x3 kernel (StyleGAN3, appendix C.3)."""
    taps = 1 if torgb else 12
    factor = 1 if torgb else 2
    kernel = 1 if torgb else 3
    total = (size - 1) * factor + 1 - (size + kernel - 1) * factor + 2 * taps - 2
    before = (total + factor) // 2
    return LayerSpec(
        name, 8, out, size, size, factor, taps, factor, taps, False, (before, total - before), kernel, torgb, 256.0
    )


def small(**changes: object) -> StyleGAN3:
    torch.manual_seed(0)
    fields = {"z_dim": 6, "c_dim": 0, "w_dim": 10, "resolution": 16, "image_channels": 3, "mapping_layers": 2,
              "input_channels": 8, "input_size": 16, "input_sampling_rate": 16.0, "input_bandwidth": 2.0,
              "layers": (layer("L0", 16, 8), layer("L1", 16, 3, torgb=True))}  # fmt: skip
    generator = build(StyleGAN3Config(**{**fields, **changes})).requires_grad_(False)
    generator.synthesis.input.freqs.normal_()
    generator.synthesis.input.affine.bias.copy_(torch.tensor([1.0, 0, 0, 0]))
    for name in ("up_filter", "down_filter"):
        taps = torch.hann_window(14)[1:13]
        getattr(generator.synthesis.L0, name).copy_(taps / taps.sum())
    return generator


def test_the_interface_keeps_its_shapes() -> None:
    generator = small()
    ws = generator.mapping(torch.randn(2, 6))
    assert ws.shape == (2, generator.num_ws, 10) == (2, 3, 10)
    assert generator.synthesis(ws).shape == (2, 3, 16, 16)
    assert generator.noise_names() == ()
    with pytest.raises(ValueError, match=r"\[N, 3, 10\]"):
        generator.synthesis(ws[:, :2])


def test_gradients_reach_the_latent() -> None:
    generator = small()
    ws = generator.mapping(torch.randn(1, 6)).requires_grad_(True)
    generator.synthesis(ws).square().mean().backward()
    assert (ws.grad.abs().sum(dim=2) > 0).all()


def test_a_separable_filter_equals_its_square_form() -> None:
    x, f = torch.randn(1, 3, 9, 9), torch.randn(4)
    torch.testing.assert_close(filter_axes(x, f, gain=4), filter_axes(x, f.outer(f), gain=4))


def test_the_user_transform_shifts_the_input_by_whole_pixels(golden: Path) -> None:
    """`transform` moves the sampling grid: one pixel further is one over the sampling rate."""
    path = golden / "sg3t_32.pkl"
    generator, _ = read_generator(path)
    layer_input = generator.synthesis.input
    layer_input.affine.weight.zero_()  # no learned rotation or translation
    layer_input.affine.bias.copy_(torch.tensor([1.0, 0, 0, 0]))
    w = outputs(path)["w"][:1]
    still = layer_input(w)
    layer_input.transform[0, 2] = 1 / layer_input.sampling_rate
    torch.testing.assert_close(layer_input(w)[..., :-1], still[..., 1:], atol=1e-4, rtol=0)
    layer_input.transform[:2, 2] = torch.tensor([0, 2 / layer_input.sampling_rate])
    torch.testing.assert_close(layer_input(w)[..., :-2, :], still[..., 2:, :], atol=1e-4, rtol=0)


def test_a_class_table_conditions_the_mapping_and_its_truncation() -> None:
    """StyleGAN-XL: a table of class features, projected, and one mean w per class."""
    generator = small(c_dim=3, embedding_count=5, embedding_features=7)
    keys = set(generator.state_dict())
    assert {"mapping.embed.weight", "mapping.embed_proj.weight", "mapping.embed_proj.bias"} <= keys
    generator.mapping.w_avg.copy_(torch.arange(30.0).reshape(3, 10))
    z, c = torch.randn(1, 6).repeat(2, 1), torch.eye(3)[[0, 2]]
    ws = generator.mapping(z, c)
    assert (ws[0] - ws[1]).abs().max() > 1e-3
    at_mean = generator.mapping(z, c, truncation_psi=0)
    torch.testing.assert_close(at_mean[:, 0], generator.mapping.w_avg[[0, 2]])
    torch.testing.assert_close(generator.w_avg, generator.mapping.w_avg.mean(dim=0))


@pytest.mark.parametrize("change", [{"up_taps": 10**9}, {"in_size": 10**9}, {"padding": (10**9, 0)}, {"name": "a.b"}])
def test_an_impossible_layer_is_refused(change: dict[str, object]) -> None:
    fields = {**layer("L0", 16, 8).__dict__, **change}
    with pytest.raises(ValueError, match="impossible"):
        LayerSpec(**fields)
