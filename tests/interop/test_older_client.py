"""The client that livekit-agents pins and the newest one in a room, each in the mode it chooses."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest
from livekit import rtc

from interop.hearing import CLIENT_RATE, Voice, Window, listen, steady_stretch, windows
from interop.server import Server

ROOM = "meeting"
TESTS = Path(__file__).parent.parent
OLDER = TESTS.parent / ".peers" / "livekit-1.1.21" / "bin" / "python"

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(not OLDER.exists(), reason="livekit 1.1.21 is missing: tools/set-up peers"),
]


async def test_the_older_and_the_newest_client_hear_and_tell_each_other(server: Server) -> None:
    room, voice = rtc.Room(), Voice(440, -20)
    tracks: asyncio.Queue[rtc.RemoteTrack] = asyncio.Queue()
    data: asyncio.Queue[rtc.DataPacket] = asyncio.Queue()
    room.on("track_subscribed", lambda track, *_: tracks.put_nowait(track))
    room.on("data_received", data.put_nowait)
    async with asyncio.timeout(60):
        await room.connect(server.ws_url, server.token("newest", ROOM))
        await room.local_participant.publish_track(voice.track)
        speaking = asyncio.create_task(voice.speak())
        older = await asyncio.create_subprocess_exec(
            *(OLDER, TESTS / "interop" / "older_client.py"),
            *(server.ws_url, server.token("older", ROOM)),
            env={**os.environ, "PYTHONPATH": str(TESTS)},
            stdout=asyncio.subprocess.PIPE,
        )
        heard = await listen(await tracks.get(), 3)
        told = (await data.get()).data
        await room.local_participant.publish_data(b"from the newest client", reliable=True)
        written, _ = await older.communicate()
        speaking.cancel()
        await room.disconnect()
    report = json.loads(written)
    assert report["version"] == "1.1.21"
    assert told == b"from the older client"
    assert report["told"] == "from the newest client"
    assert len(steady_stretch(windows(heard, CLIENT_RATE), 700)) >= 20
    theirs = [Window(level, hz, purity) for hz, level, purity in report["heard"]]
    assert len(steady_stretch(theirs, 440)) >= 30
