"""Official clients as they come from their registries: how soon do they hear who talks?"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from statistics import quantiles
from typing import Any

import machine
from livekit import api, rtc
from rig import Server, rig

# The clients are driven as the tests drive them.
sys.path.append(str(Path(__file__).parents[1] / "tests"))

from interop.browser import Tab, chromium, page_server, tab
from interop.hearing import Voice

_ROOM = "talk"
_MODES = {"one connection": True, "two connections": False}
_QUIETEST = 300  # of 32,767: a hundredth of full scale is sound
_Times = dict[str, float]


async def measure(*, quick: bool) -> dict[str, Any]:
    """Each client joins a room in which somebody talks, and leaves it, over and over."""
    joins = 5 if quick else 40
    before = machine.load_average()
    rows = []
    async with rig() as on, _talking(on.server):
        for mode, single in _MODES.items():
            rows.append(await _row("livekit (Python)", mode, _python(on.server, single), joins))
        with page_server() as address:
            async with chromium() as browser, tab(browser, address) as page:
                name = f"livekit-client (Chromium {browser.version.split('.')[0]})"
                for mode, single in _MODES.items():
                    join = _in_browser(page, on.server, single)
                    rows.append(await _row(name, mode, join, joins))
    after = machine.load_average()
    return {**machine.describe(), "load_before": before, "load_after": after, "joins": rows}


async def _row(
    client: str, mode: str, join: Callable[[int], Awaitable[_Times]], joins: int
) -> dict[str, Any]:
    await join(0)  # the first one loads code
    times = [await join(number) for number in range(1, joins + 1)]
    figures = {
        step: _percentiles([each[step] for each in times])
        for step in ("connected", "subscribed", "heard")
    }
    heard = figures["heard"]
    print(
        f"{client}, {mode}: heard p50 {heard['p50']:.0f} ms, p95 {heard['p95']:.0f} ms", flush=True
    )
    return {"client": client, "mode": mode, **figures}


def _in_browser(page: Tab, server: Server, single: bool) -> Callable[[int], Awaitable[_Times]]:
    async def join(number: int) -> _Times:
        times: _Times = await page.js(
            "timeJoin(url, token, options)",
            url=_url(server),
            token=_token(server, f"browser-{number}"),
            options={} if single else {"singlePeerConnection": False},
        )
        return times

    return join


def _python(server: Server, single: bool) -> Callable[[int], Awaitable[_Times]]:
    async def join(number: int) -> _Times:
        room = rtc.Room()
        track: asyncio.Future[rtc.Track] = asyncio.get_running_loop().create_future()
        began = time.perf_counter()

        def since() -> float:
            return 1000 * (time.perf_counter() - began)

        times: _Times = {}

        def subscribed(found: rtc.Track, *_: object) -> None:
            times["subscribed"] = since()
            track.set_result(found)

        room.on("track_subscribed", subscribed)
        options = rtc.RoomOptions(single_peer_connection=single)
        await room.connect(_url(server), _token(server, f"python-{number}"), options)
        times["connected"] = since()
        await _first_sound(await track)
        times["heard"] = since()
        await room.disconnect()
        return times

    return join


async def _first_sound(track: rtc.Track) -> None:
    stream = rtc.AudioStream(track)
    async for event in stream:
        if max(event.frame.data) > _QUIETEST:
            break
    await stream.aclose()


@asynccontextmanager
async def _talking(server: Server) -> AsyncIterator[None]:
    """Somebody in the room plays a tone without an end."""
    room, voice = rtc.Room(), Voice(1000, -20)
    await room.connect(_url(server), _token(server, "voice"))
    await room.local_participant.publish_track(voice.track)
    speaking = asyncio.create_task(voice.speak())
    try:
        yield
    finally:
        speaking.cancel()
        with suppress(asyncio.CancelledError):
            await speaking
        await room.disconnect()


def _url(server: Server) -> str:
    return f"ws://{server.host}:{server.port}"


def _token(server: Server, identity: str) -> str:
    grants = api.VideoGrants(room_join=True, room=_ROOM)
    token = api.AccessToken(server.key, server.secret).with_identity(identity)
    return token.with_grants(grants).to_jwt()


def _percentiles(values: list[float]) -> dict[str, float]:
    cuts = quantiles(values, n=20, method="inclusive")
    return {"count": len(values), "p50": cuts[9], "p95": cuts[18], "max": max(values)}
