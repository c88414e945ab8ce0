"""``gan-edit serve``: the page and the endpoints behind their door, on one address."""

from __future__ import annotations

import signal
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import fastapi
import gradio as gr
import uvicorn
from starlette.middleware.gzip import GZipMiddleware

from gan_edit_engine.serving.desk import Desk
from gan_edit_engine.serving.front import Front
from gan_edit_engine.serving.guard import Guard
from gan_edit_engine.serving.keys import Keys
from gan_edit_engine.serving.limits import Limits
from gan_edit_engine.serving.page import LOOK, build
from gan_edit_engine.serving.programs import Programs, visitor_of
from gan_edit_engine.serving.proxy import Network
from gan_edit_engine.serving.visits import progress
from gan_edit_engine.serving.words import FIRST_SIGHT, TITLE
from gan_edit_protocol.client import Client
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.remote import is_loopback

_END_SECONDS = 3
_CACHE_SECONDS = (300, 1800)
"""How often the page's files are looked through, and how old they get."""
_PACKED = 5


@dataclass(frozen=True)
class Address:
    """``host`` and ``port`` (0: any that is free) to listen at; ``certificate`` and its ``key``: files in PEM.

    ``proxy``: where one is that passes visitors on.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    certificate: Path | None = None
    key: Path | None = None
    proxy: Network | None = None

    @property
    def is_local(self) -> bool:
        """Whether nobody but this machine's own programs can come there."""
        return is_loopback(self.host) and self.proxy is None

    def check(self, keys: Keys | None) -> None:
        """GanEditError unless people who come there can be told from others, and the certificate can be used."""
        if keys is None and not self.is_local:
            where = f"At {self.host}" if self.proxy is None else "Behind a proxy"
            raise GanEditError(
                "no_keys",
                f"{where} everybody on the network could use this server and see what others do.",
                "Make a key with: gan-edit keys; then give --token-file with the file that it names.",
            )
        if (self.certificate is None) != (self.key is None):
            raise GanEditError(
                "bad_certificate", "A certificate needs its key.", "Give both --tls-cert and --tls-key, or none."
            )
        if self.certificate is not None and self.key is not None:
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.certificate, self.key, password="")
            except (OSError, ValueError) as error:
                reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
                raise GanEditError(
                    "bad_certificate",
                    f"The certificate {self.certificate} with the key {self.key} cannot be used ({reason}).",
                    "Give a certificate and its own key, both as PEM files without a password.",
                ) from None

    def bound(self) -> socket.socket:
        """A socket that listens there; GanEditError (bad_address) when that is impossible."""
        try:
            family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
            return socket.create_server((self.host, self.port), family=family, backlog=128)
        except OSError as error:
            raise GanEditError(
                "bad_address",
                f"{self.host}, port {self.port}, cannot be listened at ({error.strerror}).",
                "Give another --port, or a --host that this machine has.",
            ) from None


@dataclass(frozen=True)
class Serving:
    """Who may come (``keys``; None: this machine's own programs) and how much each may ask for."""

    address: Address = field(default_factory=Address)
    keys: Keys | None = None
    limits: Limits = field(default_factory=Limits)


def serve(serving: Serving, folder: Path, connect: Callable[[], Client], listening: Callable[[str], None]) -> None:
    """Until a signal ends it. ``connect`` gives clients of the engine; ``listening`` hears the page's address.

    ``folder``: for visitors' files, Gradio's among them.
    """
    address = serving.address
    address.check(serving.keys)
    desk = Desk(connect, folder, serving.limits)
    # uvicorn ends at a signal, and then raises it again.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with address.bound() as bound, suppress(KeyboardInterrupt):
            application = _application(desk, connect, serving.limits)
            guard = Guard(application, serving.keys, serving.limits.bytes, address.proxy, desk.room)
            server = uvicorn.Server(_configuration(guard, address))
            scheme = "http" if address.certificate is None else "https"
            host = f"[{address.host}]" if ":" in address.host else address.host
            listening(f"{scheme}://{host}:{bound.getsockname()[1]}")
            server.run(sockets=[bound])
    finally:
        signal.signal(signal.SIGTERM, before)
        desk.close()


def _application(desk: Desk, connect: Callable[[], Client], limits: Limits) -> fastapi.FastAPI:
    programs = Programs(desk, connect, limits)
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True, delete_cache=_CACHE_SECONDS) as page:
        build(desk, connect, limits)
        gr.api(programs.frames, api_name="frames", concurrency_limit=None)
        gr.api(programs.models, api_name="models", concurrency_limit=None)
    page.queue(default_concurrency_limit=None, api_open=False)
    behind = fastapi.FastAPI(openapi_url=None)
    behind.add_middleware(Front, first_sight=FIRST_SIGHT)
    behind.add_middleware(GZipMiddleware, compresslevel=_PACKED)  # what Gradio does not pack itself: the page

    @behind.get("/progress/{key}")
    def how_far(key: str, request: fastapi.Request) -> fastapi.Response:
        try:
            return fastapi.responses.HTMLResponse(progress(desk, visitor_of(request), key))
        except GanEditError:
            return fastapi.Response(status_code=404)

    return gr.mount_gradio_app(
        behind,
        page,
        "/",
        allowed_paths=[],
        max_file_size=limits.bytes,
        show_error=False,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        run_history=False,
        footer_links=[],
        **LOOK,
    )


def _configuration(guard: Guard, address: Address) -> uvicorn.Config:
    return uvicorn.Config(
        guard,
        log_level="warning",
        proxy_headers=False,  # the door does it
        server_header=False,
        ws="none",
        ssl_certfile=address.certificate,
        ssl_keyfile=address.key,
        timeout_graceful_shutdown=_END_SECONDS,
    )
