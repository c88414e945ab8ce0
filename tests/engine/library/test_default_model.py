"""What GIMP shows for the default model is what that model's own file says."""

from __future__ import annotations

from gan_edit_engine.library.models import model_info
from gan_edit_engine.library.models_folder import DEFAULT_NAMES, default_model_path
from gan_edit_protocol.default_model import DEFAULT, DEFAULT_SHOWN, meant_model, shown_model


def test_the_default_model_is_shown_as_what_it_is() -> None:
    info = model_info(default_model_path())
    assert f"{info.name}: {info.domain}".startswith(f"{DEFAULT_SHOWN},")
    assert DEFAULT_NAMES[0] == DEFAULT


def test_what_is_shown_means_the_model_and_other_names_are_their_own() -> None:
    assert shown_model("default") == "cats128: cat face"
    for name in ("default", "cats128", "/a/file.pt", ""):
        assert meant_model(shown_model(name)) == name
