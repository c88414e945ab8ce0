"""What is painted first: of the page as Gradio itself makes it, and of pages that it might make some day."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

gradio = pytest.importorskip("gradio")

import fastapi  # noqa: E402
import httpx  # noqa: E402
from starlette.middleware.gzip import GZipMiddleware  # noqa: E402

from gan_edit_engine.serving.front import Front, seen_at_once  # noqa: E402
from gan_edit_engine.serving.words import FIRST_SIGHT, TITLE  # noqa: E402

GRADIOS = (Path(gradio.__file__).parent / "templates" / "frontend" / "index.html").read_text("utf-8")
"""What it fills its page in."""


def got(path: str, encoding: str = "identity") -> httpx.Response:
    """What a browser gets there."""
    behind = fastapi.FastAPI(openapi_url=None)
    behind.add_middleware(Front, first_sight=FIRST_SIGHT)
    behind.add_middleware(GZipMiddleware)
    for each in ("/", "/other"):
        behind.get(each)(lambda: fastapi.responses.HTMLResponse(GRADIOS))

    async def get() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(behind), base_url="http://localhost") as client:
            return await client.get(path, headers={"accept-encoding": encoding})

    return asyncio.run(get())


def test_there_is_something_to_read_before_any_file_has_come() -> None:
    page = got("/").text
    before = page[: page.index(FIRST_SIGHT)]
    assert before.rstrip().endswith(">")
    assert "<body" in before
    assert "<gradio-app" not in before
    assert '<link rel="stylesheet"' not in before
    assert re.findall(r"<script[^>]*\ssrc=", page) == []
    assert TITLE in FIRST_SIGHT


def test_all_of_gradios_own_page_is_still_there() -> None:
    page = got("/").text
    (script,) = re.findall(r'import\("(\./assets/[^"]+\.js)"\)', page)
    styles = re.findall(r'<link rel="stylesheet"[^>]* href="(\./assets/[^"]+\.css)">', page)
    assert page.count(f'href="{script}"') == 1
    for file in (script, *styles):
        assert file in GRADIOS
    assert styles == re.findall(r'<link rel="stylesheet"[^>]* href="(\./assets/[^"]+\.css)">', GRADIOS) != []
    assert re.search(r"(?s)<gradio-app.*</html>", GRADIOS)[0] in page
    assert got("/other").text == GRADIOS


def test_the_page_is_packed_and_its_length_is_its_own() -> None:
    packed, plain = got("/", "gzip"), got("/")
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.num_bytes_downloaded == int(packed.headers["content-length"]) < len(plain.content) / 2
    assert packed.text == plain.text
    assert int(plain.headers["content-length"]) == len(plain.content)


@pytest.mark.parametrize("page", [b"", b"Not found", b"<html><head></head></html>"])
def test_what_has_no_body_stays_as_it_is(page: bytes) -> None:
    assert seen_at_once(page, b"<p>first</p>") == page
