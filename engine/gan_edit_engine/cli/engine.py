"""``gan-edit engine``: the process that all of a person's programs share."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from gan_edit_engine.cli.session import AUTO, Workers, count_of
from gan_edit_engine.service import ray_worker, server, worker_process
from gan_edit_protocol import connection

ConnectionFile = Annotated[
    Path | None,
    typer.Option("--connection", help="The engine's connection file; by default the one that all programs share."),
]


def run_engine(
    device: Annotated[str | None, typer.Option(help="cuda, mps, xpu or cpu; by default the best.")] = None,
    workers: Workers = AUTO,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Work on this machine's Ray cluster: auto, or HOST:PORT of its head; or local, which starts one.",
        ),
    ] = None,
    cpus_per_worker: Annotated[
        float, typer.Option(min=0.01, help="Of a Ray cluster without graphics cards.")
    ] = ray_worker.CPUS,
    connection_file: ConnectionFile = None,
    end_with: Annotated[
        int | None, typer.Option(help="End when this process and all other users have ended.", metavar="PID")
    ] = None,
    idle_timeout: Annotated[float, typer.Option(min=0, help="End after this many idle seconds; 0: never.")] = 3600.0,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log every message.")] = False,
) -> None:
    """Run the engine until it is told to end; if one runs already, say so and end."""
    level = logging.DEBUG if verbose else logging.INFO
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s", level=logging.INFO)
    logging.getLogger("gan_edit").setLevel(level)
    count, path = count_of(workers), connection_file or connection.default_path()
    options = server.Options(path, device, end_with, idle_timeout, count, worker_process.sharing_cores(count))
    with _on_cluster(options, ray, cpus_per_worker) as chosen:
        if not server.serve(chosen):
            print("A GAN Edit engine is running already.")


@contextmanager
def _on_cluster(options: server.Options, address: str | None, cpus: float) -> Iterator[server.Options]:
    """The same with actors of the Ray cluster at ``address``, if there is one, for its workers."""
    if address is None:
        yield options
        return
    cluster = ray_worker.join(address, cpus)
    try:
        yield replace(options, workers=options.workers or cluster.size, start_worker=cluster.start)
    finally:
        cluster.leave()
