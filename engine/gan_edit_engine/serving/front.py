"""What a browser paints first: Gradio's page with something to read in it, before any of its files have come."""

from __future__ import annotations

import re

from gan_edit_engine.serving.guard import App, Message, Receive, Send
from gan_edit_engine.serving.proxy import Scope

_BODY = re.compile(rb"<body[^>]*>")
_STYLESHEET = re.compile(rb'<link rel="stylesheet"[^>]*>')
_SCRIPT = re.compile(rb'<script type="module"[^>]* src="([\w./-]+)"></script>')
# A browser that has the scripts already runs them before it paints for the first time, which takes them a second. A
# page that is not looked at isn't painted at all; and the scripts must come whatever keeps it from that.
_AFTERWARDS = rb"""<link rel="modulepreload" crossorigin href="\1"><script type="module">
const painted = new Promise((go) => document.hidden ? go() : requestAnimationFrame(() => setTimeout(go)));
Promise.race([painted, new Promise((go) => setTimeout(go, 2000))]).then(() => import("\1"));
</script>"""


class Front:
    """Puts ``first_sight``, a piece of HTML, at the top of the page at ``/``. Everything else passes through."""

    def __init__(self, app: App, first_sight: str) -> None:
        self._app = app
        self._first_sight = first_sight.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/":
            await self._app(scope, receive, send)
            return
        start: Message = {}
        body = b""

        async def collect(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
            elif message["type"] == "http.response.body":
                body += message.get("body", b"")
                if not message.get("more_body"):
                    page = seen_at_once(body, self._first_sight)
                    headers = [each for each in start["headers"] if each[0] != b"content-length"]
                    await send({**start, "headers": [*headers, (b"content-length", str(len(page)).encode())]})
                    await send({"type": "http.response.body", "body": page})
            else:
                await send(message)

        await self._app(scope, receive, collect)


def seen_at_once(page: bytes, first_sight: bytes) -> bytes:
    """The page as it came, with ``first_sight`` at the top of its body; its stylesheets and scripts wait for that."""
    found = _BODY.search(page)
    if found is None:
        return page
    head, rest = page[: found.end()], page[found.end() :]
    stylesheets = b"".join(_STYLESHEET.findall(head))
    return _SCRIPT.sub(_AFTERWARDS, _STYLESHEET.sub(b"", head)) + first_sight + stylesheets + rest
