"""What tells weights apart, whatever file or format they lie in."""

from __future__ import annotations

import hashlib

from torch import nn


def weights_digest(network: nn.Module) -> str:
    """SHA-256 of a network's weights in float32, in hexadecimal: names, shapes and values, and nothing of its header.

    A half-precision file and what it was imported to agree, for half-precision numbers are float32 numbers too.
    """
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(f"{name} {tuple(value.shape)}\n".encode())
        digest.update(value.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
