"""File descriptors: every connection to the engine takes one, also that of somebody who never says a word."""

from __future__ import annotations

import logging

try:
    import resource
except ImportError:  # Windows, which sets no such limit
    resource = None  # type: ignore[assignment]

ENOUGH = 8192
"""Silent connections in such a number take 35 MB of memory; macOS gives no more than 10,240."""

_log = logging.getLogger("gan_edit.descriptors")


def limit() -> int:
    """How many this process may have, ``ENOUGH`` where the system sets no limit."""
    if resource is None:
        return ENOUGH
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return ENOUGH if soft == resource.RLIM_INFINITY else int(soft)


def allow_many() -> None:
    """Raise this process's limit to ``ENOUGH``, or as near to it as the system lets us. Many set it to 1,024 or 256."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(ENOUGH, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError) as error:
        _log.warning("the engine has to do with %d file descriptors: %s", soft, error)
