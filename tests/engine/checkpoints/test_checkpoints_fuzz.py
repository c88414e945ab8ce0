"""A few hundred mutations of small checkpoints (scripts/fuzz_checkpoints.py runs the hundred thousands)."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from snapshots import (
    nvidia_pickle,
    rosinality_file,
    small_discriminator,
    small_stylegan2,
    small_stylegan3,
    stylegan2_attributes,
    stylegan3_attributes,
    tensorflow_pickle,
    whole_module,
)

from gan_edit_engine.checkpoints import CheckpointError, read_generator, safetensors_file

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "fuzz_checkpoints.py"


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One small checkpoint of each format."""
    folder = tmp_path_factory.mktemp("seeds")
    tiny = {"resolution": 8, "channel_base": 16, "channel_max": 2}
    generator, discriminator = small_stylegan2(z_dim=2, w_dim=2, **tiny), small_discriminator(**tiny)
    third = small_stylegan3()
    contents = {
        "stylegan2.pkl": nvidia_pickle(generator, stylegan2_attributes(256.0), discriminator),
        "stylegan3.pkl": nvidia_pickle(third, stylegan3_attributes(third), None),
        "whole.pt": whole_module(generator, stylegan2_attributes(None)),
        "whole_old.pt": whole_module(generator, stylegan2_attributes(None), legacy=True),
        "tensorflow.pkl": tensorflow_pickle(generator, discriminator),
        "rosinality.pt": rosinality_file(generator, None, trained=False),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    torch.save(generator.state_dict(), folder / "state.pt")
    safetensors_file.write(folder / "stylegan2.safetensors", generator, {"name": "tiny"})
    safetensors_file.write(folder / "stylegan3.safetensors", third, {"name": "tiny"})
    return sorted(folder.iterdir())


def test_mutated_checkpoints_are_accepted_or_refused_in_one_line(seeds: list[Path], tmp_path: Path) -> None:
    specification = importlib.util.spec_from_file_location("fuzz_checkpoints", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    count = script.fuzz(seeds, inputs=500, seed=0, seconds=0, workspace=tmp_path)
    assert count["found"] == 0
    assert count["refused"] > 300
    assert count["accepted"] > 0


@given(
    head=st.sampled_from([b"", b"\x80\x02", b"\x80\x04", b"PK\x03\x04", b"\x10\0\0\0\0\0\0\0{"]),
    body=st.binary(max_size=300),
)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_noise_behind_any_head_is_refused(tmp_path_factory: pytest.TempPathFactory, head: bytes, body: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.pkl"
    path.write_bytes(head + body)
    with pytest.raises(CheckpointError) as caught:
        read_generator(path)
    assert "\n" not in str(caught.value)
