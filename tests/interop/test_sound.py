"""Both sides hear each other: baresip as the phone, the official client in the room."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence
from pathlib import Path

import pytest
from livekit import api, rtc

from interop.baresip import BaresipWishes, baresip, write_tone
from interop.hearing import CLIENT_RATE, Voice, listen, steady_stretch, windows
from interop.server import Server, call_to, outward_address

pytestmark = pytest.mark.interop

LEVEL = -20.0
SECONDS = 30
ROOM = "sound"


@pytest.mark.parametrize("codec", ["pcmu", "pcma"])
async def test_a_phone_and_a_client_hear_each_other_for_half_a_minute(
    server: Server, tmp_path: Path, codec: str
) -> None:
    voice = tmp_path / "voice.wav"
    write_tone(voice, 1000, LEVEL, SECONDS + 30)
    room, ours, subscribed = rtc.Room(), Voice(440, LEVEL), asyncio.Queue[rtc.Track]()
    room.on("track_subscribed", lambda track, *_: subscribed.put_nowait(track))
    address = outward_address()
    async with baresip(tmp_path / "phone", address, 5080, voice, BaresipWishes(codec)) as phone:
        async with asyncio.timeout(SECONDS + 60):
            await room.connect(server.ws_url, server.token("agent", ROOM))
            await room.local_participant.publish_track(ours.track)
            speaking = asyncio.create_task(ours.speak())
            async with server.api() as livekit:
                await livekit.sip.create_sip_participant(call_to("phone", phone.address, ROOM))
                heard_in_room = await listen(await subscribed.get(), SECONDS + 1)
                await livekit.room.delete_room(api.DeleteRoomRequest(room=ROOM))
            await phone.wait_for("terminated")
            speaking.cancel()
            await room.disconnect()
    assert_steady(heard_in_room, CLIENT_RATE, 1000)
    assert_steady(phone.heard(), 8000, 440)


def assert_steady(samples: Sequence[int], rate: int, hz: float) -> None:
    """The tone is there for 30 s without a gap, at the level it was sent with.

    A client's jitter buffer stretches sound for some milliseconds when a busy machine delivers
    late, so a single window may be a little quiet; one that lost half of its sound is a gap.
    """
    steady = steady_stretch(windows(samples, rate), hz)
    assert len(steady) >= SECONDS * 10 - 5, f"only {len(steady) / 10} s of {hz} Hz without a gap"
    levels = sorted(window.level_dbov for window in steady)
    assert abs(statistics.median(levels) - LEVEL) < 1
    assert levels[0] > LEVEL - 3
    assert levels[-1] < LEVEL + 1
