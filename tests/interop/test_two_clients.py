"""Two official clients in one room: sound, data, reconnecting, and one that dies."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from livekit import rtc

from interop.cable import cable_to
from interop.hearing import CLIENT_RATE, Voice, Window, listen, steady_stretch, windows
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
    data: asyncio.Queue[rtc.DataPacket] = field(default_factory=asyncio.Queue)
    news: list[str] = field(default_factory=list)
    reconnected: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.room.on("track_subscribed", lambda track, *_: self.tracks.put_nowait(track))
        self.room.on("data_received", self.data.put_nowait)
        for name in ("reconnecting", "reconnected", "disconnected"):
            self.room.on(name, lambda *_, name=name: self.news.append(name))
        self.room.on("reconnected", self.reconnected.set)

    async def publish(self, hz: float) -> asyncio.Task[None]:
        """Begin to play a tone to the others."""
        voice = Voice(hz, LEVEL)
        await self.room.local_participant.publish_track(voice.track)
        return asyncio.create_task(voice.speak())


@asynccontextmanager
async def client(
    server: Server, identity: str, single: bool, url: str = ""
) -> AsyncIterator[Client]:
    """A client that has joined; it leaves at the end."""
    joined = Client()
    options = rtc.RoomOptions(single_peer_connection=single)
    await joined.room.connect(url or server.ws_url, server.token(identity, ROOM), options)
    try:
        yield joined
    finally:
        await joined.room.disconnect()


def tone_in(samples: list[int], hz: float) -> list[Window]:
    return steady_stretch(windows(samples, CLIENT_RATE), hz)


@MODES
async def test_two_clients_hear_each_other(server: Server, single: bool) -> None:
    async with (
        asyncio.timeout(60),
        client(server, "anna", single) as anna,
        client(server, "ben", single) as ben,
    ):
        speaking = [await anna.publish(440), await ben.publish(1000)]
        at_anna, at_ben = await asyncio.gather(
            listen(await anna.tracks.get(), 4), listen(await ben.tracks.get(), 4)
        )
        for task in speaking:
            task.cancel()
    assert len(tone_in(at_ben, 440)) >= 30
    assert len(tone_in(at_anna, 1000)) >= 30


@MODES
async def test_messages_arrive_whole_and_in_order(server: Server, single: bool) -> None:
    sent = [bytes([n]) * 14_000 for n in range(100)]
    async with (
        asyncio.timeout(60),
        client(server, "anna", single) as anna,
        client(server, "ben", single) as ben,
    ):
        for message in sent:
            await anna.room.local_participant.publish_data(message, reliable=True)
        arrived = [(await ben.data.get()).data for _ in sent]
        await anna.room.local_participant.publish_data(b"quick", reliable=False, topic="t")
        lossy = await ben.data.get()
    assert arrived == sent
    assert (lossy.data, lossy.topic, lossy.kind) == (b"quick", "t", rtc.DataPacketKind.KIND_LOSSY)


@MODES
async def test_every_track_of_a_crowd_is_heard_for_itself(server: Server, single: bool) -> None:
    tones = [300 + 110 * n for n in range(12)]
    async with (
        asyncio.timeout(90),
        client(server, "choir", single) as choir,
        client(server, "ben", single) as ben,
    ):
        singing = [await choir.publish(hz) for hz in tones]
        tracks = [await ben.tracks.get() for _ in tones]
        heard = await asyncio.gather(*(listen(track, 3) for track in tracks))
        for task in singing:
            task.cancel()
    found = []
    for samples in heard:
        best = max(tones, key=lambda hz: len(tone_in(samples, hz)))
        assert len(tone_in(samples, best)) >= 15, best
        found.append(best)
    assert sorted(found) == tones


@MODES
async def test_a_lost_signal_connection_is_resumed_and_nobody_hears_it(
    server: Server, single: bool
) -> None:
    async with (
        asyncio.timeout(90),
        cable_to(server.url) as cable,
        client(server, "anna", single) as anna,
        client(server, "ben", single, cable.ws_url) as ben,
    ):
        speaking = [await anna.publish(440), await ben.publish(1000)]
        at_anna, at_ben = await anna.tracks.get(), await ben.tracks.get()
        await listen(at_ben, 0.5)
        cable.cut()
        heard_by_ben, heard_by_anna = await asyncio.gather(listen(at_ben, 9), listen(at_anna, 9))
        await ben.reconnected.wait()
        await ben.room.local_participant.publish_data(b"after", reliable=True)
        assert (await anna.data.get()).data == b"after"
        for task in speaking:
            task.cancel()
        assert ben.news == ["reconnecting", "reconnected"]
        assert anna.news == []
    assert len(tone_in(heard_by_ben, 440)) >= 80
    assert len(tone_in(heard_by_anna, 1000)) >= 80


async def test_a_client_that_was_killed_is_gone_for_the_others_in_time(server: Server) -> None:
    async with asyncio.timeout(90), client(server, "anna", True) as anna:
        left: asyncio.Queue[rtc.RemoteParticipant] = asyncio.Queue()
        came: asyncio.Queue[rtc.RemoteParticipant] = asyncio.Queue()
        anna.room.on("participant_connected", came.put_nowait)
        anna.room.on("participant_disconnected", left.put_nowait)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _JOIN_AND_STAY, server.ws_url, server.token("ben", ROOM)),
        )
        assert (await came.get()).identity == "ben"
        process.kill()
        await process.wait()
        assert (await asyncio.wait_for(left.get(), 20)).identity == "ben"


_JOIN_AND_STAY = """
import asyncio, sys
from livekit import rtc

async def stay():
    room = rtc.Room()
    await room.connect(sys.argv[1], sys.argv[2])
    await asyncio.Event().wait()

asyncio.run(stay())
"""
