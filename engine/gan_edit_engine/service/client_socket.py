"""The socket at which clients come in: encrypted, patient with clients, not with strangers."""

from __future__ import annotations

import os

import zmq

from gan_edit_engine.service.zap import ZapHandler
from gan_edit_protocol.connection import Connection
from gan_edit_protocol.transport import LARGEST_FRAME

HANDSHAKE_MS = 2000
"""A connection that has not shown the client's key by then is closed: anybody on the machine can open them."""
BACKLOG = 1024
"""Connections that wait to be accepted. With fewer, a client in a crowd loses a second until its system tries again."""
QUEUED_MESSAGES = 200
"""Events that wait in the socket for a client which does not read; then its progress is dropped."""


class Door:
    """A port of its own with keys made anew, of which those who may come in need to know ``connection``.

    ``router``: the socket there, as of :func:`_bind`; ``zap``: lets its clients in, when its socket has a question.
    ``address``: IPv4 or IPv6; by default it is there for this machine only.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], address: str = "127.0.0.1") -> None:
        server_public, server_secret = zmq.curve_keypair()
        client_public, client_secret = zmq.curve_keypair()
        self.zap = ZapHandler(context, client_public)
        self.router = _bind(context, server_public, server_secret, address)
        self.connection = Connection(
            endpoint=self.router.getsockopt_string(zmq.LAST_ENDPOINT),
            server_public=server_public.decode(),
            client_public=client_public.decode(),
            client_secret=client_secret.decode(),
            pid=os.getpid(),
        )


def _bind(context: zmq.Context[zmq.Socket[bytes]], public: bytes, secret: bytes, address: str) -> zmq.Socket[bytes]:
    """A ROUTER at a port of its own, with the engine's CURVE keys (Z85). A ``zap.ZapHandler`` must exist before.

    It has no heartbeats, for a client may be stopped for as long as it likes; the system tells when its process ends.
    """
    router = context.socket(zmq.ROUTER)
    router.curve_server = True
    router.curve_publickey = public
    router.curve_secretkey = secret
    router.zap_domain = b"gan-edit"
    router.router_mandatory = True  # a client that is gone is an error, not silence
    router.router_handover = True  # one that connects anew takes its place again
    router.maxmsgsize = LARGEST_FRAME
    router.sndhwm = QUEUED_MESSAGES
    router.rcvhwm = 4
    router.linger = 1000
    router.handshake_ivl = HANDSHAKE_MS
    router.backlog = BACKLOG
    router.ipv6 = ":" in address
    router.bind(f"tcp://[{address}]:*" if router.ipv6 else f"tcp://{address}:*")
    return router
