"""A checkpoint that is imported in a shell is one of GIMP's models, and works there under its name."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import torch

from gan_edit_engine import generators
from gan_edit_engine.cli import install
from gan_edit_engine.generators.stylegan2 import StyleGAN2Config
from gan_edit_engine.library.models_folder import MODELS_DIR_VARIABLE
from gimp.harness import HeadlessGimp

pytestmark = [pytest.mark.gimp, pytest.mark.slow]


def test_a_checkpoint_imported_in_a_shell_appears_in_gimps_list_and_draws(
    gimp: HeadlessGimp, profile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MODELS_DIR_VARIABLE, str(tmp_path / "models"))
    config = StyleGAN2Config(z_dim=8, w_dim=8, resolution=16, channel_base=64, channel_max=8, mapping_layers=1)
    torch.manual_seed(0)
    torch.save(generators.build(config).state_dict(), tmp_path / "tiny.pt")
    words = [*install.engine_program(), "models", "import", str(tmp_path / "tiny.pt"), "--name", "tiny-cats"]
    subprocess.run(words, check=True, capture_output=True)

    plug_in = profile / "plug-ins" / "gan-edit" / "gan-edit.json"
    answer = gimp.run("imported", str(plug_in), str(tmp_path), "tiny-cats")
    assert "tiny-cats" in answer["models"]
    assert answer["random"] == "success"
    assert answer["layer"]["name"] == "GAN Edit: random (tiny-cats)"
    assert answer["layer"]["size"] == [16, 16]
