"""Texts of others, such as a file's name or its header, made fit for a terminal, a list or a sentence."""

from __future__ import annotations

MAX_CHARACTERS = 1000


def printable(text: str) -> str:
    """``text`` with everything that does not print (control characters, bytes of no encoding) as Python writes it.

    What is longer than ``MAX_CHARACTERS`` is cut off there.
    """
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[: MAX_CHARACTERS + 1])
    return shown if len(shown) <= MAX_CHARACTERS else f"{shown[:MAX_CHARACTERS]}…"
