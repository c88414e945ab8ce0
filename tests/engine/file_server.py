"""A local web server for the download tests: ranges, validators, and connections that end too early."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """What the server gives and how it behaves; ``requests`` collects the Range headers that came in."""

    content: bytes
    etag: str | None = '"v1"'
    ranges: bool = True
    # Whether it says how long the file is.
    announces: bool = True
    # Bytes after which each of the next connections is dropped.
    drops: list[int] = field(default_factory=list)
    status: int = 200
    requests: list[str | None] = field(default_factory=list)
    url: str = ""


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802 (the base class's name)
            wanted = self.headers.get("Range")
            site.requests.append(wanted)
            if site.status != 200:
                self.send_error(site.status)
                return
            if_range = self.headers.get("If-Range")
            resumes = site.ranges and wanted and (if_range is None or if_range == site.etag)
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if resumes and wanted else 0
            if start and start >= len(site.content):
                self.send_error(416)
                return
            self._headers(start, bool(resumes))
            body = site.content[start:]
            if site.drops:
                body = body[: site.drops.pop(0)]
            self.wfile.write(body)

        def _headers(self, start: int, resumes: bool) -> None:
            self.send_response(206 if resumes else 200)
            if site.announces:
                self.send_header("Content-Length", str(len(site.content) - start))
            if resumes:
                self.send_header("Content-Range", f"bytes {start}-{len(site.content) - 1}/{len(site.content)}")
            if site.etag:
                self.send_header("ETag", site.etag)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    return Handler


@contextmanager
def serving(site: Site, name: str = "model.pkl") -> Iterator[Site]:
    """``site`` with the address of its one file, while the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(site))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}/{name}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
