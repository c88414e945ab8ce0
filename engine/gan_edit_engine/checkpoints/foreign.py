"""Files that are no model at all, told by how they begin: what a download or a clone leaves in a model's place."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path

from gan_edit_engine.checkpoints.errors import CheckpointError

HEAD = 512
"""Bytes from the start of a file by which it is told."""
_BYTE_ORDER_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16", codecs.BOM_UTF8: "utf-8-sig"}
_ARCHIVES = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"Rar!": "RAR",
    b"(\xb5/\xfd": "Zstandard",
}


@dataclass(frozen=True)
class Foreign:
    """``name``: what the file is, with its article. ``hint``: what to do, one sentence."""

    name: str
    hint: str


_POINTER = Foreign("a Git LFS pointer, not the file that it stands for", "Get the file itself: git lfs pull")
_PAGE = Foreign(
    "a web page (a log-in, a quota or an error, perhaps)", "Open the address in a browser to see what it wants."
)
_TEXT = Foreign("a text", "Get the model's own file.")


def check_regular(path: Path) -> None:
    """CheckpointError unless ``path`` is a file, or nothing: to open a pipe is to wait, a device may do anything."""
    if path.exists() and not path.is_file():
        raise CheckpointError(path, "it is no file but a folder, a pipe or a device")


def check_head(path: Path, head: bytes) -> None:
    """CheckpointError naming what ``path`` is if it is empty, or `foreign`."""
    if not head:
        raise CheckpointError(path, "it is empty")
    if (other := foreign(head)) is not None:
        raise CheckpointError(path, f"it is {other.name}", other.hint)


def foreign(head: bytes) -> Foreign | None:
    """What a file that begins with ``head`` (up to ``HEAD`` bytes) is, None if it may be a model."""
    for magic, kind in _ARCHIVES.items():
        if head.startswith(magic):
            return Foreign(f"a {kind} archive", "Unpack it and give the model's file in it.")
    text = _text(head)
    if text is None:
        return None
    if text.startswith("version https://git-lfs"):
        return _POINTER
    return _PAGE if text.startswith("<") else _TEXT


def _text(head: bytes) -> str | None:
    """The beginning of a text, without blanks before it; None if there are bytes that no text has."""
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS.items() if head.startswith(mark)), "utf-8")
    # The last character may be cut through.
    text = codecs.getincrementaldecoder(encoding)(errors="replace").decode(head)
    # A page may be in an encoding of old, in which letters are no UTF-8; control characters no text has.
    if not text.strip() or any(ord(letter) < 32 and letter not in "\t\n\r\f" for letter in text):
        return None
    if "\N{REPLACEMENT CHARACTER}" in text and not text.lstrip().startswith("<"):
        return None
    return text.lstrip()
