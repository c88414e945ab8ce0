"""The entries that a message has on the wire: its fields, and what belongs to its latent beside them.

A latent's ws travels under the name of the message's field; what belongs to it comes after the message's last array, by
its own names. The field says what that is: a request's start has no use for the z that it was once mapped from.
"""

from __future__ import annotations

import dataclasses
import functools
import types
from typing import Any, Union, get_args, get_origin, get_type_hints

from .arrays import Array
from .errors import WireError
from .latent import Latent

BELONGING = "belonging"
"""In the metadata of a message's field for a latent: which of its parts travel, in their order."""


@functools.cache
def entry_types(kind: type) -> dict[str, Any]:
    """The name and the plain type of each entry of a message, or of a part of it, in their order."""
    own = _field_types(kind)
    field = _latent_field(kind)
    if field is None:
        return own
    own[field.name] = Array
    names = list(own)
    last = max(number for number, name in enumerate(names) if own[name] is Array)
    parts = _field_types(Latent)
    order = [*names[: last + 1], *field.metadata[BELONGING], *names[last + 1 :]]
    return {name: own.get(name) or parts[name] for name in order}


def to_entries(message: Any) -> dict[str, Any]:
    """The entries of ``message`` that are not None, in their order."""
    kind: type = type(message)
    values = {name: getattr(message, name) for name in field_names(kind)}
    field = _latent_field(kind)
    if field is not None and values[field.name] is not None:
        latent = values[field.name]
        values[field.name] = latent.ws
        values.update({name: getattr(latent, name) for name in field.metadata[BELONGING]})
    return {name: values[name] for name in entry_types(kind) if values.get(name) is not None}


def from_entries(kind: type, entries: dict[str, Any]) -> Any:
    """The message of these entries, each of its type; TypeError when one that it needs is not there.

    Raises :class:`WireError`, or another :class:`GanEditError`, when they do not fit one another.
    """
    own = dict(entries)
    field = _latent_field(kind)
    if field is not None:
        parts = {name: own.pop(name) for name in field.metadata[BELONGING] if name in own}
        if field.name in own:
            own[field.name] = Latent(own[field.name], **parts)
        elif parts:
            raise WireError(f"What belongs to a latent came without one: {', '.join(parts)}.")
    return kind(**own)


def carried_bytes(message: Any) -> int:
    """The bytes of all arrays of a message."""
    return sum(len(value.data) for value in to_entries(message).values() if isinstance(value, Array))


@functools.cache
def field_names(kind: type) -> tuple[str, ...]:
    """Of a message, or of a part of it, in their order."""
    return tuple(field.name for field in dataclasses.fields(kind))


@functools.cache
def _latent_field(kind: type) -> dataclasses.Field[Any] | None:
    """The one field of a message that is a latent."""
    return next((field for field in dataclasses.fields(kind) if BELONGING in field.metadata), None)


def _field_types(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: _plain(hints[field.name]) for field in dataclasses.fields(kind)}


def _plain(hint: Any) -> Any:
    """The type inside ``X | None``, or the type itself."""
    if get_origin(hint) in (Union, types.UnionType):
        return next(kind for kind in get_args(hint) if kind is not type(None))
    return hint
