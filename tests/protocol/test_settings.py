"""The one definition of each setting: its range, its text form, and the words for what is wrong with it."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan_edit_protocol.errors import SettingError
from gan_edit_protocol.settings import EditSettings, ProjectSettings, RandomSettings
from gan_edit_protocol.spec import Settings, Spec
from protocol.strategies import settings_of

KINDS = [EditSettings, ProjectSettings, RandomSettings]
SPECS = [pytest.param(kind, spec, id=f"{kind.__name__}.{spec.name}") for kind in KINDS for spec in kind.specs()]


@given(st.sampled_from(KINDS).flatmap(settings_of))
def test_settings_survive_the_way_through_text(settings: Settings) -> None:
    assignments = [f"{spec.name}={getattr(settings, spec.name)}" for spec in settings.specs()]
    assert type(settings).from_assignments(assignments) == settings


@pytest.mark.parametrize(("kind", "spec"), SPECS)
def test_every_setting_has_a_default_in_its_range_and_a_help(kind: type[Settings], spec: Spec) -> None:
    spec.check(spec.default)
    assert getattr(kind(), spec.name) == kind.QUALITIES.get("normal", {}).get(spec.name, spec.default)
    assert spec.help
    assert spec.type in (bool, str) or (spec.minimum is not None and spec.maximum is not None)


@pytest.mark.parametrize(("kind", "spec"), [p for p in SPECS if p.values[1].maximum is not None])
def test_a_value_outside_the_range_is_refused_with_the_range(kind: type[Settings], spec: Spec) -> None:
    assert spec.minimum is not None
    assert spec.maximum is not None
    for value in (spec.type(spec.minimum - 1), spec.type(spec.maximum + 1)):
        with pytest.raises(SettingError, match=f"{spec.name} is .* outside its range. Use .* to "):
            kind.from_dict({spec.name: value})


def test_a_value_of_another_type_is_refused() -> None:
    for value in ("12", 1.5, True, None, [1]):
        with pytest.raises(SettingError, match="steps must be a whole number"):
            ProjectSettings.from_dict({"steps": value})


def test_a_choice_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(SettingError, match=r"space cannot be 'p'. Use one of z, w, w\+"):
        ProjectSettings(space="p")


@pytest.mark.parametrize("text", ["nan", "inf", "-inf"])
def test_text_that_is_no_finite_number_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="learning_rate"):
        ProjectSettings.from_assignments([f"learning_rate={text}"])


@pytest.mark.parametrize("assignment", ["steps", "=3", "stepps=3", ""])
def test_an_assignment_without_a_known_name_is_refused_with_the_known_ones(assignment: str) -> None:
    with pytest.raises(SettingError, match="known name.*learning_rate.*steps"):
        ProjectSettings.from_assignments([assignment])


def test_an_assignment_may_be_written_with_hyphens_and_spaces() -> None:
    assert ProjectSettings.from_assignments(["learning-rate = 0.5"]).learning_rate == 0.5


@pytest.mark.parametrize("kind", [EditSettings, ProjectSettings])
def test_a_better_quality_takes_more_steps(kind: type[ProjectSettings]) -> None:
    steps = [[getattr(kind(quality=quality), name) for name in names] for quality, names in kind.QUALITIES.items()]
    assert list(kind.QUALITIES) == ["draft", "normal", "best"]
    assert all(
        1 <= less < more for fewer, further in pairwise(steps) for less, more in zip(fewer, further, strict=True)
    )


def test_a_setting_that_was_given_wins_over_the_quality() -> None:
    given = EditSettings.from_assignments(["steps=40"], quality="best")
    assert (given.steps, given.edit_steps) == (40, EditSettings(quality="best").edit_steps)
    assert EditSettings.from_assignments(["quality=best", "steps=0"]) == EditSettings(quality="best")


@pytest.mark.parametrize("value", [False, 0.0])
def test_what_only_equals_zero_is_not_left_to_the_quality(value: object) -> None:
    with pytest.raises(SettingError, match="steps must be a whole number"):
        EditSettings.from_dict({"steps": value})


def test_an_unknown_quality_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(SettingError, match="quality cannot be 'great'. Use one of draft, normal, best."):
        EditSettings(quality="great")
    with pytest.raises(SettingError, match="quality must be a text"):
        EditSettings.from_dict({"quality": ["best"]})


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(SettingError, match="no setting named 'speed'"):
        RandomSettings.from_dict({"speed": 1})


@given(st.dictionaries(st.text(max_size=12), st.none() | st.text() | st.integers() | st.floats() | st.lists(st.none())))
def test_arbitrary_values_never_raise_anything_but_a_setting_error(values: dict[str, Any]) -> None:
    with suppress(SettingError):
        assert EditSettings.from_dict(values) == EditSettings(**values)
