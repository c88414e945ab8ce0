"""A proxy before the server, which adds TLS: what it alone is believed of where a visitor comes from."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from gan_edit_protocol.errors import GanEditError

Scope = MutableMapping[str, Any]
Network = IPv4Network | IPv6Network
_SAID = re.compile(rb"forwarded|x-forwarded-.*|x-real-ip")
_HOP = re.compile(r"\[([0-9a-fA-F:.]+)\](?::\d+)?|(\d+(?:\.\d+){3})(?::\d+)?|([0-9a-fA-F:.]+)")


def network_of(text: str) -> Network:
    """The address of a proxy, or the network that it is in; GanEditError (bad_address) when it is none."""
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise GanEditError(
            "bad_address",
            f"{text!r} is no proxy's address.",
            "Give one such as 127.0.0.1, or a network as 10.0.0.0/24.",
        ) from None


def seen_through(proxy: Network | None, scope: Scope) -> Scope:
    """The request as it came to the ``proxy``, if it comes from there. What others say of that is taken away.

    The visitor's address is the last one in ``X-Forwarded-For``, which the proxy itself has written.
    """
    said = {name: value for name, value in scope["headers"] if _SAID.fullmatch(name.lower())}
    rest = [(name, value) for name, value in scope["headers"] if not _SAID.fullmatch(name.lower())]
    host, port = scope.get("client") or ("", 0)
    came = _address(host)
    if proxy is None or came is None or came not in proxy:
        return {**scope, "headers": rest}
    visitor = _address(said.get(b"x-forwarded-for", b"").decode("latin-1").rpartition(",")[2].strip())
    scheme = said.get(b"x-forwarded-proto", b"").decode("latin-1")
    return {
        **scope,
        "headers": rest,
        "client": (str(visitor or came), port),
        "scheme": scheme if scheme in ("http", "https") else scope["scheme"],
    }


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An address, with or without a port; of one socket for both families the IPv4 address that is meant."""
    found = _HOP.fullmatch(text)
    try:
        address = ip_address(next(filter(None, found.groups()))) if found else None
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
