"""What a header says of an architecture: of any family, and nothing that its configuration has no room for."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest
from snapshots import small_stylegan3

from gan_edit_engine.checkpoints import safetensors_file
from gan_edit_engine.checkpoints.safetensors_file import decode_config, encode_config


@dataclasses.dataclass(frozen=True)
class Stage:
    """A configuration within one."""

    name: str
    width: int
    pads: tuple[int, int]
    clamp: float | None


@dataclasses.dataclass(frozen=True)
class NewConfig:
    """Of a family that the codec has never heard of."""

    stages: tuple[Stage, ...]
    taps: tuple[float, ...] = (1.0,)
    first: Stage | None = None
    norm: str = "none at all"
    biased: bool = False
    gain: float = 1


@pytest.fixture(autouse=True)
def _a_new_family(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(safetensors_file.CONFIGS, "new", NewConfig)  # type: ignore[arg-type]


WHOLE = NewConfig((Stage("L0", 4, (1, -1), None), Stage("L1", 8, (0, 0), 256.0)), (1, 3.5), Stage("in", 1, (0, 0), 0.5))


@pytest.mark.parametrize("config", [WHOLE, NewConfig(())])
def test_a_configuration_of_any_family_comes_back(config: NewConfig) -> None:
    assert decode_config(encode_config("new", config)) == config  # type: ignore[arg-type]


def test_a_stylegan3_comes_back_layer_by_layer() -> None:
    config = small_stylegan3().config
    assert decode_config(encode_config("stylegan3", config)) == config


STAGE = {"name": "L0", "width": 4, "pads": [1, 1], "clamp": None}


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("stages", [STAGE | {"depth": 1}], "stages holds something with unknown or missing fields"),
        ("stages", [{"name": "L0"}], "stages holds something with unknown or missing fields"),
        ("stages", ["L0"], "stages holds something with unknown or missing fields"),
        ("stages", STAGE, "stages must be a list"),
        ("stages", [STAGE] * 65, "stages must be a list of at most 64"),
        ("stages", [STAGE | {"width": 4.5}], "stages.width must be int, not 4.5"),
        ("stages", [STAGE | {"width": 1 << 40}], "stages.width is out of range"),
        ("stages", [STAGE | {"pads": [1, 1, 1]}], "stages.pads must be a list of 2"),
        ("stages", [STAGE | {"name": 7}], "stages.name must be str, not 7"),
        ("stages", [STAGE | {"clamp": "much"}], "stages.clamp must be float, not 'much'"),
        ("taps", [1, float("nan")], "taps is out of range"),
        ("taps", [True], "taps must be float, not True"),
        ("biased", 1, "biased must be bool, not 1"),
        ("gain", None, "gain must be float, not None"),
    ],
)
def test_a_value_of_another_kind_is_refused_in_one_sentence(field: str, value: object, sentence: str) -> None:
    header = encode_config("new", WHOLE) | {field: json.dumps(value)}  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=re.escape(sentence)):
        decode_config(header)
