"""Chromium for the tests: pages that hold a livekit-client, and what they hear.

One browser serves many tests, each with pages of its own. Pages come from an HTTP server of ours on
127.0.0.1, which browsers take for a secure place, so that microphones work. Nothing else is loaded.
"""

from __future__ import annotations

import asyncio
import base64
import json
from array import array
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

CHROMIUM = Path("/usr/bin/chromium")
ROOT = Path(__file__).parents[2]
SDK = ROOT / ".peers/node/node_modules/livekit-client/dist/livekit-client.umd.js"
PAGE = Path(__file__).parent / "page"

needs_browser = pytest.mark.skipif(
    not (CHROMIUM.exists() and SDK.exists()),
    reason="chromium or livekit-client is missing: tools/set-up peers",
)

_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
)
# A busy machine lets a page wait, and what never comes is told soon enough.
PATIENCE = 90.0
expect.set_options(timeout=PATIENCE * 1000)
_HEARS_AT_ONCE = "--autoplay-policy=no-user-gesture-required"


@asynccontextmanager
async def chromium(*, plays_unasked: bool = True) -> AsyncIterator[Browser]:
    """A headless browser; `plays_unasked` lets pages sound before anybody has touched them."""
    flags = [*_FLAGS, _HEARS_AT_ONCE] if plays_unasked else list(_FLAGS)
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=str(CHROMIUM), args=flags)
        try:
            yield browser
        finally:
            await browser.close()


class _Pages(SimpleHTTPRequestHandler):
    """The page for tests, and the SDK beside it."""

    def translate_path(self, path: str) -> str:
        if path == "/livekit-client.umd.js":
            return str(SDK)
        return super().translate_path(path)

    def log_message(self, *facts: Any) -> None:
        return


@contextmanager
def page_server() -> Iterator[str]:
    """Serves the page for tests; its address."""

    def answer(*facts: Any) -> _Pages:
        return _Pages(*facts, directory=str(PAGE))

    with ThreadingHTTPServer(("127.0.0.1", 0), answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()


@dataclass
class Tab:
    """A page that holds one livekit-client, named `room` in there."""

    page: Page
    log: list[str] = field(default_factory=list)
    """What the page has written to its console."""
    failures: list[str] = field(default_factory=list)
    """Exceptions that nobody in the page has caught."""

    async def js(self, expression: str, **values: object) -> Any:
        """The value of an expression in the page, awaited; `values` are variables in it."""
        names = ", ".join(values)
        return await self.page.evaluate(f"async ({{{names}}}) => ({expression})", values)

    async def join(
        self, url: str, token: str, *, single: bool = True, **connect_options: object
    ) -> dict[str, str]:
        """Connect, in the given mode; returns the room's sid and the client's identity."""
        # One connection is what the SDK chooses itself.
        options: Mapping[str, object] = {} if single else {"singlePeerConnection": False}
        joined: dict[str, str] = await self.js(
            "join(url, token, options, connectOptions)",
            url=url,
            token=token,
            options=options,
            connectOptions=connect_options,
        )
        return joined

    async def next(self, event: str, seconds: float = PATIENCE) -> Any:
        """The facts of the next event of that name, from the first one on."""
        try:
            return await asyncio.wait_for(self.js("next(event)", event=event), seconds)
        except TimeoutError:
            raise AssertionError(f"no {event}; the page says:\n" + self.story()) from None

    async def publish_tone(self, hz: float, dbov: float = -20, **options: object) -> str:
        """Begin to play a sine; returns the sid of its track."""
        sid: str = await self.js(
            "publishTone(hz, dbov, options)", hz=hz, dbov=dbov, options=options
        )
        return sid

    async def listen(self, track_sid: str, seconds: float) -> array[int]:
        """The next `seconds` of a remote track as it is played, at 48 kHz."""
        samples = array("h")
        recorded = await self.js("listen(sid, seconds)", sid=track_sid, seconds=seconds)
        samples.frombytes(base64.b64decode(recorded))
        return samples

    async def expect_streams(self, topic: str) -> None:
        """Whole text and byte streams of a topic are events ``stream:<topic>`` from now on."""
        await self.js("expectStreams(topic)", topic=topic)

    async def news(self) -> list[str]:
        """The names of all events so far."""
        told: list[str] = await self.js("news")
        return told

    def story(self) -> str:
        return "\n".join([*self.log[-40:], *self.failures])


@asynccontextmanager
async def tab(context: BrowserContext | Browser, address: str) -> AsyncIterator[Tab]:
    """A page that is ready to join; it is closed at the end, and must not have failed."""
    page = await context.new_page()
    page.set_default_timeout(PATIENCE * 1000)
    opened = Tab(page)
    page.on("console", lambda message: opened.log.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: opened.failures.append(str(error)))
    try:
        await page.goto(address)
        yield opened
    finally:
        await page.close()
    assert not opened.failures, json.dumps(opened.failures, indent=2)
