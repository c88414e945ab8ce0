"""Where a running engine is found and the keys to talk to it: a JSON file that only its owner can read.

The engine writes the file when it is ready and removes it when it ends. Keys are CURVE key pairs (Z85 text): the
engine's own secret key never leaves its process; the file holds its public key and the client's pair.
"""

from __future__ import annotations

import json
import os
import re
import stat
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .errors import EngineUnavailableError, GanEditError

ENVIRONMENT_VARIABLE = "GAN_EDIT_CONNECTION"
_ENDPOINT = re.compile(r"tcp://127\.0\.0\.1:\d{1,5}\Z")
_KEY = re.compile(r"[0-9A-Za-z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}\Z")  # the alphabet of Z85, rfc.zeromq.org/spec/32


@dataclass(frozen=True)
class Connection:
    """``endpoint`` is a ZeroMQ address; keys are 40-character Z85 texts; ``pid`` the engine's process."""

    endpoint: str
    server_public: str
    client_public: str
    client_secret: str
    pid: int


def default_path() -> Path:
    """The connection file of this user: ``$GAN_EDIT_CONNECTION``, else one in the user's runtime or cache folder."""
    given = os.environ.get(ENVIRONMENT_VARIABLE)
    if given:
        return Path(given)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "gan-edit" / "engine.json"


def write(path: Path, connection: Connection) -> None:
    """As :func:`write_private`."""
    write_private(path, asdict(connection))


def write_private(path: Path, values: dict[str, Any]) -> None:
    """Write JSON whole or not at all, readable and writable by the owner only from the first byte on.

    Raises :class:`GanEditError` (bad_connection_file) when the disk is full or the folder is not to be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # mkstemp makes files of mode 0600
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(values, file)
            os.replace(temporary, path)
        finally:
            with suppress(OSError):
                os.unlink(temporary)
    except OSError as error:
        raise cannot_write(path, error) from None


def cannot_write(path: Path, error: OSError) -> GanEditError:
    """What a person reads whose engine cannot have its connection file at ``path``."""
    return GanEditError(
        "bad_connection_file",
        f"The connection file {path} cannot be written ({error.strerror}).",
        "Make room there and its folder yours, or choose another one with --connection.",
    )


def read(path: Path) -> Connection:
    """Read and check a connection file; :class:`EngineUnavailableError` when there is none that can be trusted."""
    try:
        return load(path)
    except FileNotFoundError:
        raise no_engine() from None
    except OSError:
        raise _unreadable(path) from None


def load(path: Path) -> Connection:
    """As :func:`read`, but the system's errors stay OSErrors: a missing file is not one that cannot be opened now."""
    if not stat.S_ISREG(path.stat().st_mode):  # whoever opens a pipe waits for somebody at its other end
        raise EngineUnavailableError(f"{path}, the connection file's place, holds no file.", "Delete it.")
    with path.open(encoding="utf-8") as file:
        check_private(file.fileno(), path)
        try:
            values = json.loads(file.read(65_536))
        except ValueError:
            raise _unreadable(path) from None
    try:
        connection = Connection(**values)
        keys = (connection.server_public, connection.client_public, connection.client_secret)
        well_formed = all(_KEY.match(key) for key in keys) and bool(_ENDPOINT.match(connection.endpoint))
        well_formed = well_formed and type(connection.pid) is int
    except TypeError:
        well_formed = False
    if not well_formed:
        raise EngineUnavailableError(f"The connection file {path} is damaged.", "Delete it and start the engine again.")
    return connection


def lives(pid: int) -> bool:
    """Whether a process of this number runs, as far as the system tells; True where it does not tell."""
    if sys.platform == "win32":
        return True  # os.kill() would end it
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def no_engine() -> EngineUnavailableError:
    """What to raise where none runs."""
    return EngineUnavailableError("No GAN Edit engine is running.", "Start one with: gan-edit engine")


def _unreadable(path: Path) -> EngineUnavailableError:
    return EngineUnavailableError(
        f"The connection file {path} cannot be read.", "Delete it and start the engine again."
    )


def check_private(descriptor: int, path: Path) -> None:
    """:class:`EngineUnavailableError` when others than the owner can read the open file."""
    if sys.platform == "win32":
        return
    status = os.fstat(descriptor)
    if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid != os.getuid():
        raise EngineUnavailableError(
            f"The connection file {path} can be read by others, so its keys are not safe.",
            "Delete it and start the engine again.",
        )
