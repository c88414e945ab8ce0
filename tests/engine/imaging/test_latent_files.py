"""Latents in files: all that belongs to them comes back, and what is none is refused."""

from __future__ import annotations

import dataclasses
import json
import zlib
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from gan_edit_engine.imaging import image_files
from gan_edit_engine.imaging.arrays import to_message
from gan_edit_engine.imaging.image_files import Picture
from gan_edit_engine.imaging.latent_files import read_latent, read_latent_of, write_latent
from gan_edit_engine.imaging.latent_notes import with_latent
from gan_edit_engine.imaging.picture_notes import chunk
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.latent import Latent
from protocol.stored import DATA, STORED

LATENT = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_noise_residual_z_truncation_and_model_come_back_with_the_latent(tmp_path: Path) -> None:
    latent = Latent(
        to_message(LATENT),
        noise=to_message(np.ones((1, 1024), np.float32)),
        residual=to_message(np.full((2, 3, 3), 0.5, np.float16).view(np.uint16)),
        z=to_message(np.zeros(4, np.float32)),
        truncation_psi=0.7,
        model="cats128",
    )
    write_latent(tmp_path / "a.safetensors", latent)
    assert read_latent(tmp_path / "a.safetensors") == latent
    written = load_file(tmp_path / "a.safetensors")
    assert {name: values.dtype.name for name, values in written.items()} == {
        "latent": "float32",
        "noise": "float32",
        "residual": "float16",
        "z": "float32",
    }


def test_a_png_carries_its_latent_and_stays_the_same_picture(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    plain = image_files.encode_png(Picture(pixels, resolution=(300.0, 300.0)))
    (tmp_path / "a.png").write_bytes(with_latent(plain, STORED))
    assert read_latent(tmp_path / "a.png") == STORED
    picture = image_files.read_picture(tmp_path / "a.png")
    assert np.array_equal(picture.pixels, pixels)
    assert picture.resolution == pytest.approx((300.0, 300.0), abs=0.01)


@pytest.mark.parametrize("text", [None, b"[]", b"{}", b"not JSON", b'{"model": 1}'])
def test_a_png_without_a_sound_latent_is_refused_in_one_sentence(tmp_path: Path, text: bytes | None) -> None:
    png = image_files.encode_png(Picture(np.zeros((2, 2, 3), np.uint8)))
    if text is not None:
        png = png[:33] + chunk(b"zTXt", b"gan-edit-latent\0\0" + zlib.compress(text)) + png[33:]
    (tmp_path / "a.png").write_bytes(png)
    with pytest.raises(GanEditError, match="holds no latent") as caught:
        read_latent(tmp_path / "a.png")
    assert caught.value.code == "bad_latent"


@pytest.mark.parametrize("name", ["all", "edit", "of_the_first_version"])
def test_files_that_earlier_versions_wrote_are_read(name: str) -> None:
    expected = dataclasses.replace(STORED, model="cats128")
    if name == "edit":
        expected = dataclasses.replace(expected, z=None, residual=None, truncation_psi=1.0)
    if name == "of_the_first_version":
        expected = Latent(STORED.ws, model="cats128")
    assert read_latent(DATA / "latents" / f"{name}.safetensors") == expected


@pytest.mark.parametrize("name", ["all", "edit"])
def test_a_file_is_written_as_earlier_versions_wrote_it(tmp_path: Path, name: str) -> None:
    stored = DATA / "latents" / f"{name}.safetensors"
    write_latent(tmp_path / "again", read_latent(stored))
    (header, values), (stored_header, stored_values) = in_two(tmp_path / "again"), in_two(stored)
    assert json.loads(header) == json.loads(stored_header)
    assert values == stored_values


def in_two(path: Path) -> tuple[bytes, bytes]:
    """A safetensors file's header, whose entries have no order, and its values."""
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    return content[8:end], content[end:]


def test_a_file_with_nothing_but_a_latent_is_read(tmp_path: Path) -> None:
    save_file({"latent": LATENT, "something else": LATENT}, tmp_path / "a.safetensors")
    again = read_latent(tmp_path / "a.safetensors")
    assert (again.noise, again.z, again.truncation_psi, again.model) == (None, None, 1.0, "")


@pytest.mark.parametrize(
    ("tensors", "header"),
    [
        ({"noise": LATENT}, {}),
        ({"latent": LATENT[0]}, {}),
        ({"latent": LATENT.astype(np.float64)}, {}),
        ({"latent": LATENT, "z": LATENT}, {}),
        ({"latent": LATENT, "residual": np.zeros((2, 3, 3), np.uint16)}, {}),
        ({"latent": LATENT, "residual": np.zeros((2, 3, 3), np.float32)}, {}),
        ({"latent": LATENT}, {"truncation_psi": "nan"}),
        ({"latent": LATENT}, {"truncation_psi": "much"}),
    ],
)
def test_what_is_no_latent_is_refused(tmp_path: Path, tensors: dict[str, np.ndarray], header: dict[str, str]) -> None:
    save_file(tensors, tmp_path / "a.safetensors", header)
    with pytest.raises(GanEditError, match="a.safetensors"):
        read_latent(tmp_path / "a.safetensors")


def test_a_latent_of_another_model_is_refused_by_both_names(tmp_path: Path) -> None:
    write_latent(tmp_path / "a.safetensors", Latent(to_message(LATENT), model="cats256"))
    for model in ("default", "cats256", "/elsewhere/cats256.safetensors"):
        assert read_latent_of(tmp_path / "a.safetensors", model).model == "cats256"
    with pytest.raises(GanEditError, match="of the model cats256, not dogs"):
        read_latent_of(tmp_path / "a.safetensors", "dogs")


def test_a_latent_of_the_default_before_is_one_of_the_default(tmp_path: Path) -> None:
    write_latent(tmp_path / "a.safetensors", Latent(to_message(LATENT), model="cats128"))
    for model in ("default", "cats256", "cats128"):
        assert read_latent_of(tmp_path / "a.safetensors", model).model == "cats128"


# --- other programs' files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arrays",
    [
        {"w": LATENT[None]},
        {"ws": LATENT[None].astype(np.float64)},
        {"w": LATENT},
        {"ws": LATENT, "w": LATENT * 2, "z": LATENT[0]},
    ],
)
def test_what_the_official_projector_writes_is_a_latent(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    np.savez(tmp_path / "projected_w.npz", **arrays)
    again = read_latent_of(tmp_path / "projected_w.npz", "any")
    assert again == Latent(to_message(LATENT))


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"z": LATENT}, "holds no latent"),
        ({"w": LATENT[0]}, "holds no latent"),
        ({"w": np.zeros((0, 2, 3))}, "holds no latent"),
        ({"w": np.stack([LATENT] * 3)}, "holds 3 latents"),
        ({"w": LATENT[None] * np.nan}, "no numbers"),
        ({"w": np.array(["a"])}, "not a readable .npz"),
        ({"w": np.array([{}], dtype=object)}, "not a readable .npz"),
    ],
)
def test_an_npz_without_one_latent_is_refused(tmp_path: Path, arrays: dict[str, np.ndarray], said: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(GanEditError, match=said):
        read_latent(tmp_path / "a.npz")


@pytest.mark.parametrize("name", ["latent", "noise", "z"])
def test_values_that_are_no_numbers_are_refused_at_once(tmp_path: Path, name: str) -> None:
    tensors = {"latent": LATENT, "noise": np.zeros((1, 1024), np.float32), "z": np.zeros(4, np.float32)}
    tensors[name] = tensors[name] + np.float32(np.inf)
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(GanEditError, match="no numbers"):
        read_latent(tmp_path / "a.safetensors")
