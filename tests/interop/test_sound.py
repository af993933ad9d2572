"""Both sides hear each other: baresip as the phone, the official client in the room."""

from __future__ import annotations

import asyncio
import statistics
from array import array
from collections.abc import Sequence
from pathlib import Path

import pytest
from livekit import api, rtc

from interop.baresip import BaresipWishes, baresip, write_tone
from interop.hearing import CLIENT_RATE, Voice, Window, steady_stretch, windows
from interop.peer_process import free_port
from interop.server import Server, call_to, outward_address
from interop.turns import takes_turns

pytestmark = [pytest.mark.interop, takes_turns]

LEVEL = -20.0
SECONDS = 30
PATIENCE = 300.0
QUIET = Window(-100.0, 0.0, 0.0)


async def test_phones_and_clients_hear_each_other_for_half_a_minute(
    server: Server, tmp_path: Path
) -> None:
    """With each codec of every telephone; the calls do not know of each other."""
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as calls:
        for codec in ("pcmu", "pcma"):
            calls.create_task(half_a_minute(server, tmp_path / codec, codec))


async def half_a_minute(server: Server, folder: Path, codec: str) -> None:
    await asyncio.to_thread(folder.mkdir)
    voice = folder / "voice.wav"
    write_tone(voice, 1000, LEVEL, PATIENCE)
    room, ours, subscribed = rtc.Room(), Voice(440, LEVEL), asyncio.Queue[rtc.Track]()
    room.on("track_subscribed", lambda track, *_: subscribed.put_nowait(track))
    address, port = outward_address(), free_port()
    async with baresip(folder / "phone", address, port, voice, BaresipWishes(codec)) as phone:
        await room.connect(server.ws_url, server.token("agent", codec))
        await room.local_participant.publish_track(ours.track)
        async with server.api() as livekit:
            async with ours.speaking():
                await livekit.sip.create_sip_participant(call_to("phone", phone.address, codec))
                await until_steady(await subscribed.get(), 1000)
                while not is_steady(phone.sound().windows, 440):  # noqa: ASYNC110  a file is mute
                    await asyncio.sleep(0.5)
            # The client leaves before its room ends: under that one its library may crash.
            await room.disconnect()
            await livekit.room.delete_room(api.DeleteRoomRequest(room=codec))
        await phone.wait_for("terminated")


async def until_steady(track: rtc.Track, hz: float) -> None:
    """Listen until the tone was there for half a minute."""
    stream = rtc.AudioStream(track, sample_rate=CLIENT_RATE, num_channels=1)
    new, found = array("h"), list[Window]()
    try:
        async for event in stream:
            new.extend(event.frame.data)
            if len(new) >= CLIENT_RATE:
                found += windows(new[:CLIENT_RATE], CLIENT_RATE)
                new = new[CLIENT_RATE:]
                if is_steady(found, hz):
                    return
    finally:
        await stream.aclose()


def is_steady(found: Sequence[Window], hz: float) -> bool:
    """Whether the tone was there for 30 s without a gap, at the level that it was sent with.

    A client or a phone that a busy machine lets wait fills the time with what it has, and half a
    minute begins anew then: whatever is wrong with the bridge is there all the time. A single
    window may be a little quiet; one that lost half of its sound is a gap.
    """
    level = [window if LEVEL - 3 < window.level_dbov < LEVEL + 1 else QUIET for window in found]
    steady = steady_stretch(level, hz)
    if len(steady) < SECONDS * 10 - 5:
        return False
    return abs(statistics.median(window.level_dbov for window in steady) - LEVEL) < 1
