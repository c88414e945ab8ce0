"""The one family of errors a user may read: what is wrong in one sentence, and what to do about it."""

from __future__ import annotations

MAX_TEXT = 1000
"""Characters of a sentence that somebody has to read, and that has to fit a message; it may quote names and files."""


def shortened(text: str) -> str:
    """``text`` in ``MAX_TEXT`` characters: its start and its end, which says more than its middle."""
    if len(text) <= MAX_TEXT:
        return text
    half = MAX_TEXT // 2 - 2
    return f"{text[:half]} … {text[-half:]}"


class GanEditError(Exception):
    """An error whose text is meant for the person at the screen.

    ``code`` is stable and made for programs (lower case, underscores), ``message`` is one plain sentence that names
    what is wrong, ``hint`` says what to do (may be empty).
    """

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.code = code
        self.message = message
        self.hint = hint


class WireError(GanEditError):
    """A message that does not follow the wire specification (docs/protocol.md)."""

    def __init__(self, message: str, code: str = "bad_message") -> None:
        super().__init__(code, message, "Use the plug-in and the engine of the same GAN Edit version.")


def require(condition: bool, text: str) -> None:
    """:class:`WireError` with ``text`` unless ``condition``."""
    if not condition:
        raise WireError(text)


class SettingError(GanEditError):
    """A setting or request argument that is unknown, of the wrong type or out of range."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__("bad_setting", message, hint)


class EngineUnavailableError(GanEditError):
    """No engine answers, or the one that answers cannot be used."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__("engine_unavailable", message, hint)


class EngineSilentError(EngineUnavailableError):
    """An engine runs, but does not answer."""


class JobFailedError(GanEditError):
    """The engine reported that a job failed; code, message and hint are the engine's."""


class JobCancelledError(GanEditError):
    """The job was cancelled by this client."""

    def __init__(self) -> None:
        super().__init__("cancelled", "The edit was cancelled.", "Nothing was changed.")
