"""Servers' addresses and keys, as they are kept; and what is said of an address where none of ours answers."""

from __future__ import annotations

import http.server
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.remote import Remote, RemoteTransport, known, store, stored


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:7860", "http://localhost:1", "http://[::1]:7860", "https://a.example"]
)
def test_addresses_that_keep_a_key_secret(url: str) -> None:
    Remote(url, "k").check()


@pytest.mark.parametrize("url", ["http://a.example", "http://10.0.0.1:7860", "http://127.0.0.1.evil.example"])
def test_plain_http_is_for_those_who_say_so(url: str) -> None:
    with pytest.raises(GanEditError, match="could read the key") as caught:
        Remote(url, "k").check()
    assert "--insecure" in caught.value.hint
    Remote(url, "k", insecure=True).check()


@pytest.mark.parametrize(
    "url", ["", "studio", "ftp://a.example", "https://", "https://user:word@a.example", "file:///etc"]
)
def test_what_is_no_address_is_said(url: str) -> None:
    with pytest.raises(GanEditError, match="no address") as caught:
        Remote(url, "k", insecure=True).check()
    assert caught.value.code == "bad_address"


def test_servers_are_kept_for_their_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "new" / "servers.json"
    one, other = Remote("https://a.example", "k"), Remote("http://b.example", "", True)
    for remote in (Remote("https://a.example", "old"), one, other):
        store(remote, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["servers.json"]
    assert known(file) == (one.url, other.url)
    assert stored(one.url, file) == one
    assert stored(other.url, file) == other
    with pytest.raises(GanEditError, match="gan-edit connect https://c.example"):
        stored("https://c.example", file)
    file.chmod(0o644)
    for read in (lambda: stored(one.url, file), lambda: known(file)):
        with pytest.raises(GanEditError, match="read by others"):
            read()


def test_where_nothing_is_kept_no_server_is_known(tmp_path: Path) -> None:
    assert known(tmp_path / "servers.json") == ()


@pytest.mark.parametrize("content", ["", "[]", "no JSON", '{"https://a.example": {"url": 1, "more": 2}}'])
def test_a_damaged_file_is_a_sentence(tmp_path: Path, content: str) -> None:
    file = tmp_path / "servers.json"
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(GanEditError):
        stored("https://a.example", file)


@pytest.fixture
def somebody_else() -> Iterator[str]:
    """A web server that is none of ours."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802 - http.server's name
            body = b'{"dependencies": [{"api_name": "chat"}]}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_server_of_something_else_is_recognised(somebody_else: str) -> None:
    with pytest.raises(GanEditError, match="no GAN Edit server"):
        RemoteTransport(Remote(somebody_else))


def test_an_address_where_nobody_answers_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(GanEditError, match="cannot be reached"):
        RemoteTransport(Remote(f"http://127.0.0.1:{port}"))


def test_nothing_is_reported_to_the_makers_of_gradio() -> None:
    code = """
import gradio_client
from gan_edit_protocol import remote
made = {}
gradio_client.Client = lambda url, **options: made.update(options)
remote._gradio_client(remote.Remote("http://127.0.0.1:1"))
import os
print(made["analytics_enabled"], os.environ["GRADIO_ANALYTICS_ENABLED"], os.environ["HF_HUB_DISABLE_TELEMETRY"])
"""
    names = ("GRADIO_ANALYTICS_ENABLED", "HF_HUB_DISABLE_TELEMETRY")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "1"]
