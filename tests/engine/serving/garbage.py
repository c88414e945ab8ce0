"""Requests that no program means: on every route that Gradio or this server has, drawn by a seed."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

_AT_ONCE = 16
_READ_SECONDS = 1.0
"""A stream of events goes on for as long as somebody reads it."""
_OWN = ["/progress/{key}", "/", "/no/such/place"]
_ENDINGS = [
    "",
    "/",
    "?a=%00",
    "?upload_id=" + "x" * 500,
    "?session_hash=" + "%ff" * 30,
    "?__theme=dark&" + "a=1&" * 200,
]


@dataclass
class Tally:
    """What was answered: each status and how often; ``closed`` without any answer; and the bodies that gave away."""

    statuses: Counter[str] = field(default_factory=Counter)
    leaks: list[bytes] = field(default_factory=list)
    slowest: float = 0.0


_LIST_ROUTES = """
import json, warnings
warnings.simplefilter("ignore")
import gradio as gr
with gr.Blocks(analytics_enabled=False) as page:
    gr.Textbox()
app = gr.routes.App.create_app(page)
found = [getattr(route, "original_router", None) for route in app.routes]
inner = [each for router in found if router for each in router.routes]
print(json.dumps([route.path for route in [*app.routes, *inner] if hasattr(route, "path")]))
"""


@functools.cache
def routes() -> list[str]:
    """All paths of a Gradio app, with this server's own."""
    # In a process of its own, because an app that nobody serves leaves loops and sockets behind.
    with tempfile.TemporaryDirectory() as folder:
        own = {**os.environ, "GRADIO_TEMP_DIR": folder}
        words = [sys.executable, "-c", _LIST_ROUTES]
        done = subprocess.run(words, env=own, capture_output=True, text=True, check=True)
    return list(dict.fromkeys([*_OWN, *json.loads(done.stdout)]))


def requests(count: int, key: str, seed: int = 1) -> Iterator[bytes]:
    """So many, of which every route has about as many as the others."""
    draw, places = random.Random(seed), routes()
    for number in range(count):
        place = places[number % len(places)]
        usual = (
            "POST"
            if re.search(r"queue/join|upload$|cancel|reset|component_server|call/\{api_name\}/?$", place)
            else "GET"
        )
        method = draw.choice([usual] * 24 + ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "\x7fX"])
        path = re.sub(r"\{.*?\}", lambda _: _junk_name(draw), place) + draw.choice(_ENDINGS)
        kind, body = _body(draw)
        shown = draw.choice([f"Bearer {key}"] * 30 + ["Bearer wrong", "Basic !!", f"Digest {key}", "\xff" * 50, ""])
        headers = {"Host": "127.0.0.1", "Connection": "close", "Authorization": shown, "Content-Type": kind}
        headers.update(draw.choice(_HEADERS))
        length = draw.choice([len(body)] * 20 + [len(body) + 500, max(0, len(body) - 9), -1, 10**19])
        headers["Content-Length"] = str(length)
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        yield f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1", "replace") + body
        if number % 50 == 0:
            yield draw.randbytes(300)  # no HTTP at all


async def poured(host: str, port: int, count: int, key: str) -> Tally:
    """Send them, a few at a time, and read the answers."""
    tally, waiting = Tally(), iter(requests(count, key))

    async def pour() -> None:
        for request in waiting:
            await _send(host, port, request, tally)

    await asyncio.gather(*(pour() for _ in range(_AT_ONCE)))
    return tally


async def _send(host: str, port: int, request: bytes, tally: Tally) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    reader, writer = await asyncio.open_connection(host, port)
    answer = b""
    try:
        writer.write(request)
        await writer.drain()
        while len(answer) < 1 << 20:
            part = await asyncio.wait_for(reader.read(1 << 16), _READ_SECONDS)
            if not part:
                break
            answer += part
            tally.slowest = max(tally.slowest, loop.time() - began)
    except (TimeoutError, asyncio.TimeoutError, OSError):
        pass  # a stream, or a body that was announced and does not come; or cut off, while it was sent
    finally:
        writer.transport.abort()
    status = answer.split(b" ", 2)[1].decode() if answer.startswith(b"HTTP/1.1 ") else "closed"
    tally.statuses[status] += 1
    if re.search(rb"Traceback|site-packages|\.py\b.*line \d|/gan-edit-", answer) and b"text/css" not in answer:
        tally.leaks.append(request[:300] + b" -> " + answer[:1500])


_HEADERS: list[dict[str, str]] = [
    *[{}] * 24,
    {"X-Big": "x" * 60_000},
    {"X-Gan-Edit-Visitor": "anna@127.0.0.1"},
    {"Transfer-Encoding": "chunked"},
    {"Origin": "https://evil.example"},
    {"X-Forwarded-Host": "evil.example", "X-Forwarded-For": "1.2.3.4"},
    {"Cookie": "a=" + "b" * 3000},
    {"Range": "bytes=9999999999-1"},
    {"Upgrade": "websocket", "Connection": "Upgrade"},
]


def _junk_name(draw: random.Random) -> str:
    names = ["frames", "models", "a" * 32, "../../etc/passwd", "%2e%2e%2fetc%2fpasswd", "%00", "0", "💥", "x" * 2000]
    return draw.choice([*names, "/etc/passwd"])


def _body(draw: random.Random) -> tuple[str, bytes]:
    """A type and what is not of it."""
    choice = draw.randrange(9)
    if choice == 0:
        return "application/json", draw.randbytes(draw.randrange(400))
    if choice == 1:
        return "application/json", b"[" * draw.randrange(1, 60_000)
    if choice == 2:
        return "application/json", json.dumps(_junk(draw)).encode()
    if choice == 3:
        whole = b'--b\r\nContent-Disposition: form-data; name="files"; filename="../../x.png"\r\n\r\n' + draw.randbytes(
            3000
        )
        return "multipart/form-data; boundary=b", whole[: draw.randrange(len(whole))]
    if choice == 4:
        return "multipart/form-data", draw.randbytes(500)
    if choice == 5:
        return "multipart/form-data; boundary=" + "z" * 300, b"--" + b"z" * 300 + b"\r\n" * 200
    if choice == 6:
        return "application/x-www-form-urlencoded", b"a=" * draw.randrange(2000)
    if choice == 7:
        return draw.choice(["\x00\xff", "text/plain", ""]), draw.randbytes(draw.randrange(20_000))
    return "application/json", json.dumps(_asked(draw)).encode()


def _asked(draw: random.Random) -> dict[str, Any]:
    """Of the form that Gradio's own scripts send, and of nothing that they would."""
    return {
        "data": [_junk(draw) for _ in range(draw.randrange(9))],
        "fn_index": draw.choice([*range(14), -1, 10**12, "x", None]),
        "session_hash": draw.choice(["abc", "", None, "x" * 5000]),
        "event_id": _junk(draw),
        "fn_name": draw.choice(["accept_blobs", "__init__", "preprocess", None]),
        "component_id": draw.choice([*range(40), -1, "x"]),
    }


def _junk(draw: random.Random, depth: int = 0) -> Any:
    kinds: list[Any] = [None, True, -1, 1e308, 10**30, "", "💥", "x" * 1000, "/etc/passwd", draw.random()]
    file = {"path": "/etc/passwd", "url": "http://10.0.0.1/", "meta": {"_type": "gradio.FileData"}}
    if depth < 3:
        kinds += [file, [_junk(draw, depth + 1)] * 3, {"a": _junk(draw, depth + 1), "layers": [file], "background": 1}]
        kinds += [{"id": "x" * 20, "type": "layer", "index": _junk(draw, depth + 1), "data": file}]
    return draw.choice(kinds)
