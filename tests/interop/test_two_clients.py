"""Official Python clients in one room: a crowd, and one that dies."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from livekit import rtc

from interop.hearing import CLIENT_RATE, Voice, Window, listen, windows
from interop.server import Server

pytestmark = pytest.mark.interop

ROOM = "meeting"
LEVEL = -20.0
MODES = pytest.mark.parametrize("single", [True, False], ids=["one-connection", "two-connections"])


@dataclass
class Client:
    """A client in the room, and what it was told."""

    room: rtc.Room = field(default_factory=rtc.Room)
    tracks: asyncio.Queue[rtc.RemoteTrack] = field(default_factory=asyncio.Queue)
    voices: list[Voice] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.room.on("track_subscribed", lambda track, *_: self.tracks.put_nowait(track))

    async def publish(self, hz: float) -> asyncio.Task[None]:
        """Begin to play a tone to the others."""
        voice = Voice(hz, LEVEL)
        self.voices.append(voice)
        await self.room.local_participant.publish_track(voice.track)
        return asyncio.create_task(voice.speak())


@asynccontextmanager
async def client(server: Server, identity: str, single: bool) -> AsyncIterator[Client]:
    """A client that has joined; it leaves at the end."""
    joined = Client()
    options = rtc.RoomOptions(single_peer_connection=single)
    await joined.room.connect(server.ws_url, server.token(identity, ROOM), options)
    try:
        yield joined
    finally:
        await joined.room.disconnect()


def windows_of(tone: int, found: list[Window]) -> int:
    """How many windows hold this tone and no other."""
    return sum(abs(window.tone_hz - tone) <= 10 and window.purity > 0.9 for window in found)


@MODES
async def test_every_track_of_a_crowd_is_heard_for_itself(server: Server, single: bool) -> None:
    tones = [300 + 110 * n for n in range(12)]
    async with (
        asyncio.timeout(180),
        client(server, "choir", single) as choir,
        client(server, "ben", single) as ben,
    ):
        singing = [await choir.publish(hz) for hz in tones]
        tracks = [await ben.tracks.get() for _ in tones]
        found = await asyncio.gather(*(voice_of(track, tones) for track in tracks))
        for task in singing:
            task.cancel()
        for voice in choir.voices:
            voice.source.clear_queue()
    assert sorted(found) == tones


async def voice_of(track: rtc.Track, tones: Sequence[int]) -> int:
    """The only tone of a track, heard for two seconds in all.

    Twelve voices of one Python process may stumble; what they never do is change places.
    """
    counts = dict.fromkeys(tones, 0)
    while max(counts.values()) < 20:
        found = windows(await listen(track, 1), CLIENT_RATE)
        for hz in tones:
            counts[hz] += windows_of(hz, found)
    own = max(counts, key=counts.__getitem__)
    assert sum(counts.values()) == counts[own], counts
    return own


async def test_a_client_that_was_killed_is_gone_for_the_others_in_time(server: Server) -> None:
    async with asyncio.timeout(180), client(server, "anna", True) as anna:
        left: asyncio.Queue[rtc.RemoteParticipant] = asyncio.Queue()
        came: asyncio.Queue[rtc.RemoteParticipant] = asyncio.Queue()
        anna.room.on("participant_active", came.put_nowait)
        anna.room.on("participant_disconnected", left.put_nowait)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _JOIN_AND_STAY, server.ws_url, server.token("ben", ROOM)),
        )
        assert (await came.get()).identity == "ben"
        process.kill()
        await process.wait()
        gone = await asyncio.wait_for(left.get(), 90)
        assert gone.identity == "ben"
        assert gone.disconnect_reason == rtc.DisconnectReason.CONNECTION_TIMEOUT


_JOIN_AND_STAY = """
import asyncio, sys
from livekit import rtc

async def stay():
    room = rtc.Room()
    await room.connect(sys.argv[1], sys.argv[2])
    await asyncio.Event().wait()

asyncio.run(stay())
"""
