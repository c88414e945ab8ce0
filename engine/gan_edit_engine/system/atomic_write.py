"""Files that are written whole or not at all: beside the file that they replace, then in its place in one step."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError

from gan_edit_protocol.errors import GanEditError

PREFIX = ".gan-edit-"
"""Of the names of files that are not yet in their places."""


@contextmanager
def replacing(path: Path, suffix: str = ".part") -> Iterator[Path]:
    """An empty file, to be filled inside the block, that takes the place of ``path`` when the block ends well.

    Until then ``path`` stays as it is, and where anything fails it stays so and nothing is left beside it. A file that
    is replaced leaves its permissions to the new one; of a symbolic link the file that it names is replaced. A device
    or a pipe is written to directly. ``suffix`` is for writers that choose the format by the file's name.

    Raises GanEditError (bad_output) with the reason when the disk is full or ``path`` may not be written to.
    """
    with writing(path), _beside(path, suffix) as part:
        yield part


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the disk says inside the block becomes one sentence: GanEditError (bad_output) that names ``path``."""
    try:
        yield
    except Exception as error:
        reason = _reason(error)
        if reason is None:
            raise
        raise _cannot_write(path, reason) from None


def check_place(path: Path, room: int = 0) -> None:
    """Before any work: GanEditError (bad_output) unless a file of about ``room`` bytes can be written to ``path`` now.

    It says what is missing: the folder, the right to write there, a name that the file system takes, or the room.
    """
    with writing(path):
        if not path.parent.is_dir():
            raise GanEditError("bad_output", f"There is no folder {path.parent}.", "Make it first.")
        with _beside(path, ".check", finish=False):
            free = _room(path)
    if free is not None and free < room:
        reason = f"it takes about {_megabytes(room)}, and {_megabytes(free)} are free there"
        raise _cannot_write(path, reason)


def remove_leftovers(folder: Path) -> None:
    """Remove what writers left in a folder that were killed; only where no other writer is at work."""
    for part in folder.glob(f"{PREFIX}*"):
        with suppress(OSError):
            part.unlink()


def make_folder(folder: Path) -> None:
    """Make a folder and those around it, if they are not there; GanEditError (bad_output) when that is impossible."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)


def _room(path: Path) -> int | None:
    """Bytes that are free where ``path`` is; None for a device, and where the file system does not say."""
    if path.exists() and not path.is_file():
        return None
    usage = shutil.disk_usage(Path(os.path.realpath(path)).parent)
    return usage.free if usage.total else None


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _cannot_write(path: Path, reason: str) -> GanEditError:
    return GanEditError(
        "bad_output", f"{path} cannot be written ({reason}).", "Make room there, or choose another place."
    )


def _reason(error: Exception) -> str | None:
    """What the disk said; None when the error is about something else.

    safetensors wraps what it is told, and torch raises an error of its own upon it.
    """
    if isinstance(error, GanEditError):
        return None
    if isinstance(error, SafetensorError):
        return str(error)
    said = error if isinstance(error, OSError) else error.__context__
    return (said.strerror or str(said)) if isinstance(said, OSError) else None


@contextmanager
def _beside(path: Path, suffix: str, finish: bool = True) -> Iterator[Path]:
    """The file beside ``path``; unless ``finish``, it does not take its place but goes."""
    old_mode = _mode(path)
    if old_mode is not None and not stat.S_ISREG(old_mode):
        yield path  # it holds nothing that could be lost, and a file in its place would not be what is meant
        return
    target = Path(os.path.realpath(path))
    part = target.with_name(f"{PREFIX}{secrets.token_hex(8)}{suffix}")
    try:
        new_mode = _create(part, old_mode)
        yield part
        if finish:
            _finish(part, new_mode if old_mode is None else old_mode)
            os.replace(part, target)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _mode(path: Path) -> int | None:
    """The kind and the permissions of what is there, None if nothing is; OSError if it may not be written to."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    # Who may write to the folder could replace a write-protected file, which is protected for a reason.
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return mode


def _create(part: Path, old_mode: int | None) -> int:
    """Create the file, never readable by more people than the old one; its mode."""
    permissions = 0o666 if old_mode is None else stat.S_IMODE(old_mode) & 0o666 | stat.S_IRUSR | stat.S_IWUSR
    descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, permissions)
    os.close(descriptor)
    return part.stat().st_mode


def _finish(part: Path, mode: int) -> None:
    """Set the permissions and wait until the content is on the disk, else a power cut could leave an empty file."""
    # Some writers put a file of their own in the place of the one that they are given. And some file systems refuse
    # to change permissions but have the same for all files.
    if stat.S_IMODE(part.stat().st_mode) != stat.S_IMODE(mode):
        part.chmod(stat.S_IMODE(mode))
    descriptor = os.open(part, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
