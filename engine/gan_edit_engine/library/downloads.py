"""Downloads that resume, report progress, and only ever leave a complete, verified file under the final name."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from gan_edit_engine.checkpoints.foreign import HEAD, foreign
from gan_edit_engine.system.atomic_write import check_place, make_folder, replacing
from gan_edit_protocol.errors import GanEditError

# Called with (bytes so far, total bytes or None) after every piece.
Progress = Callable[[int, int | None], None]

PIECE = 1 << 20
TIMEOUT = 30.0
# A dropped connection resumes by itself this often in a row without any progress.
ATTEMPTS = 3
PAUSE = 1.0
RECORD = "known-files.json"
# Far above any model: what a server may send that does not say how much it will be.
MAX_SIZE = 1 << 33


class DownloadError(GanEditError):
    """A download that did not end in the file that was asked for."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__("download_failed", message, hint)


class _EndlessError(Exception):
    """More comes than the file has; what came is of no use."""


class _InterruptedError(Exception):
    """The connection ended before the file did; what came so far is kept."""


def download(url: str, target: Path, sha256: str | None, size: int | None, progress: Progress) -> str:
    """Fetch ``url`` into ``target``; its SHA-256 in hexadecimal.

    The bytes gather in ``target`` + ".part", which a later call resumes if the server says by which version it can.
    ``sha256`` (whole or its first digits) and ``size`` in bytes are verified when given; it stops at the size that is
    given or announced. Raises DownloadError, and GanEditError (bad_output) without room for it; a file of the wrong
    content is deleted.
    """
    part = target.with_name(target.name + ".part")
    make_folder(part.parent)
    _check_in_the_way(part)
    _check_in_the_way(_validator_file(part))
    check_place(target, (size or 0) - _length(part))
    failures = 0
    while True:
        before = _length(part)
        try:
            _fetch(url, part, size, progress)
            break
        except _InterruptedError as error:
            failures = 0 if _length(part) > before else failures + 1
            if failures >= ATTEMPTS:
                raise _unfinished(url, part, str(error)) from None
            time.sleep(PAUSE)
    digest = _verify(url, part, sha256, size)
    os.replace(part, target)
    _validator_file(part).unlink(missing_ok=True)
    return digest


def _check_in_the_way(path: Path) -> None:
    """DownloadError where there is something else than a file, such as a pipe, which nobody might ever read from."""
    if path.exists() and not path.is_file():
        raise DownloadError(f"{path} is no file.", "Delete it and run the same command again.")


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _unfinished(url: str, part: Path, reason: str) -> DownloadError:
    return DownloadError(
        f"The download of {url} stopped after {_length(part)} bytes: {reason}.",
        "Run the same command again to go on from there.",
    )


def _fetch(url: str, part: Path, size: int | None, progress: Progress) -> None:
    """One connection: append what is missing to ``part``; _InterruptedError when it ends too early."""
    offset = _length(part)
    try:
        with urllib.request.urlopen(_request(url, part, offset), timeout=TIMEOUT) as response:
            if response.status == 200 and offset:
                offset = 0  # the server does not resume, or the file has changed
            total = _total(response, offset)
            _check_total(url, total, size)
            _remember_validator(part, response)
            _copy(response, part, offset, size if total is None else total, progress)
    except _EndlessError as error:
        _discard(part)
        raise DownloadError(
            f"{url} goes on after {error} bytes: it is not the expected file. It was deleted."
        ) from None
    except urllib.error.HTTPError as error:
        if error.code == 416 and offset:
            part.unlink()  # nothing is left to fetch from there: the part is not of this file
            raise _InterruptedError("the server has no such part of the file") from None
        if error.code >= 500:
            raise _InterruptedError(f"the server answers {error.code} {error.reason}") from None
        raise DownloadError(f"The server refuses {url}: {error.code} {error.reason}.") from None
    except (OSError, http.client.HTTPException) as error:
        raise _InterruptedError(str(getattr(error, "reason", error)) or type(error).__name__) from None


def _request(url: str, part: Path, offset: int) -> urllib.request.Request:
    headers = {"User-Agent": "gan-edit", "Accept-Encoding": "identity"}
    validator = _validator_file(part)
    # Without If-Range a file that changed on the server would be glued together from two versions.
    if offset and validator.exists():
        headers |= {"Range": f"bytes={offset}-", "If-Range": validator.read_text("utf-8").strip()}
    return urllib.request.Request(url, headers=headers)


def _validator_file(part: Path) -> Path:
    return part.with_name(part.name + ".etag")


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _validator_file(part).unlink(missing_ok=True)


def _remember_validator(part: Path, response: http.client.HTTPResponse) -> None:
    tag = response.headers.get("ETag", "W/")
    validator = response.headers.get("Last-Modified") if tag.startswith("W/") else tag  # RFC 9110, section 13.1.5
    if validator:
        _validator_file(part).write_text(validator, "utf-8")
    else:
        _validator_file(part).unlink(missing_ok=True)


def _total(response: http.client.HTTPResponse, offset: int) -> int | None:
    content_range = response.headers.get("Content-Range", "")
    if response.status == 206 and content_range.rpartition("/")[2].isdigit():
        return int(content_range.rpartition("/")[2])
    length = response.headers.get("Content-Length", "")
    return offset + int(length) if length.isdigit() else None


def _check_total(url: str, total: int | None, size: int | None) -> None:
    if total is not None and size is not None and total != size:
        raise DownloadError(f"{url} has {total} bytes instead of {size}: it is not the expected file.")
    if total is not None and total > MAX_SIZE:
        raise DownloadError(f"{url} has {total} bytes: no model is so large.")


def _copy(response: http.client.HTTPResponse, part: Path, offset: int, total: int | None, progress: Progress) -> None:
    """Append what comes; _EndlessError as soon as it is more than ``total``, or than any model has."""
    done, end = offset, MAX_SIZE if total is None else total
    with part.open("r+b" if offset else "wb") as file:
        file.seek(offset)
        while piece := response.read(PIECE):
            done += len(piece)
            if done > end:
                raise _EndlessError(str(end))
            file.write(piece)
            progress(done, total)
    if total is not None and done < total:
        raise _InterruptedError("the connection ended early")


def _verify(url: str, part: Path, sha256: str | None, size: int | None) -> str:
    """SHA-256 of the part; deletes it and raises DownloadError when it is not the expected file."""
    digest = sha256_of(part)
    wrong_size = size is not None and _length(part) != size
    if wrong_size or (sha256 is not None and not digest.startswith(sha256.lower())):
        with part.open("rb") as file:
            other = foreign(file.read(HEAD))
        _discard(part)
        expected = f"{size} bytes" if wrong_size else f"SHA-256 {sha256}"
        reason = f"it is {other.name}" if other is not None else f"it does not have {expected}"
        raise DownloadError(
            f"The file at {url} is not the expected one: {reason}. It was deleted.",
            "Try again later; if it stays so, the publisher has changed the file.",
        )
    return digest


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal; the file is read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()


def known_sha256(folder: Path, url: str) -> str | None:
    """The SHA-256 of the first file from ``url`` that could be imported into this models folder."""
    record = _read_record(folder).get(url)
    return record if isinstance(record, str) else None


def remember_sha256(folder: Path, url: str, digest: str | None) -> None:
    """Record the SHA-256 of a file that was opened and accepted, for later ones to match; None forgets it."""
    make_folder(folder)
    known = {**_read_record(folder), url: digest}
    content = json.dumps({name: value for name, value in known.items() if value is not None}, indent=1)
    with replacing(folder / RECORD) as part:
        part.write_text(content, "utf-8")


def _read_record(folder: Path) -> dict[str, object]:
    path = folder / RECORD
    _check_in_the_way(path)
    try:
        record = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        raise DownloadError(
            f"The record of known files {path} is damaged.", "Delete it to trust the next downloads anew."
        ) from None
    return record if isinstance(record, dict) else {}
