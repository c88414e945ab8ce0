"""A network's looks at several small pictures, each by processor threads of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

PartT = TypeVar("PartT")
AnswerT = TypeVar("AnswerT")


def abreast(compute: Callable[[PartT], AnswerT], parts: Sequence[PartT]) -> list[AnswerT]:
    """What ``compute`` gives for each of the ``parts``, in their order and without gradients, computed at once.

    Of two threads that share every operation on a small picture each waits for the other after each: they take longer
    than one. So each part has its share of torch's threads, and one part alone half of them.
    """
    threads, computing = torch.get_num_threads(), torch.inference_mode()(compute)
    if threads == 1:
        return [*map(computing, parts)]
    # This thread's share, and that of the threads that begin to compute before it is given back.
    torch.set_num_threads(max(1, threads // max(2, len(parts))))
    try:
        with ThreadPoolExecutor(threads) as pool:
            others = [pool.submit(computing, part) for part in parts[1:]]
            return [*map(computing, parts[:1]), *(other.result() for other in others)]
    finally:
        torch.set_num_threads(threads)
