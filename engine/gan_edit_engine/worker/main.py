"""The worker process, which ``worker_process`` starts: owns torch and the models, computes what its pipes bring."""

from __future__ import annotations

import argparse
import logging
import sys
from functools import partial
from pathlib import Path

from gan_edit_engine.worker import pipes
from gan_edit_engine.worker.computing import Computer

_log = logging.getLogger("gan_edit.worker")


def volunteer_for_out_of_memory_killer() -> None:
    """Let Linux end this process rather than the user's GIMP when the memory is full (proc(5), oom_score_adj)."""
    if sys.platform == "linux":
        try:
            Path("/proc/self/oom_score_adj").write_text("500")
        except OSError as error:
            _log.debug("oom_score_adj could not be set: %s", error)


def main() -> None:
    parser = argparse.ArgumentParser(prog="gan-edit worker")
    parser.add_argument("--device")
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s")
    wanted_device = parser.parse_args().device
    volunteer_for_out_of_memory_killer()
    incoming, outgoing = pipes.take_standard_streams()
    pipes.serve(incoming, outgoing, partial(Computer, wanted_device))


if __name__ == "__main__":
    main()
