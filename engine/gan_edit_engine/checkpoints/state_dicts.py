"""State dicts, wherever a training script has put them: bare, under a key, or beside those of other networks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gan_edit_engine.checkpoints.plain_data import Array

StateDict = dict[str, Array]

MAX_DEPTH = 3
MAX_FOUND = 200
# Words in the key of a state dict, and how early it is looked at: averaged weights are those of published images.
AVERAGED, GENERATOR, UNKNOWN, OTHER = range(4)
_WORDS = {
    **dict.fromkeys(("ema", "avg", "average", "averaged", "shadow"), AVERAGED),
    **dict.fromkeys(("g", "gen", "generator", "netg"), GENERATOR),
    **dict.fromkeys(("d", "dis", "disc", "discriminator", "critic", "netd", "opt", "optim", "optimizer"), OTHER),
}
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def state_dicts(content: object) -> Iterator[StateDict]:
    """Each group of named arrays in ``content``, the generator's first as far as keys tell.

    Groups are dictionaries in it (as ``{"epoch": 3, "netG_state_dict": {...}}``), and within a flat one what has the
    first part of its names in common (as ``generator.main.0.weight``, or DataParallel's ``module.``), without it.
    """
    found: list[tuple[int, StateDict]] = []
    pending: list[tuple[int, object, int]] = [(UNKNOWN, content, 0)]
    while pending and len(found) < MAX_FOUND:
        rank, current, depth = pending.pop(0)
        if not isinstance(current, dict):
            continue
        named = {key: value for key, value in current.items() if isinstance(key, str)}
        arrays = {key: value for key, value in named.items() if isinstance(value, Array)}
        if arrays:
            found.append((rank, arrays))
        if depth < MAX_DEPTH:
            inner = [(key, value) for key, value in named.items() if isinstance(value, dict)]
            for key, value in [*inner, *_by_first_part(arrays).items()]:
                pending.append((_rank(key, rank), value, depth + 1))
    return (arrays for _, arrays in sorted(found, key=lambda pair: pair[0]))


def _by_first_part(arrays: StateDict) -> dict[str, StateDict]:
    groups: dict[str, StateDict] = {}
    for name, value in arrays.items():
        first, dot, rest = name.partition(".")
        if dot:
            groups.setdefault(first, {})[rest] = value
    return groups


def _rank(key: str, inherited: int) -> int:
    ranks = {_WORDS[word] for word in (found.lower() for found in _WORD.findall(key[:100])) if word in _WORDS}
    if OTHER in ranks:
        return OTHER
    return min(ranks, default=inherited)
