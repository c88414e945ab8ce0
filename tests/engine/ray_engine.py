"""An engine whose workers are two actors of a Ray of its own, which compute as ``ray_computer`` says, or do not."""

from __future__ import annotations

import sys
from pathlib import Path

from gan_edit_engine.service import ray_worker, server

if __name__ == "__main__":
    _, _, _, file, device, computer = sys.argv
    cluster = ray_worker.join("local", cpus=0.5, computer=computer)
    try:
        server.serve(server.Options(Path(file), device=device, idle_timeout=0.0, workers=2, start_worker=cluster.start))
    finally:
        cluster.leave()
