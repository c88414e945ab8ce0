"""What GIMP shows for the default model is what that model's own file says."""

from __future__ import annotations

from gan_edit_engine.library.models import model_info
from gan_edit_engine.library.models_folder import DEFAULT_NAMES, EARLIER_DEFAULT, default_model_path, find_model
from gan_edit_protocol.default_model import DEFAULT, DEFAULT_SHOWN, meant_model, shown_model


def test_the_default_model_is_shown_as_what_it_is() -> None:
    info = model_info(default_model_path())
    assert f"{info.name}: {info.domain}".startswith(f"{DEFAULT_SHOWN},")
    assert DEFAULT_NAMES[0] == DEFAULT


def test_what_is_shown_means_the_model_and_other_names_are_their_own() -> None:
    assert shown_model("default") == "cats256: cat face"
    for name in ("default", "cats256", "/a/file.pt", ""):
        assert meant_model(shown_model(name)) == name


def test_what_was_made_with_the_default_before_finds_the_default() -> None:
    assert [find_model(name) for name in DEFAULT_NAMES] == [default_model_path()] * 3
    assert model_info(default_model_path()).name != EARLIER_DEFAULT


def test_the_models_that_come_with_the_package_are_small_and_of_one_default() -> None:
    files = [file for file in default_model_path().parent.iterdir() if file.suffix in (".safetensors", ".onnx")]
    assert sum(file.stat().st_size for file in files) < 20e6
    assert [file.name for file in files if EARLIER_DEFAULT in file.name] == []
