"""Messages as bytes: ``encode`` and ``decode``, pure functions without a socket. The written form is docs/protocol.md.

A message is a list of frames: one JSON header, then the raw bytes of each array that the header announces, in frames of
at most :data:`FRAME_BYTES`. ``decode`` checks in the order of cost: number of frames, size of the header, its JSON, the
announced arrays against the frames that came, then every field against the dataclass's type. Nothing is allocated from
an announced size.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import re
import reprlib
from collections.abc import Callable
from typing import Any, cast, get_args, get_origin

from . import PROTOCOL_VERSION
from .arrays import MAX_ARRAY_BYTES, Array, array_bytes
from .entries import entry_types, field_names, from_entries, to_entries
from .errors import GanEditError, WireError
from .events import EVENT_TYPES, EngineStatus, Failed
from .requests import REQUEST_TYPES, ShutdownRequest, StatusRequest
from .spec import Settings

MAX_HEADER_BYTES = 64 * 1024
MAX_ARRAYS = 8
MAX_NAME = 4096
"""Longest text of a message in characters: a model may be named by a file's path, and Linux knows none longer."""
FRAME_BYTES = 64 << 20
"""Frames are encrypted and checked as a whole, by the thread of all connections; between them others are heard.

Not smaller than 32 MiB: what the C library allocates in one piece above that it gives back at once.
"""
MAX_FRAMES = 1 + MAX_ARRAYS * (MAX_ARRAY_BYTES // FRAME_BYTES)
EVERY_VERSION: tuple[type, ...] = (StatusRequest, ShutdownRequest, EngineStatus, Failed)
"""Understood whichever version the other side speaks, so that an engine can always be recognised and ended. What one
version adds to them the others leave out."""
NO_JOB = "0" * 32
"""The job of what belongs to none: a worker's first word, or a message that cannot be read."""
_JOB = re.compile(r"[0-9a-f]{32}\Z")
_HEADER_KEYS = {"version", "job", "type", "body", "arrays"}


def encode(job: str, message: Any, version: int = PROTOCOL_VERSION) -> list[bytes]:
    """The frames of a request or event that belongs to ``job`` (32 hexadecimal digits).

    ``version``: another than this side's own only for what is of ``EVERY_VERSION``.

    Raises :class:`WireError` when the other side would refuse it for the length of its texts.
    """
    body: dict[str, Any] = {}
    arrays: list[list[Any]] = []
    frames: list[bytes] = []
    for name, value in to_entries(message).items():
        if isinstance(value, Array):
            arrays.append([name, value.dtype, list(value.shape)])
            frames += _in_frames(value.data)
        else:
            body[name] = _plain(value)
    header = {
        "version": version,
        "job": job,
        "type": type(message).__name__,
        "body": body,
        "arrays": arrays,
    }
    written = json.dumps(header, allow_nan=False).encode()
    if len(written) > MAX_HEADER_BYTES:
        raise WireError("The texts of a message are too long.")
    return [written, *frames]


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if dataclasses.is_dataclass(value):
        kind: type = type(value)
        return {name: _plain(getattr(value, name)) for name in field_names(kind)}
    return value


def _in_frames(data: bytes) -> list[bytes]:
    if len(data) <= FRAME_BYTES:
        return [data]
    view = memoryview(data)  # copies nothing
    return [cast(bytes, view[start : start + FRAME_BYTES]) for start in range(0, len(data), FRAME_BYTES)]


def decode_request(frames: list[bytes]) -> tuple[str, Any]:
    """(job, request); raises :class:`WireError` or another :class:`GanEditError` that names what is wrong."""
    return _decode(frames, REQUEST_TYPES)


def decode_event(frames: list[bytes]) -> tuple[str, Any]:
    """(job, event); raises :class:`WireError` or another :class:`GanEditError` that names what is wrong."""
    return _decode(frames, EVENT_TYPES)


def job_of(frames: list[bytes]) -> str:
    """The job that a message claims to belong to, or zeros when even that cannot be read; to answer a bad message."""
    try:
        return str(_header(frames)["job"])
    except WireError:
        return NO_JOB


def version_of(frames: list[bytes]) -> int:
    """The version that the writer of a message speaks, once that has been decoded."""
    return int(_header(frames)["version"])


def _decode(frames: list[bytes], allowed: tuple[type, ...]) -> tuple[str, Any]:
    header = _header(frames)
    version = header["version"]
    kinds = {kind.__name__: kind for kind in allowed}
    kind = kinds.get(header["type"]) if isinstance(header["type"], str) else None
    if type(version) is not int or version != PROTOCOL_VERSION:
        if type(version) is int and kind in EVERY_VERSION:
            return header["job"], _construct(kind, _read_known(kind, header["body"]))
        raise WireError(
            f"The other side speaks protocol version {reprlib.repr(version)}, this one version {PROTOCOL_VERSION}.",
            code="version_mismatch",
        )
    if kind is None:
        raise WireError("The type of the message is unknown.")
    values = {**_read_body(kind, header["body"]), **_read_arrays(header["arrays"], frames[1:])}
    return header["job"], _construct(kind, values)


def _header(frames: list[bytes]) -> dict[str, Any]:
    if not 1 <= len(frames) <= MAX_FRAMES:
        raise WireError(f"A message has 1 to {MAX_FRAMES} frames, this one {len(frames)}.")
    if len(frames[0]) > MAX_HEADER_BYTES:
        raise WireError("The header of a message is too long.")
    try:
        header = json.loads(bytes(frames[0]), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise WireError("The header of a message is not JSON.") from None
    if not isinstance(header, dict) or not header.keys() >= _HEADER_KEYS:
        raise WireError("The header of a message does not have the five expected entries.")
    if header["version"] == PROTOCOL_VERSION and len(header) > len(_HEADER_KEYS):
        raise WireError("The header of a message does not have the five expected entries.")
    if not isinstance(header["job"], str) or not _JOB.match(header["job"]):
        raise WireError("The job name of a message is not 32 hexadecimal digits.")
    return header


def _refuse_constant(text: str) -> None:
    raise ValueError(text)


def _read_arrays(announced: Any, frames: list[bytes]) -> dict[str, Array]:
    if not isinstance(announced, list) or len(announced) > MAX_ARRAYS:
        raise WireError(f"A message has up to {MAX_ARRAYS} arrays.")
    arrays: dict[str, Array] = {}
    left = list(frames)
    for entry in announced:
        if not isinstance(entry, list) or len(entry) != 3 or not isinstance(entry[0], str) or entry[0] in arrays:
            raise WireError("An array is not announced by a name of its own, a type and a shape.")
        name, dtype, shape = entry
        if not isinstance(shape, list) or any(type(side) is not int for side in shape) or not isinstance(dtype, str):
            raise WireError(f"The array {name[:40]!r} has no proper type or shape.")
        size = array_bytes(dtype, tuple(shape))
        count = -(-size // FRAME_BYTES)
        own, left = left[:count], left[count:]
        brought = sum(len(frame) for frame in own)
        if brought != size:
            raise WireError(
                f"The array {name[:40]!r} announces shape {reprlib.repr(shape)} but brings {brought} bytes."
            )
        arrays[name] = Array(dtype, tuple(shape), bytes(own[0]) if count == 1 else b"".join(own))
    if left:
        raise WireError("The number of arrays does not fit the number of frames.")
    return arrays


def _read_body(kind: type, body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise WireError("The body of a message is not an object.")
    known = entry_types(kind)
    for name in body:
        if known.get(name, Array) is Array:
            raise WireError(f"{kind.__name__} has no entry {name[:40]!r}.")
    return {name: _read_value(known[name], name, value, _read_body) for name, value in body.items()}


def _read_known(kind: type, body: Any) -> dict[str, Any]:
    """What this version knows of the body of a message that another one wrote."""
    known: dict[str, Any] = {}
    for name, expected in entry_types(kind).items():
        if isinstance(body, dict) and name in body:
            with contextlib.suppress(GanEditError):
                known[name] = _read_value(expected, name, body[name], _read_known)
    return known


def _read_value(kind: Any, name: str, value: Any, read: Callable[[type, Any], dict[str, Any]]) -> Any:
    """``read``: how the body of a part is read."""
    if kind is float and type(value) is int and abs(value) < 1 << 53:
        value = float(value)
    if kind is float and type(value) is float and math.isfinite(value):
        return value
    if kind in (int, bool) and type(value) is kind:
        return value
    if kind is str and isinstance(value, str):
        return _checked_text(name, value)
    if get_origin(kind) is tuple and isinstance(value, list):
        return tuple(_read_value(get_args(kind)[0], name, item, read) for item in value)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type) and isinstance(value, dict):
        if issubclass(kind, Settings):
            return kind.from_dict(value)
        return _construct(kind, read(kind, value))
    raise WireError(f"The entry {name!r} has the wrong type.")


def _checked_text(name: str, text: str) -> str:
    if len(text) > MAX_NAME:
        raise WireError(f"The entry {name!r} is a text of {len(text)} characters; {MAX_NAME} are allowed.")
    return text


def _construct(kind: type, values: dict[str, Any]) -> Any:
    known = entry_types(kind)
    for name, value in values.items():
        if name not in known or (isinstance(value, Array) and known[name] is not Array):
            raise WireError(f"{kind.__name__} has no array {name[:40]!r}.")
    try:
        return from_entries(kind, values)
    except GanEditError:
        raise
    except TypeError:
        raise WireError(f"{kind.__name__} came without all of its entries.") from None
