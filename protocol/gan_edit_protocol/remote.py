"""An engine beyond this machine, at the address where somebody runs ``gan-edit serve``: reached by ``gradio_client``.

A connection that breaks is taken up again. The server keeps a job under its name, so that a request that is sent again
is not done again, and the events that were missed are asked for.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from . import connection, wire
from .errors import EngineUnavailableError, GanEditError
from .events import FINAL_EVENTS
from .packing import packed, unpacked
from .requests import CancelRequest, JobRequest, Request

MOST_BYTES = 2 << 30
"""Of a message that a server sends."""
DEAD_SECONDS = 15.0
"""The server tells something each second; a connection on which nothing came for so long is made anew."""
PATIENCE_SECONDS = 50.0
"""So long a broken connection is tried again. The server gives up a job to which nobody listens a little later."""
PARTING_SECONDS = 3.0
"""So long whoever leaves tries to tell the server that nobody waits for a job any more."""
_RETRY_SECONDS = 1.0
_POLL_SECONDS = 0.02
_ANSWER_SECONDS = 20.0
_ENDPOINT = "frames"


@dataclass(frozen=True)
class Remote:
    """Where the server is, and the key by which it lets this client in; ``insecure``: plain http is allowed."""

    url: str
    key: str = ""
    insecure: bool = False

    def check(self) -> None:
        """GanEditError unless it is an address to which a key and photos may be sent."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise GanEditError(
                "bad_address",
                f"{self.url!r} is no address of a server.",
                "Give one such as https://studio.example:7860",
            )
        if parts.scheme == "http" and not self.insecure and not is_loopback(parts.hostname):
            raise GanEditError(
                "bad_address",
                f"Whoever is on the way to {self.url} could read the key and the photos.",
                "Use https, or add --insecure where you trust the network.",
            )


def default_path() -> Path:
    """The file of this user that keeps the servers' keys."""
    return path_beside(connection.default_path())


def path_beside(connection_file: Path) -> Path:
    """The same for the programs that share a connection file."""
    return connection_file.with_name("servers.json")


def known(path: Path) -> tuple[str, ...]:
    """The addresses of the servers in the file; GanEditError (bad_connection_file) when it cannot be trusted."""
    return tuple(_stored(path))


def store(remote: Remote, path: Path) -> None:
    """Keep a server in the file, for its owner only; GanEditError (bad_connection_file) when that is impossible."""
    connection.write_private(path, {**_stored(path), remote.url: asdict(remote)})


def stored(url: str, path: Path) -> Remote:
    """The server that was kept under ``url``; GanEditError (bad_address) when there is none."""
    try:
        return Remote(**_stored(path)[url])
    except (KeyError, TypeError):
        raise GanEditError(
            "bad_address", f"No key for {url} is kept here.", f"Give it once with: gan-edit connect {url}"
        ) from None


class RemoteTransport:
    """Messages to the server and back. Each request is followed by a thread, until its last event has come."""

    def __init__(self, remote: Remote) -> None:
        remote.check()
        self._remote = remote
        self._inbox: queue.Queue[list[bytes] | GanEditError] = queue.Queue()
        self._closed = threading.Event()
        self._threads: list[threading.Thread] = []
        self._jobs: set[str] = set()
        self._lock = threading.Lock()
        self._client: Any = None
        _check_server(remote)

    def send(self, frames: list[bytes]) -> None:
        job, request = wire.decode_request(frames)
        if isinstance(request, JobRequest):
            self._jobs.add(job)
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        self._threads.append(threading.Thread(target=self._follow, args=(job, request, frames), daemon=True))
        self._threads[-1].start()

    def receive(self, timeout: float) -> list[bytes] | None:
        try:
            came = self._inbox.get(timeout=max(timeout, 0.001))
        except queue.Empty:
            return None
        if isinstance(came, GanEditError):
            raise came
        return came

    def close(self) -> None:
        """Jobs that are still followed are cancelled. The server ends them later if it cannot be told."""
        followed = list(self._jobs)
        for job in followed:
            self.send(wire.encode(job, CancelRequest(job)))
        leaving = time.monotonic() + PARTING_SECONDS
        for thread in self._threads[-len(followed) :] if followed else ():
            thread.join(max(0.0, leaving - time.monotonic()))
        self._closed.set()
        for thread in self._threads:
            thread.join(_ANSWER_SECONDS)
        self._drop(self._client)

    def _follow(self, job: str, request: Request, frames: list[bytes]) -> None:
        """Hand on all events of a request, over as many connections as it takes."""
        try:
            self._follow_to_the_end(job, request, packed(frames))
        finally:
            self._jobs.discard(job)

    def _follow_to_the_end(self, job: str, request: Request, text: str) -> None:
        after = 0
        heard = time.monotonic()
        while not self._closed.is_set():
            try:
                for answer in self._answers(text if after == 0 else "", "" if after == 0 else job, after):
                    heard = time.monotonic()
                    if answer["message"]:
                        after = max(after, answer["number"])
                        if self._hand_on(unpacked(answer["message"], MOST_BYTES)):
                            return
                if isinstance(request, CancelRequest):
                    return  # its answer is the job's own
            except GanEditError as error:
                self._inbox.put(error)
                return
            except Exception as error:  # whatever a broken line makes of gradio_client, httpx and JSON
                if (refusal := _refusal(self._remote.url, error)) is not None:
                    self._inbox.put(refusal)
                    return
                logging.getLogger("gan_edit.remote").info("the connection broke", exc_info=True)
            if time.monotonic() - heard > PATIENCE_SECONDS:
                self._inbox.put(_unreachable(self._remote.url, "the connection was lost"))
                return
            self._closed.wait(_RETRY_SECONDS)

    def _hand_on(self, frames: list[bytes]) -> bool:
        """Whether that was the last event."""
        _, event = wire.decode_event(frames)
        self._inbox.put(frames)
        return isinstance(event, FINAL_EVENTS)

    def _answers(self, text: str, job: str, after: int) -> Iterator[dict[str, Any]]:
        """What the endpoint answers, until it ends or the connection seems dead."""
        client = self._connected()
        try:
            asked = client.submit(text, job, after, api_name=f"/{_ENDPOINT}")
            told, heard = 0, time.monotonic()
            while not self._closed.is_set():
                ended = asked.done()
                answers = asked.outputs()
                for answer in answers[told:]:
                    heard = time.monotonic()
                    yield answer
                told = len(answers)
                if ended:
                    asked.result()  # raises what broke it
                    return
                if time.monotonic() - heard > DEAD_SECONDS:
                    raise TimeoutError("nothing came")
                time.sleep(_POLL_SECONDS)
        except Exception:
            self._drop(client)
            raise

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = _gradio_client(self._remote)
            return self._client

    def _drop(self, client: Any) -> None:
        """The next request makes a connection anew."""
        with self._lock:
            if client is None or self._client is not client:
                return
            self._client = None
        client.close()
        for executor in (client.executor, client.helper_executor, client.stream_executor):
            executor.shutdown(wait=False, cancel_futures=True)


def _gradio_client(remote: Remote) -> Any:
    # Imported here because GIMP's own Python does not have it, and because it takes a second to load. It would report
    # to its makers, unless all three of these say no.
    os.environ.update(HF_HUB_DISABLE_TELEMETRY="1", GRADIO_ANALYTICS_ENABLED="False")
    import gradio_client  # noqa: PLC0415

    options = {"headers": _headers(remote), "verbose": False, "download_files": False, "analytics_enabled": False}
    return gradio_client.Client(remote.url, **options)


def _check_server(remote: Remote) -> None:
    """GanEditError unless a server of ours answers there and lets this client in."""
    import httpx  # noqa: PLC0415 - as above

    try:
        answer = httpx.get(f"{remote.url.rstrip('/')}/config", headers=_headers(remote), timeout=_ANSWER_SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        if "CERTIFICATE" in str(error):
            raise EngineUnavailableError(
                f"{remote.url} shows a certificate that cannot be trusted ({_reason(error)}).",
                "Ask whoever runs the server for a valid one.",
            ) from None
        raise _unreachable(remote.url, _reason(error)) from None
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        raise _unknown_key(remote.url)
    try:
        names = [each.get("api_name") for each in answer.json()["dependencies"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        names = []
    if _ENDPOINT not in names:
        raise EngineUnavailableError(
            f"What answers at {remote.url} is no GAN Edit server.", "Check the address; gan-edit serve prints it."
        )


def _refusal(url: str, error: Exception) -> GanEditError | None:
    """What the server will never do, however often it is asked; None where the line is at fault."""
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if response is not None and status == HTTPStatus.UNAUTHORIZED:
        return _unknown_key(url)
    if response is not None and status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return GanEditError("too_large", f"{url} does not take so much at once.", "Make the photo or the part smaller.")
    return None


def _unknown_key(url: str) -> GanEditError:
    return GanEditError(
        "bad_keys", f"{url} does not know this key.", f"Give the right one with: gan-edit connect {url}"
    )


def _headers(remote: Remote) -> dict[str, str]:
    return {"Authorization": f"Bearer {remote.key}"} if remote.key else {}


def _reason(error: Exception) -> str:
    text = re.sub(r"^\[Errno -?\d+\] ", "", (str(error).splitlines() or [""])[0])
    return text[:200] or type(error).__name__


def _unreachable(url: str, reason: str) -> EngineUnavailableError:
    return EngineUnavailableError(
        f"The server {url} cannot be reached ({reason}).", "Check the address, and try again."
    )


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine's own programs can be met at an address or name."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _stored(path: Path) -> dict[str, Any]:
    """All servers in the file, which must be its owner's alone."""
    try:
        with path.open(encoding="utf-8") as file:
            connection.check_private(file.fileno(), path)
            found = json.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise GanEditError(
            "bad_connection_file", f"The file of servers {path} is damaged.", "Delete it and connect again."
        )
    return found
