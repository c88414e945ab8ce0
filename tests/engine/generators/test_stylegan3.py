"""StyleGAN3: the interface, the user transform, and StyleGAN-XL's class table, on small random models."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from golden_outputs import outputs
from small_generators import small_stylegan3, stylegan3_layer

from gan_edit_engine.checkpoints import read_generator
from gan_edit_engine.generators.stylegan3 import LayerSpec, filter_axes


def test_the_interface_keeps_its_shapes() -> None:
    generator = small_stylegan3()
    ws = generator.mapping(torch.randn(2, 6))
    assert ws.shape == (2, generator.num_ws, 10) == (2, 3, 10)
    assert generator.synthesis(ws).shape == (2, 3, 16, 16)
    assert generator.noise_names() == ()
    with pytest.raises(ValueError, match=r"\[N, 3, 10\]"):
        generator.synthesis(ws[:, :2])


def test_gradients_reach_the_latent() -> None:
    generator = small_stylegan3()
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
    generator = small_stylegan3(c_dim=3, embedding_count=5, embedding_features=7)
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
    fields = {**stylegan3_layer("L0", 16, 8).__dict__, **change}
    with pytest.raises(ValueError, match="impossible"):
        LayerSpec(**fields)
