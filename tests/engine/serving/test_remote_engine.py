"""An engine beyond this machine: a real server behind a line that breaks, is slow, or has nobody at its end."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_process import PHOTO, projection, wait_for
from serving.line import Line
from serving.served import Served

from gan_edit_engine.cli.install import engine_program
from gan_edit_engine.imaging.arrays import to_message
from gan_edit_engine.imaging.image_files import Picture, read_picture, write_png
from gan_edit_engine.serving import keys
from gan_edit_engine.serving.desk import ABANDONED_SECONDS
from gan_edit_protocol import client as clients
from gan_edit_protocol import connection, remote, wire
from gan_edit_protocol.client import Client
from gan_edit_protocol.errors import EngineUnavailableError, GanEditError, JobCancelledError, JobFailedError
from gan_edit_protocol.events import Progress
from gan_edit_protocol.launch import EngineCommand, connect_to_server
from gan_edit_protocol.remote import Remote, RemoteTransport
from gan_edit_protocol.requests import ProjectRequest, RandomRequest

pytestmark = pytest.mark.slow
pytest.importorskip("gradio")
pytest.importorskip("gradio_client")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("serve")


@pytest.fixture(scope="module")
def key(folder: Path) -> str:
    return keys.add(folder / "keys", "anna")


@pytest.fixture(scope="module")
def served(folder: Path, key: str) -> Iterator[Served]:
    running = Served(folder, "--token-file", str(folder / "keys")).wait_until_ready()
    yield running
    running.end()


@pytest.fixture(autouse=True)
def _warnings_of_gradio_client() -> Iterator[None]:
    import warnings  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def place(served: Served) -> tuple[str, int]:
    address = urllib.parse.urlsplit(served.url)
    assert address.hostname is not None
    assert address.port is not None
    return address.hostname, address.port


def command(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, connection.ENVIRONMENT_VARIABLE: str(folder / "mine" / "engine.json")}
    return subprocess.run(
        [*engine_program(), *map(str, words)], env=environment, capture_output=True, text=True, check=False
    )


def test_the_command_line_edits_there_as_here(served: Served, folder: Path, key: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(key + "\n")
    connected = command(folder, "connect", served.url, "--key-file", tmp_path / "key")
    assert connected.returncode == 0, connected.stderr
    write_png(tmp_path / "photo.png", Picture(np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)))
    scribble = np.zeros((60, 80, 4), np.uint8)
    scribble[20:30, 30:40] = (30, 60, 200, 255)
    write_png(tmp_path / "scribble.png", Picture(scribble))
    quick = ("--set", "steps=3", "--set", "init_samples=1", "--set", "edit_steps=2", "--crop", "40,30,60", "--json")
    words = ("edit", tmp_path / "photo.png", "--scribble", tmp_path / "scribble.png", *quick)
    there = command(folder, "--engine", served.url, *words, "--output", tmp_path / "there.png")
    assert there.returncode == 0, there.stderr
    assert json.loads(there.stdout)["model"] == "cats256"
    assert not (folder / "mine" / "engine.json").exists()  # no engine was started here
    here = command(folder, *words, "--output", tmp_path / "here.png", "--no-keep")
    assert here.returncode == 0, here.stderr
    assert np.array_equal(read_picture(tmp_path / "there.png").pixels, read_picture(tmp_path / "here.png").pixels)


@pytest.fixture
def engine(tmp_path: Path) -> EngineCommand:
    """What a plug-in knows of this computer."""
    return EngineCommand(tuple(engine_program()), tmp_path / "engine.json", tmp_path / "engine.log")


def test_the_plug_ins_relay_goes_there_too(served: Served, engine: EngineCommand, key: str) -> None:
    remote.store(Remote(served.url, key), remote.path_beside(engine.connection_file))
    waited: list[float] = []
    with connect_to_server(engine, served.url, waited.append) as client:
        assert client.run(projection()).image.shape == PHOTO.shape
        with pytest.raises(JobFailedError, match="no model named"):
            client.run(RandomRequest("no-such-model"))
    assert waited == sorted(waited) != []


def test_the_plug_ins_relay_tells_why_it_cannot_go_there(served: Served, engine: EngineCommand) -> None:
    with pytest.raises(EngineUnavailableError, match=f"^No key for {served.url} is kept here. Give it once with: "):
        connect_to_server(engine, served.url)
    remote.store(Remote(served.url, "wrong" * 9), remote.path_beside(engine.connection_file))
    with pytest.raises(EngineUnavailableError, match=f"^{served.url} does not know this key. Give the right one"):
        connect_to_server(engine, served.url)
    with Line(place(served)) as line:
        url = f"http://127.0.0.1:{line.port}"
    remote.store(Remote(url), remote.path_beside(engine.connection_file))
    with pytest.raises(EngineUnavailableError, match=f"^The server {url} cannot be reached "):
        connect_to_server(engine, url)


def test_a_wait_for_a_server_is_stopped(served: Served, engine: EngineCommand, key: str) -> None:
    remote.store(Remote(served.url, key), remote.path_beside(engine.connection_file))

    def stop(_: float) -> None:
        raise JobCancelledError

    with pytest.raises(JobCancelledError):
        connect_to_server(engine, served.url, stop)


@pytest.mark.parametrize("by_relay", [False, True])
def test_whoever_leaves_in_mid_job_cancels_it(served: Served, engine: EngineCommand, key: str, by_relay: bool) -> None:
    remote.store(Remote(served.url, key), remote.path_beside(engine.connection_file))
    client = connect_to_server(engine, served.url) if by_relay else Client(RemoteTransport(Remote(served.url, key)))
    with client:
        next(event for event in client.events(projection(steps=20000)) if isinstance(event, Progress))
    with Client(RemoteTransport(Remote(served.url, key))) as other:
        wait_for(lambda: other.status().jobs == 0, ABANDONED_SECONDS / 2)


def test_what_goes_wrong_there_is_said_as_here(served: Served, key: str) -> None:
    with Client(RemoteTransport(Remote(served.url, key))) as client:
        with pytest.raises(JobFailedError) as caught:
            client.run(RandomRequest("no-such-model"))
        assert caught.value.code == "unknown_model"
        assert client.run(RandomRequest()).model == "cats256"
    with pytest.raises(GanEditError, match="does not know this key") as refused:
        RemoteTransport(Remote(served.url, "wrong" * 9))
    assert refused.value.code == "bad_keys"


def test_a_job_there_is_cancelled(served: Served, key: str) -> None:
    wanted = threading.Event()
    with Client(RemoteTransport(Remote(served.url, key))) as client:
        with pytest.raises(JobCancelledError):
            client.run(projection(steps=20000), lambda event: wanted.set() if isinstance(event, Progress) else None,
                       wanted.is_set)  # fmt: skip
        wait_for(lambda: client.status().jobs == 0)


def test_a_line_that_breaks_is_taken_up_and_the_job_done_once(served: Served, key: str) -> None:
    steps: dict[str, list[int]] = {}
    order, cuts = [], []
    with Line(place(served)) as line, Client(RemoteTransport(Remote(f"http://127.0.0.1:{line.port}", key))) as client:

        def hear(event: Any) -> None:
            if isinstance(event, Progress):
                steps.setdefault(event.stage, []).append(event.step)
                order.append(event.stage)
                if len(cuts) < 2 and event.step > 20 * (len(cuts) + 1):
                    cuts.append(event.step)
                    line.cut()

        result = client.run(projection(steps=100), hear)
    assert len(cuts) == 2
    assert result.steps == 100
    # Who begins anew comes back to the first stage, or counts from the start.
    assert [stage for stage, _ in itertools.groupby(order)] == list(steps)
    assert all(counted == sorted(counted) for counted in steps.values())


def test_a_line_on_which_a_request_was_lost_carries_it_again(served: Served, key: str) -> None:
    with Line(place(served)) as line, Client(RemoteTransport(Remote(f"http://127.0.0.1:{line.port}", key))) as client:
        client.status(60)
        line.is_open = False
        line.cut()
        opener = threading.Timer(3, lambda: setattr(line, "is_open", True))
        opener.start()
        assert client.run(RandomRequest()).model == "cats256"
        opener.join()


def test_a_slow_line_carries_an_edit(served: Served, key: str) -> None:
    slow = Line(place(served), rate=100_000, delay=0.15)  # 300 ms there and back
    with slow as line, Client(RemoteTransport(Remote(f"http://127.0.0.1:{line.port}", key))) as client:
        assert client.status(60).version
        before = line.carried
        assert client.run(projection()).image.shape == PHOTO.shape
        assert line.carried - before < 1_000_000


def test_a_server_that_ends_is_an_engine_that_ends(
    folder: Path, tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "PATIENCE_SECONDS", 2.0)
    served = Served(tmp_path, "--token-file", str(folder / "keys")).wait_until_ready()
    with Client(RemoteTransport(Remote(served.url, key))) as client:

        def hear(event: Any) -> None:
            if isinstance(event, Progress) and served.process.poll() is None:
                served.end()

        with pytest.raises((EngineUnavailableError, JobCancelledError)):
            client.run(projection(steps=20000), hear)


def test_a_server_that_is_killed_in_mid_job_is_one_sentence(
    folder: Path, tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "PATIENCE_SECONDS", 2.0)
    with monkeypatch.context() as of_its_own:
        of_its_own.setenv("TMPDIR", str(tmp_path))  # a process that is killed takes nothing away
        served = Served(tmp_path, "--token-file", str(folder / "keys"))
    served.wait_until_ready()
    with Client(RemoteTransport(Remote(served.url, key))) as client:

        def hear(event: Any) -> None:
            if isinstance(event, Progress):
                served.process.kill()

        with pytest.raises(EngineUnavailableError, match="cannot be reached .the connection was lost.") as caught:
            client.run(projection(steps=20000), hear)
    assert caught.value.hint
    served.process.wait()
    wait_for(lambda: not served.connection_file.exists(), 60)  # its engine ends with it


def test_a_request_larger_than_the_server_takes_is_refused_at_once(folder: Path, tmp_path: Path, key: str) -> None:
    served = Served(tmp_path, "--token-file", str(folder / "keys"), "--megabytes", "1").wait_until_ready()
    noise = np.random.default_rng(0).integers(0, 256, (900, 900, 3), np.uint8)
    try:
        with Client(RemoteTransport(Remote(served.url, key))) as client:
            with pytest.raises(GanEditError, match="does not take so much at once") as caught:
                client.run(ProjectRequest(to_message(noise)))
            assert caught.value.code == "too_large"
            assert client.run(RandomRequest()).model == "cats256"
    finally:
        served.end()


def test_a_server_of_another_version_is_named(served: Served, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Client(RemoteTransport(Remote(served.url, key))) as client:
        for module in (wire, clients):
            monkeypatch.setattr(module, "PROTOCOL_VERSION", 99)
        with pytest.raises(JobFailedError, match="speaks protocol version 99, this one version") as caught:
            client.run(RandomRequest())
    assert caught.value.code == "version_mismatch"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="a certificate is made with openssl")
def test_a_certificate_that_has_expired_is_refused(
    folder: Path, tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "names").write_text("subjectAltName=IP:127.0.0.1")
    for words in (
        "req -newkey rsa:2048 -nodes -keyout key.pem -out asked.pem -subj /CN=localhost",
        "x509 -req -in asked.pem -signkey key.pem -days 0 -extfile names -out cert.pem",
    ):
        subprocess.run(["openssl", *words.split()], cwd=tmp_path, check=True, capture_output=True)
    tls = ("--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"))
    served = Served(tmp_path, "--token-file", str(folder / "keys"), *tls).wait_until_ready()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))  # who signed it is trusted
    try:
        with pytest.raises(EngineUnavailableError, match="certificate that cannot be trusted .*expired"):
            RemoteTransport(Remote(served.url, key))
    finally:
        served.end()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="a certificate is made with openssl")
def test_a_certificate_that_nobody_vouches_for_is_refused(folder: Path, tmp_path: Path, key: str) -> None:
    made = ["-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem", "-subj", "/CN=localhost"]
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *made]
    subprocess.run(words, check=True, capture_output=True)
    tls = ("--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"))
    served = Served(tmp_path, "--token-file", str(folder / "keys"), *tls).wait_until_ready()
    try:
        assert served.url.startswith("https://")
        with pytest.raises(EngineUnavailableError, match="certificate that cannot be trusted"):
            RemoteTransport(Remote(served.url, key))
    finally:
        served.end()
