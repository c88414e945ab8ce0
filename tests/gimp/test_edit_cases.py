"""The scribble edit on every kind of image, in a real GIMP 3 with the real engine."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from gimp.harness import HeadlessGimp

pytestmark = [pytest.mark.gimp, pytest.mark.slow]


def case(feather: float = 0.0, selected: bool = True, numbers: str = "", **image: Any) -> dict[str, Any]:
    return {"image_options": image, "feather": feather, "selected": selected, "numbers": numbers}


CASES = {
    "rgb": case(),
    "the same again": case(),
    "rgb with alpha": case(alpha=True),
    "gray": case(mode="gray"),
    "gray with alpha": case(mode="gray", alpha=True),
    "16-bit gray": case(mode="gray", precision="U16_NON_LINEAR"),
    "indexed": case(mode="indexed"),
    "indexed with alpha": case(mode="indexed", alpha=True),
    "16-bit": case(precision="U16_NON_LINEAR"),
    "16-bit with a profile": case(precision="U16_NON_LINEAR", profile="adobe"),
    "16-bit linear": case(precision="U16_LINEAR"),
    "8-bit with a profile": case(profile="adobe"),
    "8-bit linear": case(precision="U8_LINEAR"),
    "float": case(precision="FLOAT_NON_LINEAR"),
    "float linear with alpha and a profile": case(precision="FLOAT_LINEAR", alpha=True, profile="adobe"),
    "half": case(precision="HALF_NON_LINEAR", profile="adobe"),
    "layer with offsets": case(offset=(-10, 14)),
    "feathered": case(feather=12),
    "feathered, offsets, 16-bit": case(feather=12, offset=(7, -9), precision="U16_NON_LINEAR"),
    "no selection": case(selected=False),
    "in a group": case(group=True, feather=6),
    "in a group, float": case(group=True, feather=6, precision="FLOAT_NON_LINEAR"),
}
ROUNDED_BY_GIMP = {
    "32-bit": case(precision="U32_NON_LINEAR", numbers="I"),
    "float gray": case(mode="gray", precision="FLOAT_LINEAR", numbers="f"),
}
"""GIMP composites in float RGB, which cannot hold these exactly: it rounds what is seen under any second layer."""
FLOAT_ROUNDING = 2.0**-22
"""Four times float32's last place, relative to white."""


@pytest.fixture(scope="module")
def edited(gimp: HeadlessGimp) -> dict[str, Any]:
    """What each case's edit did to its image; one GIMP runs them all."""
    answers: dict[str, Any] = gimp.run("edit_cases", {**CASES, **ROUNDED_BY_GIMP})
    return answers


@pytest.mark.parametrize("name", CASES)
def test_not_one_bit_changes_outside_the_selection(edited: dict[str, Any], name: str) -> None:
    assert edited[name]["status"] == "success", edited[name]
    assert edited[name]["changed_outside"] == 0
    assert edited[name]["photo_untouched"]


@pytest.mark.parametrize("name", ROUNDED_BY_GIMP)
def test_where_gimp_itself_rounds_nothing_else_changes_outside_the_selection(edited: dict[str, Any], name: str) -> None:
    assert edited[name]["photo_untouched"]
    assert edited[name]["moved_outside"] <= FLOAT_ROUNDING
    assert edited[name]["moved_inside"] > 100 * FLOAT_ROUNDING


@pytest.mark.parametrize("name", [name for name in CASES if "indexed" not in name])
def test_something_changes_inside_the_selection(edited: dict[str, Any], name: str) -> None:
    assert edited[name]["changed_inside"] > 100


@pytest.mark.parametrize("name", ["indexed", "indexed with alpha"])
def test_an_indexed_image_stays_indexed_and_keeps_its_palette(edited: dict[str, Any], name: str) -> None:
    assert edited[name]["layer"]["type"] == edited[name]["photo"]["type"]
    assert edited[name]["palette_kept"]


@pytest.mark.parametrize("name", CASES)
def test_the_result_is_a_masked_layer_right_above_the_photo(edited: dict[str, Any], name: str) -> None:
    layer, photo = edited[name]["layer"], edited[name]["photo"]
    assert layer["name"] == "GAN Edit: scribble (cats256)"
    assert (layer["parent"], layer["position"]) == (photo["parent"], photo["position"] - 1)
    assert layer["encoding"] == photo["encoding"]
    assert layer["mask"] is not None
    assert edited[name]["selected_layers"] == ["photo"]
    assert edited[name]["channels"] == 0
    assert edited[name]["scribble_visible"] is False


def test_a_feathered_selection_gives_a_feathered_layer_mask(edited: dict[str, Any]) -> None:
    assert len(edited["feathered"]["layer"]["mask"]) > len(edited["rgb"]["layer"]["mask"])


def test_the_latent_is_kept_with_the_layer(edited: dict[str, Any]) -> None:
    kept = json.loads(edited["rgb"]["latent"])
    values = base64.b64decode(kept["data"])
    assert kept["model"] == "cats256"
    assert kept["settings"]["edit_steps"] == 12
    assert kept["dtype"] == "float32"
    assert len(values) == 4 * kept["shape"][0] * kept["shape"][1]
    assert any(values)


def test_the_same_request_gives_the_same_image(edited: dict[str, Any]) -> None:
    assert edited["rgb"]["digest"] == edited["the same again"]["digest"]
