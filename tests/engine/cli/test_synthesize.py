"""`gan-edit synthesize`: every golden through the function behind the command, and plain sentences for bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from golden_outputs import CHECKPOINTS, outputs, tolerance

from gan_edit_engine.cli.synthesize import synthesize
from gan_edit_engine.library.models import open_model
from gan_edit_protocol.errors import GanEditError


def make(tmp_path: Path, model: str | Path, noise: str = "const", **arrays: object) -> np.ndarray:
    np.savez(tmp_path / "x.npz", **{name: np.asarray(value) for name, value in arrays.items()})
    count = synthesize(model, tmp_path / "x.npz", tmp_path / "y.npz", noise)
    with np.load(tmp_path / "y.npz") as made:
        assert made.files == ["image"]
        image = made["image"]
    assert image.dtype == np.float32
    assert len(image) == count
    return image


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_every_golden_passes_through_synthesize(golden: Path, tmp_path: Path, name: str) -> None:
    expected = outputs(golden / name)
    image = "img" if "img" in expected else "img_const"
    latents = {"z": {"z": expected["z"], **({"c": expected["c"]} if "c" in expected else {})}}
    latents |= {key: {key: expected[key]} for key in ("w", "ws") if key in expected}
    for given in latents.values():
        assert np.abs(make(tmp_path, golden / name, **given) - expected[image].numpy()).max() < tolerance(name)
    if "img_none" in expected:
        without = make(tmp_path, golden / name, noise="none", z=expected["z"], c=expected.get("c", np.zeros(0)))
        assert np.abs(without - expected["img_none"].numpy()).max() < tolerance(name)
    if "wplus" in expected:
        wplus = make(tmp_path, golden / name, ws=expected["wplus"])
        assert np.abs(wplus - expected["img_wplus"].numpy()).max() < tolerance(name)


def test_the_default_model_is_synthesized_by_name(tmp_path: Path) -> None:
    z = torch.randn(5, 512, generator=torch.Generator().manual_seed(0))
    image = make(tmp_path, "default", z=z)
    expected = open_model("default").generator(z).numpy()
    np.testing.assert_allclose(image, expected, atol=1e-5)


def test_what_the_official_projector_writes_is_synthesized(tmp_path: Path) -> None:
    ws = open_model("default").generator.mapping(torch.randn(2, 512, generator=torch.Generator().manual_seed(1)))
    expected = make(tmp_path, "default", ws=ws)
    np.testing.assert_array_equal(make(tmp_path, "default", w=ws), expected)
    np.testing.assert_allclose(make(tmp_path, "default", w=ws[:1]), expected[:1], atol=1e-5)


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"z": np.zeros((2, 7))}, r"z must be \[N, 512\], not \[2, 7\]"),
        ({"w": np.zeros((2, 3, 512))}, r"w must be \[N, 512\]"),
        ({"ws": np.zeros((2, 512))}, r"ws must be \[N, 14, 512\]"),
        ({"x": np.zeros((2, 512))}, "none of the arrays ws, w, z"),
        ({"z": np.full((1, 512), np.nan)}, "not finite"),
        ({"z": np.zeros((0, 512))}, "no latents"),
        ({"z": np.array(["a"])}, "not a readable .npz"),
        ({"z": np.array([{}], dtype=object)}, "not a readable .npz"),
    ],
)
def test_unfit_latents_are_refused_in_one_sentence(tmp_path: Path, arrays: dict[str, np.ndarray], reason: str) -> None:
    with pytest.raises(GanEditError, match=reason) as caught:
        make(tmp_path, "default", **arrays)
    assert "\n" not in caught.value.message
    assert not (tmp_path / "y.npz").exists()


def test_a_conditional_model_asks_for_classes(golden: Path, tmp_path: Path) -> None:
    with pytest.raises(GanEditError, match=r"class vectors c of shape \[2, 3\]"):
        make(tmp_path, golden / "sg2ada_auto_cond_32_full.pkl", z=np.zeros((2, 32)))


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 truncated"])
def test_a_file_that_is_no_npz_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(GanEditError, match="x.npz is not a readable .npz"):
        synthesize("default", tmp_path / "x.npz", tmp_path / "y.npz")


def test_a_missing_input_and_an_unknown_noise_are_named(tmp_path: Path) -> None:
    with pytest.raises(GanEditError, match="no file missing.npz"):
        synthesize("default", tmp_path / "missing.npz", tmp_path / "y.npz")
    with pytest.raises(GanEditError, match="'random'"):
        synthesize("default", tmp_path / "missing.npz", tmp_path / "y.npz", noise="random")
