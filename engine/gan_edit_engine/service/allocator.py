"""What the C library does with the memory of photos that were passed on."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # mallopt(3)
_LARGE = 4 << 20  # bytes
_KEPT = 8 << 20  # bytes, of each thread's


def give_back_large() -> None:
    """Let what is freed go back to the system, as far as it is large, at once.

    glibc learns from the first large blocks that are freed to keep those of up to 32 MB for later, in each thread. Of
    small ones a little is kept: memory that comes anew has to be cleared, which is a quarter of what a photo costs.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none, and need none
        if mallopt is not None:
            mallopt(_M_MMAP_THRESHOLD, _LARGE)
            mallopt(_M_TRIM_THRESHOLD, _KEPT)
