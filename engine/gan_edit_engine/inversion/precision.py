"""The number format in which the networks compute while a latent is searched; final images are always float32.

Half the bits are twice the speed where a processor has units for bfloat16, and many times slower where it has not. Its
name does not tell, so it is measured, once: the answer is kept, because another format would give another image.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path

import torch
from torch.nn import functional as F

from gan_edit_engine.system.atomic_write import replacing
from gan_edit_protocol.errors import GanEditError

_WORTH_IT = 1.2  # times faster, or the exact format is kept
_ROUNDS = 5


def dtype_of(precision: str) -> torch.dtype:
    """bfloat16 if the setting says so; "auto", where nobody has measured, is float32."""
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def faster_precision(device: torch.device, cache: Path) -> str:
    """ "bfloat16" where that is plainly faster on ``device``, else "float32"; remembered in the folder ``cache``."""
    file = cache / "precision.json"
    # What was measured with another torch or on another machine (a cache on a network drive) does not count.
    key = f"{torch.__version__} {device} {_hardware(device)}"
    known = _read(file)
    if known.get(key) not in ("float32", "bfloat16"):
        known[key] = "bfloat16" if speedup(device) > _WORTH_IT else "float32"
        _write(file, known)
    return known[key]


def speedup(device: torch.device) -> float:
    """How many times faster a convolution and its gradient are in bfloat16 than in float32; 0 where that fails."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several would wait for each other on a busy machine, and that would be what is measured
    try:
        seconds = {dtype: [_time(dtype, device) for _ in range(_ROUNDS)] for dtype in (torch.float32, torch.bfloat16)}
    except (RuntimeError, TypeError, NotImplementedError):  # a device without the format says so in many ways
        return 0.0
    finally:
        torch.set_num_threads(threads)
    return min(seconds[torch.float32]) / min(seconds[torch.bfloat16])


def _time(dtype: torch.dtype, device: torch.device) -> float:
    # The size of a layer in the middle of a generator or of VGG.
    x = torch.ones(1, 128, 32, 32, device=device, dtype=dtype).contiguous(memory_format=torch.channels_last)
    kernel = torch.ones(128, 128, 3, 3, device=device, dtype=dtype).contiguous(memory_format=torch.channels_last)
    x.requires_grad_()
    clock = time.thread_time if device.type == "cpu" else time.perf_counter
    started = clock()
    for _ in range(3):
        x.grad = None
        F.conv2d(x, kernel, padding=1).sum().backward()
        assert x.grad is not None
        x.grad[0, 0, 0, 0].item()  # waits for devices that compute on their own
    return clock() - started


def _hardware(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()


def _read(file: Path) -> dict[str, str]:
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _write(file: Path, known: dict[str, str]) -> None:
    """A disk that is full or read-only costs only the measurement."""
    with suppress(OSError, GanEditError):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with replacing(file) as part:
            part.write_text(json.dumps(known), encoding="utf-8")
