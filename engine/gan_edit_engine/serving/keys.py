"""Who may come in: a file of names and keys that only its owner can read."""

from __future__ import annotations

import hmac
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from gan_edit_engine.system.atomic_write import make_folder, writing
from gan_edit_protocol.errors import GanEditError

SHORTEST = 16
"""Characters of a key that somebody thought of."""
_MAX_FILE = 1 << 20
_NAME = r"[\w.-]{1,64}"
_LINE = re.compile(rf"({_NAME}):([!-~]+)")


@dataclass(frozen=True)
class Keys:
    """Each visitor's name with its key."""

    of: dict[str, str]

    def name_of(self, key: str, user: str | None = None) -> str | None:
        """Whose key it is, None when it is nobody's. How long that takes tells nothing about the keys.

        ``user``: who its bearer claims to be, and then has to be.
        """
        given, found = key.encode(errors="surrogateescape"), None
        for name, known in self.of.items():
            if hmac.compare_digest(known.encode(), given):
                found = name
        return found if user in (None, found) else None


def default_path() -> Path:
    """The file that ``gan-edit keys`` writes and ``gan-edit serve`` reads."""
    return Path(platformdirs.user_config_dir("gan-edit", appauthor=False)) / "keys"


def read(path: Path) -> Keys:
    """The keys in a file; GanEditError (bad_keys) when it is not there, not private or not of lines NAME:KEY."""
    try:
        with path.open(encoding="utf-8") as file:
            _check_private(os.fstat(file.fileno()), path)
            lines = file.read(_MAX_FILE).splitlines()
    except FileNotFoundError:
        raise _bad(f"There is no file of keys {path}.", f"Make one with: {_command(path)}") from None
    except (OSError, UnicodeDecodeError):
        raise _bad(f"The file of keys {path} cannot be read.", f"Make another one with: {_command(path)}") from None
    return Keys(dict(_parsed(lines, path)))


def add(path: Path, name: str) -> str:
    """A new key for ``name``, written to the file, which is made with mode 0600 if it is not there.

    GanEditError (bad_keys) when the name is taken or none, (bad_output) when the file cannot be written.
    """
    if not re.fullmatch(_NAME, name):
        raise _bad(f"{name!r} is no name for a key.", "Use up to 64 letters, digits, dots, hyphens and underscores.")
    if path.exists() and name in read(path).of:
        raise _bad(f"{path} has a key for {name} already.", "Give another --name, or delete that line first.")
    make_folder(path.parent)
    key = secrets.token_urlsafe(32)
    with writing(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8") as file:
            file.write(f"{name}:{key}\n")
    return key


def _command(path: Path) -> str:
    return "gan-edit keys" if path == default_path() else f"gan-edit keys --file {path}"


def _parsed(lines: Iterable[str], path: Path) -> Iterable[tuple[str, str]]:
    names: set[str] = set()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None or found[1] in names:
            raise _bad(f"Line {number} of {path} is not NAME:KEY with a name of its own.", "Correct or delete it.")
        if len(found[2]) < SHORTEST:
            raise _bad(
                f"The key in line {number} of {path} has fewer than {SHORTEST} characters.",
                f"Delete it, and make one that nobody guesses with: {_command(path)} --name {found[1]}",
            )
        names.add(found[1])
        yield found[1], found[2]
    if not names:
        raise _bad(f"The file {path} holds no key.", f"Make one with: {_command(path)}")


def _check_private(status: os.stat_result, path: Path) -> None:
    if sys.platform == "win32":
        return
    if not stat.S_ISREG(status.st_mode):
        raise _bad(f"{path} is no file.", "Give the file that gan-edit keys has made.")
    if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid != os.getuid():
        raise _bad(f"The file of keys {path} can be read by others.", f"Make it yours alone: chmod 600 {path}")


def _bad(message: str, hint: str) -> GanEditError:
    return GanEditError("bad_keys", message, hint)
