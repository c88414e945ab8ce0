"""What a setting is: a name, a type, a default, a range and a help; and what several of them are, checked when made."""

from __future__ import annotations

import dataclasses
import functools
import math
import reprlib
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from .errors import SettingError

SettingsT = TypeVar("SettingsT", bound="Settings")

MAX_TEXT_SETTING = 1000
"""Characters of a setting that is a text; all layers of the largest network, each with a weight, take 300."""


@dataclass(frozen=True)
class Spec:
    """What is known of one setting besides its default."""

    name: str
    type: type
    default: Any
    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    advanced: bool = False

    @property
    def label(self) -> str:
        """The name as a person reads it: ``scribble_weight`` is "Scribble weight"."""
        return self.name.replace("_", " ").capitalize().replace(" w plus", " w+")

    @property
    def range(self) -> str:
        """The values allowed, as a person reads them: "1 to 20000", or the choices; empty where all of the type are."""
        if self.choices or self.minimum is None or self.maximum is None:
            return ", ".join(self.choices)
        digits = "d" if self.type is int else "g"
        return f"{self.minimum:{digits}} to {self.maximum:{digits}}"

    def check(self, value: Any) -> None:
        """Raise :class:`SettingError` unless ``value`` has this setting's type and lies in its range."""
        right_type = isinstance(value, self.type) and (self.type is bool or not isinstance(value, bool))
        if not right_type or (self.type is float and not math.isfinite(value)):
            raise SettingError(f"The setting {self.name} must be {_article(self.type)}, not {reprlib.repr(value)}.")
        if self.type is str and len(value) > MAX_TEXT_SETTING:
            text = f"The setting {self.name} is a text of {len(value)} characters."
            raise SettingError(text, f"Use at most {MAX_TEXT_SETTING}.")
        if self.choices and value not in self.choices:
            raise SettingError(
                f"The setting {self.name} cannot be {reprlib.repr(value)}.", f"Use one of {', '.join(self.choices)}."
            )
        too_low = self.minimum is not None and value < self.minimum
        too_high = self.maximum is not None and value > self.maximum
        if too_low or too_high:
            text = f"The setting {self.name} is {reprlib.repr(value)}, outside its range."
            raise SettingError(text, f"Use {self.range}.")

    def parse(self, text: str) -> Any:
        """Turn text from a command line into a value of this setting, checked."""
        try:
            value: Any = _parse_bool(text) if self.type is bool else self.type(text)
        except ValueError:
            raise SettingError(f"The setting {self.name} must be {_article(self.type)}, not '{text}'.") from None
        self.check(value)
        return value


def _article(kind: type) -> str:
    return {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}[kind]


def _parse_bool(text: str) -> bool:
    if text.lower() in {"true", "yes", "on", "1"}:
        return True
    if text.lower() in {"false", "no", "off", "0"}:
        return False
    raise ValueError(text)


def setting(default: Any, help: str, low: float | None = None, high: float | None = None, **more: Any) -> Any:
    """A field of :class:`Settings`; ``more``: what else :class:`Spec` knows of it."""
    return field(default=default, metadata={"help": help, "minimum": low, "maximum": high, **more})


@dataclass(frozen=True)
class Settings:
    """Base of the settings of one menu entry. Checked when made: an instance always holds valid values."""

    QUALITIES: ClassVar[dict[str, dict[str, int]]] = {}
    """What each choice of the setting ``quality`` makes of settings that are 0, which leaves them to it."""

    def __post_init__(self) -> None:
        for spec in self.specs():
            value = getattr(self, spec.name)
            if spec.type is float and type(value) is int and abs(value) < 1 << 53:
                object.__setattr__(self, spec.name, float(value))
                value = float(value)
            spec.check(value)
        for name, value in self.QUALITIES.get(getattr(self, "quality", ""), {}).items():
            object.__setattr__(self, name, getattr(self, name) or value)

    @classmethod
    def specs(cls) -> tuple[Spec, ...]:
        """All settings of this class in the order in which people should see them."""
        kind: type = cls
        return _specs(kind)

    @classmethod
    def from_dict(cls: type[SettingsT], values: dict[str, Any]) -> SettingsT:
        """Settings from plain values; :class:`SettingError` on an unknown name or a bad value."""
        known = {spec.name for spec in cls.specs()}
        for name in values:
            if name not in known:
                raise SettingError(
                    f"There is no setting named {reprlib.repr(name)}.", f"The settings are {', '.join(sorted(known))}."
                )
        return cls(**values)

    @classmethod
    def from_assignments(cls: type[SettingsT], assignments: list[str], **values: Any) -> SettingsT:
        """Settings from ``name=value`` texts (the command line's ``--set``), over ``values``."""
        specs = {spec.name: spec for spec in cls.specs()}
        merged = dict(values)
        for assignment in assignments:
            name, separator, text = assignment.partition("=")
            name = name.strip().replace("-", "_")
            if not separator or name not in specs:
                raise SettingError(
                    f"--set {assignment} is not of the form name=value with a known name.",
                    f"The settings are {', '.join(sorted(specs))}.",
                )
            merged[name] = specs[name].parse(text.strip())
        return cls.from_dict(merged)


@functools.cache
def _specs(kind: type) -> tuple[Spec, ...]:
    kinds = {"bool": bool, "int": int, "float": float, "str": str}
    return tuple(Spec(f.name, kinds[str(f.type)], f.default, **f.metadata) for f in dataclasses.fields(kind))
