"""The page of examples/web: a person joins a running call, hears both sides, and reads along."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
import pytest_asyncio
from livekit import api
from playwright.async_api import Browser, Page, expect

from interop.browser import ROOT, chromium, needs_browser
from interop.server import KEY, SECRET, Server, call_to, server_here
from interop.web_agent import WebAgent
from switchroom.phonenet import events
from switchroom.phonenet.client import PhoneNetwork

pytestmark = [
    pytest.mark.interop,
    pytest.mark.asyncio(loop_scope="module"),
    needs_browser,
    pytest.mark.skipif(
        shutil.which("flite") is None or importlib.util.find_spec("pocketsphinx") is None,
        reason="local speech is missing: apt-get install flite; pip install 'switchroom[offline]'",
    ),
]

MARIA = "+12025550120"
WHO = "Hello, this is Bright Smile Dental. Am I speaking with Maria Lopez?"
WHEN = "You have an appointment on Tuesday at three in the afternoon. Can you come?"
GOODBYE = "Thank you. Your appointment is confirmed. Goodbye."
IMAGES = os.environ.get("SWITCHROOM_SCREENSHOTS", "")
"""Where screenshots are written; empty: nowhere."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    # Like a person's browser: nothing sounds before the page has been clicked.
    async with chromium(plays_unasked=False) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with server_here(tmp_path) as running:
        yield running


@asynccontextmanager
async def served(server: Server) -> AsyncIterator[str]:
    """`examples/web/serve.py` as a person starts it; the page's address."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, ROOT / "examples/web/serve.py", "--port", "0"),
        env={
            **os.environ,
            "LIVEKIT_URL": server.ws_url,
            "LIVEKIT_API_KEY": KEY,
            "LIVEKIT_API_SECRET": SECRET,
        },
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().split()[-1]
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def opened(browser: Browser, address: str) -> AsyncIterator[Page]:
    """The page in a window of its own. Nothing in it may have gone wrong at the end."""
    page = await browser.new_page(viewport={"width": 1180, "height": 820}, device_scale_factor=2)
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    try:
        await page.goto(address)
        yield page
    finally:
        await page.close()
    assert not failures


@dataclass
class Appointment:
    """An agent and the phone it calls, in a room."""

    server: Server
    agent: WebAgent
    network: PhoneNetwork
    room: str = "appointment"

    async def dial(self) -> None:
        """Call Maria over SIP; returns when she has said hello."""
        request = call_to(MARIA, self.network.address, self.room)
        request.participant_name = "Maria Lopez"
        async with self.server.api() as service:
            await service.sip.create_sip_participant(request)
        await self.hear("Hello?")

    async def hear(self, text: str) -> None:
        """Wait until the phone has said this, and tell what was understood."""
        said = await self.network.expect(events.Said)
        assert said.text == text
        await self.agent.falls_silent("phone")
        await self.agent.understand("phone", [text[: len(text) // 2], text])


@asynccontextmanager
async def appointment(server: Server, tmp_path: Path) -> AsyncIterator[Appointment]:
    """The agent waits in its room; the phone can be called."""
    agent = WebAgent()
    grants = api.VideoGrants(room_join=True, room="appointment", can_update_own_metadata=True)
    token = (
        api.AccessToken(KEY, SECRET)
        .with_identity("agent")
        .with_name("Bright Smile Dental")
        .with_kind("agent")
        .with_grants(grants)
    )
    async with asyncio.timeout(90), PhoneNetwork(messages=tmp_path / "messages") as network:
        await agent.join(server.ws_url, token.to_jwt())
        try:
            yield Appointment(server, agent, network)
        finally:
            await agent.room.disconnect()


async def screenshot(page: Page, name: str, scheme: Literal["light", "dark"] = "light") -> bytes:
    """The page as it looks now; kept in the folder of screenshots, if there is one."""
    await page.emulate_media(color_scheme=scheme)
    image = await page.screenshot()
    if IMAGES:
        (Path(IMAGES) / name).write_bytes(image)
    return image


async def loudest(page: Page, voice: int) -> int:
    """How many rows of a voice's lane are coloured: its loudest moment."""
    count: int = (
        await page.locator(".voice canvas")
        .nth(voice)
        .evaluate(
            """(canvas) => {
          const { width, height } = canvas;
          const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
          let rows = 0;
          for (let y = 0; y < height; y += 1) {
            for (let x = 0; x < width; x += 1) {
              if (data[4 * (y * width + x) + 3] > 200) { rows += 1; break; }
            }
          }
          return rows;
        }"""
        )
    )
    return count


async def test_a_person_listens_in_on_a_call_and_reads_along(
    browser: Browser, server: Server, tmp_path: Path
) -> None:
    async with (
        appointment(server, tmp_path) as call,
        served(server) as address,
        opened(browser, address) as page,
    ):
        await page.get_by_role("button", name="Bright Smile Dental").click()
        agent, phone = page.locator(".voice").nth(0), page.locator(".voice").nth(1)
        await expect(agent.locator(".state")).to_have_text("listening")
        dialling = asyncio.create_task(call.dial())
        await expect(phone.locator("h2")).to_have_text("Maria Lopez")
        await expect(phone.locator(".detail")).to_have_text("+1 202 555 0120")
        await expect(phone.locator(".state")).to_have_text("ringing…")
        await dialling
        speaking = asyncio.create_task(call.agent.say(WHO))
        await expect(agent.locator(".state")).to_have_text("speaking")
        await speaking
        await call.hear("Yes, this is Maria.")
        await call.agent.say(WHEN)
        await call.hear("Yes, I confirm.")
        speaking = asyncio.create_task(call.agent.say(GOODBYE))
        last = page.locator(".transcript li").last
        await expect(last).to_contain_text("Thank you. Your appointment")
        await expect(last).to_have_class(re.compile("unfinished"))
        await screenshot(page, "web.png")
        await screenshot(page, "web-dark.png", "dark")
        await speaking
        await expect(last).not_to_have_class(re.compile("unfinished"))
        await expect(page.locator(".transcript li p")).to_have_text(
            ["Hello?", WHO, "Yes, this is Maria.", WHEN, "Yes, I confirm.", GOODBYE]
        )
        await expect(page.locator(".transcript .who")).to_have_text(
            ["Maria Lopez", "Bright Smile Dental"] * 3
        )
        assert [await loudest(page, voice) > 30 for voice in (0, 1)] == [True, True]
        assert set(call.agent.room.remote_participants) == {"phone"}
        await expect(phone.locator(".state")).to_have_text("has left", timeout=15_000)
        await call.agent.room.disconnect()
        await expect(page.locator("#notice")).to_have_text("The call is over.", timeout=15_000)
        async with server.api() as service:
            people = api.ListParticipantsRequest(room=call.room)
            assert not (await service.room.list_participants(people)).participants
