"""A real server under garbage: 1,000 requests, or as many as GAN_EDIT_GARBAGE says.

Of 10,000 docs/reliability.md tells.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from engine_process import projection, wait_for
from serving.served import Served, events, fetched, sent

pytest.importorskip("gradio")

from serving.garbage import poured, requests, routes  # noqa: E402
from serving.test_programs import client_with  # noqa: E402

from gan_edit_engine.serving import keys  # noqa: E402
from gan_edit_protocol.events import ResultReady  # noqa: E402

COUNT = int(os.environ.get("GAN_EDIT_GARBAGE", "1000"))
MOST_GROWTH = 200 << 20
"""Bytes by which the server may have grown in the end, whether after a thousand requests or ten thousand."""
STEPS = 40


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    (tmp_path / "temp").mkdir()
    with monkeypatch.context() as of_its_own:
        of_its_own.setenv("TMPDIR", str(tmp_path / "temp"))
        running = Served(tmp_path, "--token-file", str(key_file(tmp_path)))
    running.wait_until_ready()
    yield running
    running.end()


@pytest.fixture
def client(served: Served, tmp_path: Path) -> Iterator[Any]:
    yield from client_with(served, keys.read(tmp_path / "keys").of["anna"])


def key_file(folder: Path) -> Path:
    for name in ("anna", "eve"):
        keys.add(folder / "keys", name)
    return folder / "keys"


def timed(client: Any, job: str) -> tuple[Any, float]:
    began = time.monotonic()
    told = events(sent(client, projection(steps=STEPS), job))
    return told[-1][1], time.monotonic() - began


@pytest.mark.slow
def test_every_route_gets_garbage() -> None:
    places = routes()
    assert {"/gradio_api/upload", "/gradio_api/queue/join", "/gradio_api/file={path_or_url:path}", "/"} <= set(places)
    assert len(places) > 60
    assert list(requests(200, "key")) == list(requests(200, "key"))


@pytest.mark.slow
def test_a_good_client_is_served_while_garbage_comes_on_every_route(
    served: Served, client: Any, tmp_path: Path
) -> None:
    known = keys.read(tmp_path / "keys").of
    address = urllib.parse.urlsplit(served.url)
    assert address.hostname is not None
    assert address.port is not None
    process = psutil.Process(served.process.pid)
    calm, alone = timed(client, "1" * 32)
    assert isinstance(calm, ResultReady)
    before = process.memory_info().rss
    during: list[tuple[Any, float]] = []
    job = threading.Thread(target=lambda: during.append(timed(client, "2" * 32)))
    job.start()
    began = time.monotonic()
    tally = asyncio.run(poured(address.hostname, address.port, COUNT, known["eve"]))
    seconds = time.monotonic() - began
    job.join()
    grown = process.memory_info().rss - before
    print(
        f"{COUNT} requests in {seconds:.0f} s, {COUNT / seconds:.0f}/s: {dict(sorted(tally.statuses.items()))}; "
        f"the server grew by {grown / 1e6:.0f} MB from {before / 1e6:.0f}; "
        f"a job took {during[0][1]:.1f} s, {alone:.1f} alone"
    )
    assert tally.leaks == []
    stormy = during[0][0]
    assert isinstance(stormy, ResultReady)
    assert stormy.image == calm.image
    assert grown < MOST_GROWTH
    assert served.process.poll() is None
    assert fetched(f"{served.url}/config", Authorization=f"Bearer {known['anna']}")[0] == 200
    served.end()
    wait_for(lambda: not list((tmp_path / "temp").glob("gan-edit-*")))
    assert list((tmp_path / "temp").iterdir()) == []
