"""Connect to the running engine, or start one and connect to that."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from . import connection
from .client import GREETING_SECONDS, Client
from .errors import EngineSilentError, EngineUnavailableError, GanEditError
from .transport import PipeTransport, SocketTransport, Transport, has_zmq

START_SECONDS = 60.0
SERVER_SECONDS = 60.0
"""So long a server far away may take for its first answer."""
END_SECONDS = 5.0
STALE_GREETING_SECONDS = 0.5
"""For an engine whose process is not seen: it is gone, or this program runs in a container and does not see it."""
_FOREIGN_VARIABLES = ("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "GI_TYPELIB_PATH", "GTK_PATH", "GIO_MODULE_DIR")


@dataclass(frozen=True)
class EngineCommand:
    """How to run the ``gan-edit`` program (a list of words), its files, and ``options`` for ``gan-edit engine``."""

    program: tuple[str, ...]
    connection_file: Path
    log_file: Path
    options: tuple[str, ...] = ()


def clean_environment() -> dict[str, str]:
    """The environment without what GIMP sets for its own Python, which would break the engine's."""
    return {name: value for name, value in os.environ.items() if name not in _FOREIGN_VARIABLES}


def connect(command: EngineCommand, user: int | None = None) -> Client:
    """A client of the engine that is running now, which may be of another version.

    ``user``: the process for whose sake the engine should go on. Raises :class:`EngineUnavailableError` when none
    runs, :class:`EngineSilentError` when the one that runs does not answer.
    """
    found = connection.read(command.connection_file)
    transport: Transport
    seen = True
    if has_zmq():
        seen = connection.lives(found.pid)
        transport = SocketTransport(found)
    else:  # the relay looks at the process by itself
        relay = [*command.program, "relay", "--connection", str(command.connection_file)]
        transport = PipeTransport(relay, clean_environment())
    client = Client(transport)
    try:
        client.status(GREETING_SECONDS if seen else STALE_GREETING_SECONDS, user)
    except GanEditError as error:
        client.close()
        if not seen and isinstance(error, EngineUnavailableError):
            raise connection.no_engine() from None
        raise
    return client


def connect_or_start(
    command: EngineCommand, end_with: int | None = None, waiting: Callable[[float], None] = lambda seconds: None
) -> Client:
    """A client of the running engine, started first when none answers, or when an older one has nothing to do.

    ``end_with``: an engine that is started ends when neither this process nor any other user's runs any more.
    ``waiting(seconds)`` is called a few times a second while the engine starts; an exception from it stops the wait.
    Raises :class:`EngineUnavailableError` with the engine's last words when it does not come up in a minute, and when
    the running one is of another version and cannot be replaced.
    """
    before = _peek(command.connection_file)
    user = os.getpid() if end_with is None else end_with
    try:
        client = connect(command, user)
    except EngineUnavailableError:
        pass  # nobody answers there
    else:
        if client.speaks_our_version:
            return client
        _end_older(client, command)
    process = _start(command, end_with)
    # The engine may outlive this program; if it does not, somebody has to take note of its end.
    threading.Thread(target=process.wait, daemon=True).start()
    started = time.monotonic()
    while time.monotonic() - started < START_SECONDS:
        waiting(time.monotonic() - started)
        time.sleep(0.2)
        code = process.poll()
        # A stale file is never removed here: another program that starts an engine now may have just replaced it.
        # An engine that ends at once with 0 has found another one that answers.
        if code == 0 or _peek(command.connection_file) not in (before, None):
            return _of_our_version(connect(command, user))
        if code is not None:
            break
    raise EngineUnavailableError(
        f"The GAN Edit engine did not start: {_last_words(command.log_file)}", f"Its log is {command.log_file}."
    )


def connect_to_server(
    command: EngineCommand, url: str, waiting: Callable[[float], None] = lambda seconds: None
) -> Client:
    """A client of the engine at a server's address, of which ``gan-edit connect`` knows the key, by way of the relay.

    ``waiting`` and the errors: as :func:`greeted`, and those of :class:`RemoteTransport`.
    """
    relay = [*command.program, "relay", "--connection", str(command.connection_file), "--url", url]
    return greeted(Client(PipeTransport(relay, clean_environment())), url, waiting)


def greeted(client: Client, url: str, waiting: Callable[[float], None] = lambda seconds: None) -> Client:
    """The client of a server's engine, which has answered and takes jobs of this version; else it is closed.

    ``waiting(seconds)`` is called about ten times a second until then; an exception from it stops the wait. Raises
    :class:`EngineUnavailableError` when the server is silent or of another version.
    """
    try:
        version = client.status(SERVER_SECONDS, waiting=waiting).version
        if not client.speaks_our_version:
            age = "an older" if client.is_older else "a newer"
            raise EngineUnavailableError(
                f"The server {url} is of {age} GAN Edit ({version}).", "Use the same version on both sides."
            )
    except EngineSilentError:
        client.close()
        raise EngineUnavailableError(f"The server {url} does not answer.", "Try again later.") from None
    except BaseException:
        client.close()
        raise
    return client


def may_be_replaced(client: Client) -> bool:
    """Whether the engine is of an older version and has nothing to do."""
    return client.is_older and not client.status().jobs


def wait_for_end(connection_file: Path) -> bool:
    """Until an engine that was told to end has removed its connection file; False when that takes ``END_SECONDS``."""
    deadline = time.monotonic() + END_SECONDS
    while connection_file.exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _end_older(client: Client, command: EngineCommand) -> None:
    with client:
        if not may_be_replaced(client):
            raise _other_version(client)
        client.shutdown()
    wait_for_end(command.connection_file)


def _of_our_version(client: Client) -> Client:
    if client.speaks_our_version:
        return client
    with client:
        raise _other_version(client)


def _other_version(client: Client) -> EngineUnavailableError:
    version = client.status().version
    if client.is_older:
        return EngineUnavailableError(
            f"The engine of an older GAN Edit ({version}) is still at work.",
            "Wait until it is done, or end it with: gan-edit stop",
        )
    return EngineUnavailableError(
        f"The running engine is of a newer GAN Edit ({version}).",
        "Run gan-edit install-plugin again and restart GIMP, or end that engine with: gan-edit stop",
    )


def _peek(connection_file: Path) -> connection.Connection | None:
    try:
        return connection.read(connection_file)
    except EngineUnavailableError:
        return None


def _start(command: EngineCommand, end_with: int | None) -> subprocess.Popen[bytes]:
    words = [*command.program, "engine", "--connection", str(command.connection_file), *command.options]
    if end_with is not None:
        words += ["--end-with", str(end_with)]
    with _open_log(command.log_file) as log:
        try:
            return subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=clean_environment(),
                start_new_session=sys.platform != "win32",
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            raise EngineUnavailableError(
                f"The GAN Edit engine could not be started: {words[0]} ({error.strerror}).",
                "Run gan-edit install-plugin again, from the environment in which GAN Edit is installed.",
            ) from None


def _open_log(file: Path) -> IO[bytes]:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return file.open("wb")
    except OSError as error:
        raise EngineUnavailableError(
            f"The GAN Edit engine was not started: its log {file} cannot be written ({error.strerror}).",
            "Make room there, and make the folder yours.",
        ) from None


def _last_words(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1] if lines else "it ended without a word."
