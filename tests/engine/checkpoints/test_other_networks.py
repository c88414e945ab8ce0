"""Files of networks that are no generators are refused by what they are; and what is said of files and models."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from snapshots import (
    nvidia_pickle,
    official_modules,
    persistent,
    rosinality_file,
    small_discriminator,
    small_stylegan2,
    stylegan2_attributes,
    whole_module,
)
from typer.testing import CliRunner

from gan_edit_engine.checkpoints import (
    CheckpointError,
    discriminator_file,
    read_discriminator,
    read_generator,
    safetensors_file,
)
from gan_edit_engine.checkpoints.containers import load_plain
from gan_edit_engine.checkpoints.encoder_file import save_encoder
from gan_edit_engine.cli import models as models_cli
from gan_edit_engine.library.models_folder import MODELS_DIR_VARIABLE
from gan_edit_engine.networks.encoder import Encoder, EncoderConfig


def psp_state(heads: str) -> dict[str, torch.Tensor]:
    """A few of the weights of a pSp, or of an e4e, whose generator lies beside its encoder."""
    encoder = {
        "input_layer.0.weight": torch.zeros(64, 3, 3, 3),
        "body.0.res_layer.1.weight": torch.zeros(64, 64, 3, 3),
        f"styles.0.{heads}.weight": torch.zeros(8, 64, 3, 3),
        "latlayer1.weight": torch.zeros(8, 64, 1, 1),
    }
    decoder = {"style.1.weight": torch.zeros(8, 8), "input.input": torch.zeros(1, 8, 4, 4)}
    found = {f"encoder.{name}": value for name, value in encoder.items()}
    return {**found, **{f"decoder.{name}": value for name, value in decoder.items()}}


@pytest.mark.parametrize("heads", ["convs.0", "linear"])
@pytest.mark.parametrize("part", ["whole", "encoder alone"])
def test_an_encoder_of_the_psp_family_is_named(tmp_path: Path, heads: str, part: str) -> None:
    state = psp_state(heads)
    content: Any = {"state_dict": state, "latent_avg": torch.zeros(18, 8), "opts": {"output_size": 256}}
    if part != "whole":
        content = {k.removeprefix("encoder."): v for k, v in state.items() if k.startswith("encoder.")}
    torch.save(content, tmp_path / "e4e.pt")
    with pytest.raises(CheckpointError, match="it is an encoder, not a generator .*e4e"):
        read_generator(tmp_path / "e4e.pt")


def snapshot_of_a_discriminator() -> bytes:
    with official_modules():
        return pickle.dumps({"D": persistent(small_discriminator(), stylegan2_attributes(None))}, protocol=4)


@pytest.mark.parametrize("form", ["snapshot", "whole module", "state dict", "under a key", "rosinality"])
def test_a_stylegan_discriminator_is_named(tmp_path: Path, form: str) -> None:
    path, discriminator = tmp_path / "d.pkl", small_discriminator()
    if form == "snapshot":
        path.write_bytes(snapshot_of_a_discriminator())
    elif form == "whole module":
        path.write_bytes(whole_module(discriminator, stylegan2_attributes(None)))
    elif form == "rosinality":
        path.write_bytes(rosinality_file(small_stylegan2(), discriminator, trained=False))
        content = load_plain(path)
        assert isinstance(content, dict)
        torch.save({"d": {name: torch.tensor(value.numpy()) for name, value in content["d"].items()}}, path)
    else:
        state = discriminator.state_dict()
        torch.save({"netD": state} if form == "under a key" else state, path)
    with pytest.raises(CheckpointError, match="it is a discriminator, not a generator"):
        read_generator(path)


def test_the_projects_own_encoders_and_discriminators_are_named(tmp_path: Path) -> None:
    save_encoder(tmp_path / "e.safetensors", Encoder(EncoderConfig(6, 8, 1.0)), {})
    discriminator_file.write(tmp_path / "d.safetensors", small_discriminator())
    for name, what in (("e", "an encoder"), ("d", "a discriminator")):
        with pytest.raises(CheckpointError, match=f"it is {what}, not a generator"):
            read_generator(tmp_path / f"{name}.safetensors")


def test_a_discriminator_with_other_mapping_options_is_not_taken_for_a_usual_one(tmp_path: Path) -> None:
    discriminator = small_discriminator(c_dim=2, cmap_dim=8, mapping_layers=2)
    attributes = stylegan2_attributes(None)
    for layer in ("mapping.fc0", "mapping.fc1"):
        attributes[layer] = {"bias_gain": 1.0, "activation": "lrelu"}
    path = tmp_path / "m.pkl"
    path.write_bytes(nvidia_pickle(small_stylegan2(mapping_lr_multiplier=1.0), attributes, discriminator))
    assert read_generator(path)[0].config.mapping_lr_multiplier == 1.0
    with pytest.raises(CheckpointError, match="discriminator's mapping network"):
        read_discriminator(path)


def test_installed_is_said_of_what_a_name_stands_for_and_not_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "models"
    models.mkdir()
    monkeypatch.setenv(MODELS_DIR_VARIABLE, str(models))
    monkeypatch.chdir(tmp_path)
    for path in (models / "mine.safetensors", tmp_path / "file.safetensors"):
        safetensors_file.write(path, small_stylegan2(), {})

    def said(name: str) -> object:
        result = CliRunner().invoke(models_cli.app, ["info", name, "--json"], catch_exceptions=False)
        return json.loads(result.output)["installed"]

    assert [said(name) for name in ("default", "mine", str(models / "mine.safetensors"))] == [True, True, True]
    assert [said(name) for name in ("file.safetensors", str(tmp_path / "file.safetensors"), "ffhq-256")] == [False] * 3
