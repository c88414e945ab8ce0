"""The number format in which the networks compute while a latent is searched; final images are always float32.

Half the bits are twice the speed where a processor has units for bfloat16, and many times slower where it has not. Its
name does not tell, so it is measured, once: the answer is kept, because another format would give another image.

A processor's answer to one convolution holds for every model. A graphics card is so fast that in a small model its time
goes into being told what to do, which takes longer in bfloat16, for there is more to tell; in a large one the work
itself takes the time. So a card is asked for a step of the model that is searched.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import torch
from torch.nn import functional as F

from gan_edit_engine.generators import Generator
from gan_edit_engine.inversion.search_size import search_side
from gan_edit_engine.inversion.subject import Drawing, synthesise
from gan_edit_engine.system.atomic_write import replacing
from gan_edit_engine.system.out_of_memory import is_out_of_memory
from gan_edit_protocol.errors import GanEditError

WORTH_IT = 1.2
"""Times faster that bfloat16 must be on a processor, or the exact format is kept."""
WORTH_IT_ON_CARD = 1.5
"""The same on a graphics card, where only the image of a step is measured: the whole of it gains less."""
_ROUNDS = 5
_ENOUGH_SECONDS = 1.0  # of measuring: steps that take as long are not lost in noise


def dtype_of(precision: str) -> torch.dtype:
    """bfloat16 if the setting says so; "auto", where nobody has measured, is float32."""
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def faster_precision(generator: Generator, device: torch.device, cache: Path) -> str:
    """ "bfloat16" where a search in ``generator`` is plainly faster by it on ``device``, else "float32".

    Remembered in the folder ``cache``.
    """
    file = cache / "precision.json"
    # What was measured with another torch or on another machine (a cache on a network drive) does not count.
    key = f"{torch.__version__} {device} {_hardware(device)}"
    if device.type != "cpu":
        key += f" {generator.family} {generator.config}"
    known = _read(file)
    if known.get(key) not in ("float32", "bfloat16"):
        known[key] = "bfloat16" if _is_worth_it(generator, device) else "float32"
        _write(file, known)
    return known[key]


def _is_worth_it(generator: Generator, device: torch.device) -> bool:
    if device.type == "cpu":
        return processor_speedup() > WORTH_IT
    return speedup(partial(_step, generator), time.perf_counter) > WORTH_IT_ON_CARD


def processor_speedup() -> float:
    """How many times faster a convolution and its gradient are in bfloat16 on a core; 0 where that fails."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several would wait for each other on a busy machine, and that would be what is measured
    try:
        return speedup(_convolution, time.thread_time)
    finally:
        torch.set_num_threads(threads)


def speedup(run: Callable[[torch.dtype], None], clock: Callable[[], float]) -> float:
    """How many times faster ``run`` is in bfloat16 than in float32, by ``clock`` [s]; 0 where that fails.

    The formats take turns, so that a machine that slows down slows both. Raises what ``run`` does where the memory was
    full, which says nothing about the device.
    """
    seconds: dict[torch.dtype, list[float]] = {torch.float32: [], torch.bfloat16: []}
    try:
        for dtype in seconds:
            run(dtype)  # what it computes with is loaded now
        begun = clock()
        for _ in range(_ROUNDS):
            for dtype, times in seconds.items():
                started = clock()
                run(dtype)
                times.append(clock() - started)
            if clock() - begun > _ENOUGH_SECONDS:
                break
    except (RuntimeError, TypeError, NotImplementedError) as error:  # a device without the format says so in many ways
        if is_out_of_memory(error):
            raise
        return 0.0
    exact, coarse = map(min, seconds.values())
    return exact / coarse if coarse else 0.0  # some clocks are too coarse to tell


def _step(generator: Generator, dtype: torch.dtype) -> None:
    """The image of a search's step and its gradient."""
    ws = generator.w_avg.detach().repeat(1, generator.num_ws, 1).requires_grad_()
    image = synthesise(generator, ws, Drawing(dtype=dtype, side=search_side(generator)))
    (gradient,) = torch.autograd.grad(image.square().sum(), ws)
    gradient[0, 0, 0].item()  # waits for devices that compute on their own


def _convolution(dtype: torch.dtype) -> None:
    # The size of a layer in the middle of a generator or of VGG.
    x = torch.ones(1, 128, 32, 32, dtype=dtype).contiguous(memory_format=torch.channels_last).requires_grad_()
    kernel = torch.ones(128, 128, 3, 3, dtype=dtype).contiguous(memory_format=torch.channels_last)
    for _ in range(3):
        torch.autograd.grad(F.conv2d(x, kernel, padding=1).sum(), x)


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
