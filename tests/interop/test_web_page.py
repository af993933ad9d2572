"""The page of examples/web: a person joins a running call, hears both sides, and reads along."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx
import pytest
import pytest_asyncio
from livekit import api, rtc
from playwright.async_api import Browser, Page, expect

from interop import web_phone
from interop.agents import needs_agents
from interop.browser import PATIENCE, ROOT, chromium, needs_browser
from interop.hearing import CLIENT_RATE, listen, windows
from interop.server import KEY, SECRET, Server, call_to, server_here
from interop.turns import takes_turns
from interop.web_agent import WebAgent
from interop.web_phone import LINES, NUMBER
from switchroom.phonenet import events
from switchroom.phonenet.client import PhoneNetwork

pytestmark = [
    pytest.mark.interop,
    pytest.mark.asyncio(loop_scope="module"),
    needs_browser,
    takes_turns,
]
needs_speech = pytest.mark.skipif(
    shutil.which("flite") is None,
    reason="flite is missing: apt-get install flite",
)

ROOM = "appointment"
HELLO, MINE = LINES
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
async def served(server: Server, secret: str = SECRET) -> AsyncIterator[str]:
    """`examples/web/serve.py` as a person starts it; the page's address."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, ROOT / "examples/web/serve.py", "--port", "0"),
        env={
            **os.environ,
            "LIVEKIT_URL": server.ws_url,
            "LIVEKIT_API_KEY": KEY,
            "LIVEKIT_API_SECRET": secret,
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
    page = await browser.new_page(
        viewport={"width": 1180, "height": 720},
        device_scale_factor=2,
        reduced_motion="reduce",  # ten pictures a second instead of sixty: the machine is small
    )
    page.set_default_timeout(PATIENCE * 1000)
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
    """An agent and the phone it calls."""

    server: Server
    agent: WebAgent
    network: PhoneNetwork

    async def dial(self) -> None:
        """Call Maria over SIP; returns when she has said hello."""
        request = call_to(NUMBER, self.network.address, ROOM)
        request.participant_name = "Maria Lopez"
        async with self.server.api() as service:
            await service.sip.create_sip_participant(request)
        await self.hear(HELLO)

    async def hear(self, text: str) -> None:
        """Wait until the phone has said this, and tell what was understood."""
        await self.network.expect(events.Said, text=text)
        await self.agent.falls_silent("phone")
        await self.agent.understand("phone", [text[: len(text) // 2], text])

    async def go_on(self, text: str) -> None:
        """Let the phone say its next line, which is this."""
        await self.press()
        await self.hear(text)

    async def press(self) -> None:
        await self.agent.room.local_participant.publish_dtmf(code=1, digit="1")


@asynccontextmanager
async def waiting_agent(server: Server) -> AsyncIterator[WebAgent]:
    """An agent in its room."""
    agent = WebAgent()
    grants = api.VideoGrants(room_join=True, room=ROOM, can_update_own_metadata=True)
    token = (
        api.AccessToken(KEY, SECRET)
        .with_identity("agent")
        .with_name("Bright Smile Dental")
        .with_kind("agent")
        .with_grants(grants)
    )
    await agent.join(server.ws_url, token.to_jwt())
    try:
        yield agent
    finally:
        await agent.room.disconnect()


@asynccontextmanager
async def appointment(server: Server) -> AsyncIterator[Appointment]:
    """The agent waits in its room; the phone can be called."""
    async with (
        asyncio.timeout(180),
        PhoneNetwork(numbers=web_phone.__file__) as network,
        waiting_agent(server) as agent,
    ):
        yield Appointment(server, agent, network)


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


@needs_speech
async def test_a_person_listens_in_on_a_call_and_reads_along(
    browser: Browser, server: Server
) -> None:
    async with (
        appointment(server) as call,
        served(server) as address,
        opened(browser, address) as page,
    ):
        await page.get_by_role("button", name="Bright Smile Dental").click()
        agent, phone = page.locator(".voice").nth(0), page.locator(".voice").nth(1)
        await expect(agent.locator(".state")).to_have_text("listening")
        dialling = asyncio.create_task(call.dial())
        await expect(phone.locator("h2")).to_have_text("Maria Lopez")
        await expect(phone.locator(".detail")).to_have_text("+1 202 555 0150")
        await expect(phone.locator(".state")).to_have_text("ringing…")
        await dialling
        speaking = asyncio.create_task(call.agent.say(WHO))
        await expect(agent.locator(".state")).to_have_text("speaking")
        await speaking
        await call.go_on(MINE)
        speaking = asyncio.create_task(call.agent.say(GOODBYE))
        last = page.locator(".transcript li").last
        await expect(last).to_contain_text("Thank you. Your appointment")
        await expect(last).to_have_class(re.compile("unfinished"))
        await speaking
        await expect(last).not_to_have_class(re.compile("unfinished"))
        await expect(page.locator(".transcript li p")).to_have_text([HELLO, WHO, MINE, GOODBYE])
        await expect(page.locator(".transcript .who")).to_have_text(
            ["Maria Lopez", "Bright Smile Dental"] * 2
        )
        assert [await loudest(page, voice) > 30 for voice in (0, 1)] == [True, True]
        assert set(call.agent.room.remote_participants) == {"phone"}
        await call.press()
        await expect(phone.locator(".state")).to_have_text("has left")
        await call.agent.room.disconnect()
        await expect(page.locator("#notice")).to_have_text("The call is over.")
        async with server.api() as service:
            people = api.ListParticipantsRequest(room=ROOM)
            assert not (await service.room.list_participants(people)).participants


@needs_agents
@needs_speech
async def test_a_listener_hears_the_demos_call_and_does_not_disturb_it(browser: Browser) -> None:
    demo = await asyncio.create_subprocess_exec(
        *(sys.executable, ROOT / "examples/demo.py", "--appointments", "1"),
        env={**os.environ, "NO_COLOR": "1"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    server = Server("http://127.0.0.1:7880")  # where `switchroom dev` is
    try:
        async with (
            asyncio.timeout(180),
            served(server, secret="secret") as address,
            opened(browser, f"{address}?room=appointment-1") as page,
        ):
            await page.locator(".rooms button").click()
            voices = page.locator(".voice h2")
            await expect(voices).to_have_text(["Appointment confirmation", "Maria Lopez"])
            last = page.locator(".transcript li").last
            await expect(last).to_contain_text("Thank you")
            await expect(page.locator(".voice.speaking h2")).to_have_text(
                "Appointment confirmation"
            )
            await screenshot(page, "web.png")
            await screenshot(page, "web-dark.png", "dark")
            assert [await loudest(page, voice) > 30 for voice in (0, 1)] == [True, True]
            await expect(page.locator("#notice")).to_have_text("The call is over.")
            lines = page.locator(".transcript li p")
            await expect(lines.nth(-1)).to_have_text(GOODBYE)
            await expect(lines.filter(has_text="this is Bright Smile Dental")).to_have_text(WHO)
            await expect(lines.filter(has_text="You have an appointment")).to_have_text(WHEN)
        printed, _ = await demo.communicate()
    finally:
        if demo.returncode is None:
            demo.terminate()
            await demo.wait()
    assert "1 of 1 calls were right" in printed.decode(), printed.decode()


@asynccontextmanager
async def person(server: Server, identity: str = "ben") -> AsyncIterator[rtc.Room]:
    """Somebody in the room."""
    room = rtc.Room()
    await room.connect(server.ws_url, server.token(identity, ROOM))
    try:
        yield room
    finally:
        await room.disconnect()


async def test_who_speaks_on_the_page_is_seen_and_heard_only_then(
    browser: Browser, server: Server
) -> None:
    tracks: asyncio.Queue[rtc.Track] = asyncio.Queue()
    left: asyncio.Queue[rtc.RemoteParticipant] = asyncio.Queue()
    async with (
        asyncio.timeout(180),
        person(server) as ben,
        served(server) as address,
        opened(browser, address) as page,
    ):
        ben.on("track_subscribed", lambda track, *_: tracks.put_nowait(track))
        ben.on("participant_disconnected", left.put_nowait)
        await page.get_by_role("button", name="ben").click()
        await expect(page.locator("#hint")).to_have_text("Nobody in the call sees or hears you.")
        async with person(server, "carl") as carl:
            assert (set(ben.remote_participants), set(carl.remote_participants)) == (
                {"carl"},
                {"ben"},
            )
        assert (await left.get()).identity == "carl"
        await page.get_by_role("button", name="Speak").click()
        track = await tracks.get()
        # Chromium's own microphone beeps once a second.
        while max(w.level_dbov for w in windows(await listen(track, 1.2), CLIENT_RATE)) < -40:
            pass
        await expect(page.locator(".voice h2")).to_have_text(["ben", "You"])
        (seen,) = ben.remote_participants.values()
        await page.keyboard.press("m")
        assert (await left.get()).sid == seen.sid
        await expect(page.locator(".voice h2")).to_have_text(["ben"])
        await page.keyboard.press("Escape")
        await expect(page.locator("#notice")).to_have_text("You have left the call.")


async def test_nobody_speaks_before_an_agent_has_its_phone(
    browser: Browser, server: Server
) -> None:
    async with (
        waiting_agent(server),
        served(server) as address,
        opened(browser, f"{address}?room={ROOM}") as page,
    ):
        await page.get_by_role("button", name="Bright Smile Dental").click()
        await expect(page.get_by_role("button", name="Speak")).to_be_disabled()
        await expect(page.locator("#hint")).to_have_text(
            "You can speak when the phone is on the line."
        )


async def test_the_page_says_what_is_wrong(browser: Browser, server: Server) -> None:
    notice = "#notice"
    async with (
        served(server, secret="another-secret-that-is-long-enough-too") as address,
        opened(browser, address) as page,
    ):
        await expect(page.locator(notice)).to_contain_text("The room server refused")
    async with (
        server.api() as service,
        person(server),
        served(server) as address,
        opened(browser, f"{address}?room={ROOM}") as page,
    ):
        bad = {"url": server.ws_url, "identity": "nobody", "token": "expired"}
        await page.route("**/api/token?*", lambda route: route.fulfill(json=bad), times=1)
        await page.get_by_role("button", name="ben").click()
        await expect(page.locator(notice)).to_contain_text("does not accept the key of this page")
        await page.get_by_role("button", name="ben").click()
        await expect(page.locator("#call")).to_be_visible()
        await service.room.delete_room(api.DeleteRoomRequest(room=ROOM))
        await expect(page.locator(notice)).to_have_text("The call is over.")
        await page.get_by_role("button", name="Back to the calls").click()
        await expect(page.locator("#rooms-lead")).to_contain_text("Waiting for the call")
        assert server.app is not None
        await server.app.stop()
        await expect(page.locator(notice)).to_contain_text("No room server answers at")


async def test_a_refusal_is_told_in_words(browser: Browser, server: Server) -> None:
    say = "async (error) => (await import('./words.js')).refusal(error, 'ws://here')"
    refusals = (
        (401, "token is expired", "has expired"),
        (401, "invalid API key", "does not accept the key of this page (invalid API key)"),
        (404, "requested room does not exist", "The call is over."),
        (0, "", "No room server answers at ws://here"),
    )
    async with served(server) as address, opened(browser, address) as page:
        for status, message, told in refusals:
            assert told in await page.evaluate(say, {"status": status, "message": message})


async def test_the_pages_server_gives_nothing_away(server: Server) -> None:
    async with served(server) as address, httpx.AsyncClient(base_url=address) as client:
        assert (await client.get("/")).headers["content-type"].startswith("text/html")
        for path in ("/serve.py", "/../web/serve.py", "/%2e%2e/demo.py", "/nothing.js"):
            assert (await client.get(path)).status_code == 404
        elsewhere = await client.get("/api/rooms", headers={"Host": "rebound.example"})
        assert elsewhere.status_code == 403
        looking = await client.get("/api/token?role=listener&room=nowhere")
        assert "There is no call in “nowhere”" in looking.json()["error"]
        assert (await client.get("/api/token?role=admin&room=nowhere")).status_code == 404
        assert (await client.get("/api/rooms")).json() == {"rooms": []}
