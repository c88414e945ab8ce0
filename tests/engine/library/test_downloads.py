"""Downloads against a real server: they resume, verify, and never leave a wrong or half file under the final name."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from file_server import Site, serving

from gan_edit_engine.library import downloads
from gan_edit_engine.library.downloads import DownloadError, download

CONTENT = random.Random(0).randbytes(3_000_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "PAUSE", 0)


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site(CONTENT)) as served:
        yield served


def fetch(site: Site, target: Path, sha256: str | None = None, size: int | None = None) -> list[tuple[int, int | None]]:
    seen: list[tuple[int, int | None]] = []
    download(site.url, target, sha256, size, lambda done, total: seen.append((done, total)))
    return seen


def test_a_download_arrives_whole_and_tells_its_progress(site: Site, tmp_path: Path) -> None:
    seen = fetch(site, tmp_path / "m.pkl", DIGEST, len(CONTENT))
    assert (tmp_path / "m.pkl").read_bytes() == CONTENT
    assert [p.name for p in tmp_path.iterdir()] == ["m.pkl"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_dropped_connection_goes_on_where_it_stopped(site: Site, tmp_path: Path) -> None:
    site.drops = [1_000_000, 500_000]
    fetch(site, tmp_path / "m.pkl", DIGEST)
    assert (tmp_path / "m.pkl").read_bytes() == CONTENT
    assert site.requests == [None, "bytes=1000000-", "bytes=1500000-"]


def test_a_later_run_resumes_what_an_earlier_one_left(site: Site, tmp_path: Path) -> None:
    site.drops = [1_000_000, 0, 0, 0]
    with pytest.raises(DownloadError, match="stopped after 1000000 bytes") as caught:
        fetch(site, tmp_path / "m.pkl")
    assert "again" in caught.value.hint
    assert not (tmp_path / "m.pkl").exists()
    site.requests.clear()
    fetch(site, tmp_path / "m.pkl", DIGEST)
    assert site.requests == ["bytes=1000000-"]
    assert (tmp_path / "m.pkl").read_bytes() == CONTENT


def test_a_file_that_changed_meanwhile_is_fetched_anew(site: Site, tmp_path: Path) -> None:
    """Two halves of two versions must never be glued together."""
    site.drops = [1_000_000, 0, 0, 0]
    with pytest.raises(DownloadError):
        fetch(site, tmp_path / "m.pkl")
    site.content, site.etag = CONTENT[::-1], '"v2"'
    fetch(site, tmp_path / "m.pkl")
    assert (tmp_path / "m.pkl").read_bytes() == CONTENT[::-1]


def test_a_server_without_ranges_starts_over(site: Site, tmp_path: Path) -> None:
    site.ranges, site.etag, site.drops = False, None, [1_000_000]
    fetch(site, tmp_path / "m.pkl", DIGEST)
    assert (tmp_path / "m.pkl").read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_thrown_away(site: Site, tmp_path: Path) -> None:
    (tmp_path / "m.pkl.part").write_bytes(CONTENT + b"more")
    fetch(site, tmp_path / "m.pkl", DIGEST)
    assert (tmp_path / "m.pkl").read_bytes() == CONTENT


def test_without_a_version_to_ask_for_nothing_is_glued_together(site: Site, tmp_path: Path) -> None:
    site.etag, site.drops = None, [1_000_000]
    fetch(site, tmp_path / "m.pkl")
    assert site.requests == [None, None]
    assert (tmp_path / "m.pkl").read_bytes() == CONTENT


@pytest.mark.parametrize("size", [1000, 2_500_000])
def test_a_download_stops_at_the_known_size(site: Site, tmp_path: Path, size: int) -> None:
    site.announces = False
    with pytest.raises(DownloadError, match=f"goes on after {size} bytes"):
        fetch(site, tmp_path / "m.pkl", size=size)
    assert list(tmp_path.iterdir()) == []


def test_what_is_announced_larger_than_any_model_is_not_begun(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "MAX_SIZE", 2_000_000)
    with pytest.raises(DownloadError, match="3000000 bytes: no model is so large"):
        fetch(site, tmp_path / "m.pkl")
    site.announces = False
    with pytest.raises(DownloadError, match="goes on after 2000000 bytes"):
        fetch(site, tmp_path / "m.pkl")
    assert list(tmp_path.iterdir()) == []


def test_a_web_page_in_a_known_files_place_is_named(site: Site, tmp_path: Path) -> None:
    site.content = b"\n<HTML><body>Please log in</body></HTML>"
    with pytest.raises(DownloadError, match="it is a web page"):
        fetch(site, tmp_path / "m.pkl", DIGEST)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["m.pkl.part", "m.pkl.part.etag"])
def test_a_pipe_in_the_way_is_named_and_not_opened(site: Site, tmp_path: Path, never_waits: None, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(DownloadError, match=f"{name} is no file"):
        fetch(site, tmp_path / "m.pkl")


def test_a_pipe_in_the_records_place_is_named_and_not_opened(tmp_path: Path, never_waits: None) -> None:
    os.mkfifo(tmp_path / downloads.RECORD)
    with pytest.raises(DownloadError, match="is no file"):
        downloads.remember_sha256(tmp_path, "u", "ab")


@pytest.mark.parametrize("expected", ["0" * 64, "dcbb9e9d"])
def test_a_wrong_file_is_deleted(site: Site, tmp_path: Path, expected: str) -> None:
    with pytest.raises(DownloadError, match=f"does not have SHA-256 {expected}"):
        fetch(site, tmp_path / "m.pkl", expected)
    assert list(tmp_path.iterdir()) == []


def test_the_first_digits_of_a_hash_suffice(site: Site, tmp_path: Path) -> None:
    fetch(site, tmp_path / "m.pkl", DIGEST[:8].upper())
    assert (tmp_path / "m.pkl").exists()


def test_a_wrong_size_is_noticed_before_anything_is_fetched(site: Site, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="3000000 bytes instead of 7"):
        fetch(site, tmp_path / "m.pkl", size=7)
    assert not (tmp_path / "m.pkl.part").exists()


@pytest.mark.parametrize("status", [403, 404])
def test_a_refusal_is_told_at_once(site: Site, tmp_path: Path, status: int) -> None:
    site.status = status
    with pytest.raises(DownloadError, match=str(status)):
        fetch(site, tmp_path / "m.pkl")
    assert len(site.requests) == 1


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    with serving(Site(b"")) as gone:
        pass
    with pytest.raises(DownloadError, match="stopped after 0 bytes"):
        fetch(gone, tmp_path / "m.pkl")


def test_known_files_are_remembered_and_a_damaged_record_is_told(tmp_path: Path) -> None:
    assert downloads.known_sha256(tmp_path, "u") is None
    downloads.remember_sha256(tmp_path, "u", "ab")
    downloads.remember_sha256(tmp_path, "v", "cd")
    assert (downloads.known_sha256(tmp_path, "u"), downloads.known_sha256(tmp_path, "v")) == ("ab", "cd")
    downloads.remember_sha256(tmp_path, "u", None)
    assert downloads.known_sha256(tmp_path, "u") is None
    (tmp_path / downloads.RECORD).write_text("{", "utf-8")
    with pytest.raises(DownloadError, match="damaged"):
        downloads.known_sha256(tmp_path, "u")
