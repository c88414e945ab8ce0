"""Lets exactly one client key in: the answering side of the ZeroMQ Authentication Protocol (RFC 27, rfc.zeromq.org).

pyzmq's own authenticators need a thread with an asyncio loop that Windows does not have by default; for one key an
answer to one kind of question is enough, and the service's own poll loop gives it.
"""

from __future__ import annotations

from collections.abc import Sequence

import zmq
from zmq.utils import z85

ENDPOINT = "inproc://zeromq.zap.01"
VERSION = b"1.0"


class ZapHandler:
    """Owns the ZAP socket of ``context``; ``client_public`` is the Z85 text of the one key that may enter.

    It must exist before a CURVE server binds: libzmq lets everyone in where no handler is.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], client_public: bytes) -> None:
        self._key = z85.decode(client_public)
        self.socket = context.socket(zmq.REP)
        self.socket.linger = 0
        self.socket.bind(ENDPOINT)

    def answer_one(self) -> None:
        """Receive one question and answer it."""
        self.socket.send_multipart(verdict(self.socket.recv_multipart(), self._key))


def verdict(question: Sequence[bytes], key: bytes) -> list[bytes]:
    """The reply frames to a ZAP request: 200 for a CURVE client that proved to hold ``key`` (32 bytes), else 400."""
    request_id = question[1] if len(question) > 1 else b""
    # version, request id, domain, address, identity, mechanism, credentials: the client's public key
    welcome = len(question) == 7 and question[0] == VERSION and question[5] == b"CURVE" and question[6] == key
    code, text = (b"200", b"OK") if welcome else (b"400", b"Unknown key")
    return [VERSION, request_id, code, text, b"", b""]
