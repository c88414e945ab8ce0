"""``gan-edit serve``, ``keys`` and ``connect``: the engine for those who are elsewhere, and the way there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from gan_edit_engine.cli.session import AUTO, Workers, count_of, default_engine
from gan_edit_engine.serving import keys as key_file
from gan_edit_engine.serving.limits import Limits
from gan_edit_engine.serving.proxy import network_of
from gan_edit_protocol import remote
from gan_edit_protocol.client import Client
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.launch import connect_or_start

_DEFAULT = Limits()
_ANSWER_SECONDS = 60.0


def serve(
    host: Annotated[str, typer.Option(help="The address to listen at; others than this machine's own need keys.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 7860,
    token_file: Annotated[
        Path | None,
        typer.Option(help="The keys of those who may come in, of gan-edit keys; by default nobody is asked."),
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="A certificate as a PEM file: the address is then https.")] = (
        None
    ),
    tls_key: Annotated[Path | None, typer.Option(help="The certificate's key as a PEM file.")] = None,
    proxy: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Of a proxy before this server, or its network: what X-Forwarded-For and -Proto say is believed of "
            "it alone.",
        ),
    ] = None,
    megabytes: Annotated[int, typer.Option(min=1, max=4096, help="Of one request.")] = _DEFAULT.bytes >> 20,
    megapixels: Annotated[float, typer.Option(min=0.01, max=500, help="Of one picture.")] = _DEFAULT.pixels / 1e6,
    jobs: Annotated[int, typer.Option(min=1, help="Of one visitor, waiting or running.")] = _DEFAULT.jobs,
    seconds: Annotated[float, typer.Option(min=1, help="Of one job.")] = _DEFAULT.seconds,
    kept_megabytes: Annotated[
        int, typer.Option(min=1, help="Of one visitor's pictures on this machine's disk, each for half an hour.")
    ] = _DEFAULT.kept >> 20,
    disk_megabytes: Annotated[int, typer.Option(min=1, help="Of all visitors' pictures on this machine's disk.")] = (
        _DEFAULT.disk >> 20
    ),
    device: Annotated[str | None, typer.Option(help="cuda, mps, xpu or cpu, for an engine that is started.")] = None,
    workers: Workers = AUTO,
    connection_file: Annotated[
        Path | None,
        typer.Option("--connection", help="The engine's connection file; by default the one that all programs share."),
    ] = None,
) -> None:
    """Serve a page for people without GIMP, and an endpoint for programs, until Ctrl-C."""
    known = None if token_file is None else key_file.read(token_file)
    before = None if proxy is None else network_of(proxy)
    limits = Limits(megabytes << 20, int(megapixels * 1e6), jobs, seconds, kept_megabytes << 20, disk_megabytes << 20)
    count_of(workers)  # what is wrong with it is told here
    options = ("--idle-timeout", "0", "--workers", workers, *(() if device is None else ("--device", device)))
    default = default_engine()
    engine = replace(default, connection_file=connection_file or default.connection_file, options=options)

    def connect() -> Client:
        return connect_or_start(engine, end_with=os.getpid())

    # Visitors' pictures lie there, for this user alone to read, and go when the server ends.
    with tempfile.TemporaryDirectory(prefix="gan-edit-") as folder, _temporary_files_in(Path(folder) / "page"):
        app = _with_gradio(Path(folder))
        serving = app.Serving(app.Address(host, port, tls_cert, tls_key, before), known, limits)
        serving.address.check(known)
        connect().close()  # what is wrong with the engine is told now, and the first visitor need not wait for it
        app.serve(serving, Path(folder) / "page", connect, lambda url: print(f"GAN Edit is at {url}", flush=True))


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """What Gradio keeps of an upload that ends early, and forgets, lies with the rest, is counted with it, and goes."""
    folder.mkdir()
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


def _with_gradio(folder: Path) -> ModuleType:
    """What serves, with Gradio, which reads when it is loaded where its files go and whether to report to its makers.

    It takes seconds to load, and not everybody installs it.
    """
    own = {
        "GRADIO_TEMP_DIR": str(folder / "page"),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    os.environ.update(own)
    try:
        from gan_edit_engine.serving import app  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise GanEditError(
            "no_gradio", f"The page needs {error.name}, which is not installed.", "pip install 'gan-edit[serve]'"
        ) from None
    return app


def keys(
    file: Annotated[
        Path | None, typer.Option(help="The file of keys, made or added to; by default one in your configuration.")
    ] = None,
    name: Annotated[str, typer.Option(help="Whose key it is: the user, for a browser.")] = "visitor",
) -> None:
    """Make a key for gan-edit serve, and print it: a browser asks for the name as user, and the key as password."""
    path = file or key_file.default_path()
    key = key_file.add(path, name)
    print(f"{key}\nThe key of the user {name} is in {path}; serve with: gan-edit serve --token-file {path}")


def connect(
    url: Annotated[str, typer.Argument(metavar="URL", help="As gan-edit serve prints it, with the server's name.")],
    key_from: Annotated[
        Path | None, typer.Option("--key-file", help="A file that holds the key alone; by default it is asked for.")
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Allow a plain http address, on a network that you trust.")
    ] = False,
) -> None:
    """Keep the address of a server and its key, for gan-edit --engine URL."""
    url = url.rstrip("/")
    remote.Remote(url, insecure=insecure).check()
    key = typer.prompt("Key", default="", hide_input=True, show_default=False) if key_from is None else _read(key_from)
    kept = remote.Remote(url, key.strip(), insecure)
    with Client(remote.RemoteTransport(kept)) as client:
        status = client.status(_ANSWER_SECONDS)
    remote.store(kept, remote.default_path())
    print(
        f"GAN Edit {status.version} is there, with {', '.join(status.models)}; use it with: gan-edit --engine {url} ..."
    )


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise GanEditError(
            "bad_keys", f"The file {file} cannot be read.", "Give one that holds the key alone."
        ) from None
