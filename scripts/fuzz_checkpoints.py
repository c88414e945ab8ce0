#!/usr/bin/env python3
"""Feed damaged checkpoints to the readers until one misbehaves.

    python scripts/fuzz_checkpoints.py SEED_FILE... [--inputs 100000] [--seed 0] [--seconds 0]

Every input is a mutation of one of the seed files (small checkpoints of the supported formats). A reader may accept
it or raise CheckpointError in one line; anything else, a call of a forbidden function (watched by an audit hook) or
memory beyond the limit is a finding: the input is kept in --findings and the exit code is 1.
"""

from __future__ import annotations

import argparse
import collections
import random
import re
import resource
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

from gan_edit_engine.checkpoints import CheckpointError, read_discriminator, read_generator

# Events that reading a file never causes: each would mean that something in it was executed.
FORBIDDEN_EVENTS = (
    "os.system",
    "subprocess.Popen",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "pickle.find_class",
    "exec",
)
# A codec that is needed for the first time is imported, which executes the code of an installed file.
INSTALLED = (sys.prefix, sys.base_prefix)
MEMORY_LIMIT = 3 << 30
INTERESTING = (0, 1, 0x7F, 0x80, 0xFF)
OPCODES = bytes(range(0x80, 0x99)) + b"()[]{}abcdehijloqrstuBCGIJKLMNPQRSTUVX0123."
LENGTHS = (0, 1, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)
WORDS = (
    b"os\nsystem\n",
    b"builtins\neval\n",
    b"torch.storage\n_load_from_bytes\n",
    b"numpy\ndtype\n",
    b"O8",
    b"G_ema",
    b"g_ema",
)

Mutation = Callable[[bytearray, random.Random], None]


def flip(data: bytearray, rng: random.Random) -> None:
    """Change a few bytes."""
    for _ in range(rng.randint(1, 8)):
        data[rng.randrange(len(data))] = rng.choice((rng.randrange(256), *INTERESTING))


def opcode(data: bytearray, rng: random.Random) -> None:
    """Put pickle instructions where others were."""
    for _ in range(rng.randint(1, 4)):
        data[rng.randrange(len(data))] = rng.choice(OPCODES)


def truncate(data: bytearray, rng: random.Random) -> None:
    """Cut the end off."""
    del data[rng.randrange(1, len(data)) :]


def remove(data: bytearray, rng: random.Random) -> None:
    """Take a piece out."""
    start = rng.randrange(len(data))
    del data[start : start + rng.randint(1, 64)]


def insert(data: bytearray, rng: random.Random) -> None:
    """Put a piece in: a copy, a word of interest, or noise."""
    start, source = rng.randrange(len(data)), rng.randrange(len(data))
    piece = rng.choice((bytes(data[source : source + rng.randint(1, 256)]), rng.choice(WORDS), rng.randbytes(8)))
    data[start:start] = piece


def length(data: bytearray, rng: random.Random) -> None:
    """Overwrite four or eight bytes with a length that cannot be."""
    width = rng.choice((4, 8))
    if len(data) > width:
        start = rng.randrange(len(data) - width)
        data[start : start + width] = struct.pack("<Q", rng.choice(LENGTHS))[:width]


def splice(data: bytearray, rng: random.Random) -> None:
    """Overwrite a piece with another one of the same file."""
    size = rng.randint(1, min(4096, len(data)))
    start, source = rng.randrange(len(data) - size + 1), rng.randrange(len(data) - size + 1)
    data[start : start + size] = data[source : source + size]


MUTATIONS: tuple[Mutation, ...] = (flip, opcode, truncate, remove, insert, length, splice)


def structure(data: bytes) -> list[int]:
    """Positions outside of long runs of weights: most of a checkpoint is numbers, most bugs are not in them."""
    words = re.finditer(rb"[ -~]{6,}", data)
    return [match.start() // 16 * 16 for match in words] or [0]


def mutate(seed: bytes, places: list[int], rng: random.Random) -> bytes:
    """One to three mutations, each in a window around the file's structure."""
    data = bytearray(seed)
    for _ in range(rng.randint(1, 3)):
        if not data:
            break
        start = min(rng.choice(places), len(data) - 1) if rng.random() < 0.8 else rng.randrange(len(data))
        window = data[start : start + 256]
        mutation = rng.choice(MUTATIONS)
        if mutation is truncate:
            del data[start + 1 :]
        elif window:
            mutation(window, rng)
            data[start : start + 256] = window
    return bytes(data)


def verdict(path: Path) -> str:
    """ "accepted" or "refused"; anything else that a reader does propagates."""
    outcome = "accepted"
    for reader in (read_generator, read_discriminator):
        try:
            reader(path)
        except CheckpointError as error:
            if "\n" in str(error) or path.name not in str(error) or len(str(error)) > 600:
                raise AssertionError(f"not one line that names the file: {error!r}") from error
            outcome = "refused" if reader is read_generator else outcome
    return outcome


def forbid_execution(seeds: list[Path]) -> None:
    """From now on raise when anything starts a program, forks, executes code or resolves a pickle's class.

    The seeds are read once before, since torch imports parts of itself, which executes their code, at first use.
    """
    for path in seeds:
        print(f"{path.name}: {verdict(path)}")

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        imported = event == "exec" and getattr(arguments[0], "co_filename", "").startswith(INSTALLED)
        if event in FORBIDDEN_EVENTS and not imported:
            raise AssertionError(f"the reader caused {event}")

    sys.addaudithook(hook)


def fuzz(seeds: list[Path], inputs: int, seed: int, seconds: float, workspace: Path) -> collections.Counter[str]:
    """Run ``inputs`` mutations (or ``seconds``, when given); outcomes and findings are counted, findings kept."""
    rng = random.Random(seed)
    contents = [path.read_bytes() for path in seeds]
    places = [structure(content) for content in contents]
    count: collections.Counter[str] = collections.Counter()
    workspace.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + seconds if seconds else float("inf")
    for index in range(inputs):
        which = rng.randrange(len(seeds))
        path = workspace / f"input{seeds[which].suffix}"
        path.write_bytes(mutate(contents[which], places[which], rng))
        try:
            count[verdict(path)] += 1
        except Exception as error:
            kept = workspace / f"finding-{seed}-{index}{seeds[which].suffix}"
            path.replace(kept)
            count["found"] += 1
            print(f"{kept} ({seeds[which].name}): {type(error).__name__}: {error}")
        if index % 1000 == 999:
            print(f"{index + 1} inputs: {dict(count)}", flush=True)
        if time.monotonic() > end:
            break
    return count


def main() -> int:
    """Exit code 0 when every input was accepted or refused properly."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seeds", nargs="+", type=Path, metavar="SEED_FILE")
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0, help="stop after this time (0: after --inputs)")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_LIMIT, MEMORY_LIMIT))
    forbid_execution(options.seeds)
    count = fuzz(options.seeds, options.inputs, options.seed, options.seconds, options.findings)
    print(f"{sum(count.values())} inputs: {dict(count)}")
    return 1 if count["found"] else 0


if __name__ == "__main__":
    sys.exit(main())
