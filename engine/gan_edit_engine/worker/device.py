"""Which device computes: CUDA, then Apple's MPS, then Intel's XPU, then the CPU, unless the user chose one."""

from __future__ import annotations

import torch

from gan_edit_protocol.errors import GanEditError

PREFERENCE = ("cuda", "mps", "xpu", "cpu")


def choose_device(wanted: str | None = None) -> torch.device:
    """``wanted`` (such as ``cpu`` or ``cuda:1``), else the first of :data:`PREFERENCE` that works.

    A device works when a small computation on it does: a driver that is too old for this torch shows only then.
    Raises :class:`GanEditError` (``bad_device``) when the wanted one does not.
    """
    if wanted is not None:
        _try(wanted)
        return torch.device(wanted)
    for name in PREFERENCE:
        try:
            _try(name)
        except GanEditError:
            continue
        return torch.device(name)
    raise AssertionError("the CPU is always there")


def still_works(device: torch.device) -> bool:
    """Whether a small computation on ``device`` does: an error in one of a card's may break all that follow."""
    try:
        _try(str(device))
    except GanEditError:
        return False
    return True


def devices_like(device: torch.device) -> list[torch.device]:
    """``device`` itself, and after it the machine's others of its type unless it was chosen by its number."""
    if device.index is not None or device.type not in ("cuda", "xpu"):
        return [device]
    backend = getattr(torch, device.type)
    own = backend.current_device()
    others = (number for number in range(backend.device_count()) if number != own)
    return [torch.device(device.type, number) for number in (own, *others)]


def _try(name: str) -> None:
    try:
        torch.ones(2, device=torch.device(name)).sum().item()
    # torch says that a device is missing by RuntimeError, AssertionError, NotImplementedError or its own classes.
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise GanEditError(
            "bad_device",
            f"The device '{name}' cannot be used: {reason[:200].rstrip('.')}.",
            "Start the engine without --device, or with --device cpu.",
        ) from None


def describe_device(device: torch.device) -> str:
    """The device as people know it, such as ``cuda:0 (NVIDIA H100)``; plain ``cpu`` or ``mps``."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    if device.type == "xpu":
        return f"{device} ({torch.xpu.get_device_name(device)})"
    return str(device)
