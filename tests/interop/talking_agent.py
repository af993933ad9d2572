"""An agent: the official Python client with the habits of livekit-agents."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

from livekit import api, rtc

from interop.rtp_phone import RtpPhone
from interop.server import Server, call_to

ROOM = "agent-sound"
RATE = 24_000
"""What agents' speech synthesisers make."""


class Agent:
    """A client with the habits of livekit-agents."""

    def __init__(self) -> None:
        self.room = rtc.Room()
        self.told: list[tuple[str, Any]] = []
        self._news = asyncio.Event()
        for name in (
            *("participant_connected", "participant_disconnected", "participant_active"),
            *("participant_attributes_changed", "track_published", "sip_dtmf_received"),
        ):
            self.room.on(cast("Any", name), lambda *facts, name=name: self._tell(name, facts))

    def _tell(self, name: str, facts: tuple[Any, ...]) -> None:
        snapshot = dict(facts[-1].attributes) if hasattr(facts[-1], "attributes") else None
        self.told.append((name, (facts, snapshot)))
        self._news.set()

    async def hears_of(self, name: str) -> tuple[tuple[Any, ...], Any]:
        """The first event of this name, which may have come already."""
        await self.until(lambda: any(told == name for told, _ in self.told))
        return cast(
            "tuple[tuple[Any, ...], Any]", next(facts for told, facts in self.told if told == name)
        )

    async def until(self, satisfied: Callable[[], bool]) -> None:
        """Wait, event by event."""
        while not satisfied():
            self._news.clear()
            await self._news.wait()

    async def publish(
        self, name: str = "roomio_audio", source: int = rtc.TrackSource.SOURCE_MICROPHONE
    ) -> rtc.AudioSource:
        """A track as agents publish it; returns its source once somebody hears it."""
        audio = rtc.AudioSource(RATE, 1, queue_size_ms=10_000)
        track = rtc.LocalAudioTrack.create_audio_track(name, audio)
        options = rtc.TrackPublishOptions(source=cast("Any", source))
        publication = await self.room.local_participant.publish_track(track, options)
        await publication.wait_for_subscription()
        return audio


@asynccontextmanager
async def agent_in(server: Server, identity: str = "agent") -> AsyncIterator[Agent]:
    agent = Agent()
    async with asyncio.timeout(180):
        await agent.room.connect(server.ws_url, server.token(identity, ROOM))
        yield agent
    await agent.room.disconnect()


@asynccontextmanager
async def called(server: Server, phone: RtpPhone) -> AsyncIterator[api.SIPParticipantInfo]:
    """The phone is in the room, and hung up at the end."""
    async with server.api() as livekit:
        info = await livekit.sip.create_sip_participant(call_to("phone", phone.address, ROOM))
        yield info
        await livekit.room.delete_room(api.DeleteRoomRequest(room=ROOM))
        assert phone.sipp is not None
        assert await phone.sipp.finished() == 0
