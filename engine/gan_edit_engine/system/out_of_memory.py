"""What tells that the memory was full, whichever library noticed it, and what a person reads then. Free of torch."""

from __future__ import annotations

import errno
import re

from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.events import Failed

EXIT_CODE = 112
"""A worker ends with it whose memory was full, and a new one takes its place. No shell, signal or Python uses it."""

# torch has a class for CUDA's memory only; every other allocator, and the system where it refuses threads, says it in
# words: torch's for the CPU, MPS and XPU, cuBLAS, cuDNN, oneDNN, OpenCV, the C++ library, OpenMP, Rust (safetensors).
_TEXTS = re.compile(
    r"out[ _]?of[ _]?(?:(?:device|host)[ _])?memory|(?:insufficient|not enough) memory|can(?:no|')t allocate memory"
    r"|bad[ _]alloc|alloc(?:ation)?[ _]failed|could not create a memory|can't start new thread|thread creation failed",
    re.IGNORECASE,
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error``, or one that it was made of, says that the memory was full."""
    seen: BaseException | None = error
    while seen is not None:
        full = isinstance(seen, MemoryError) or (isinstance(seen, OSError) and seen.errno == errno.ENOMEM)
        # What was written for people names files and models, whatever those are called.
        if full or (not isinstance(seen, GanEditError) and tells_of_full_memory(str(seen))):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def tells_of_full_memory(text: str) -> bool:
    """Whether the words of a library say that the memory was full."""
    return _TEXTS.search(text) is not None


def out_of_memory() -> Failed:
    """The one answer to it."""
    return Failed(
        "out_of_memory",
        "The memory of the computing device is full.",
        "Select a smaller part of the photo, use a smaller model, or close other programs.",
    )
