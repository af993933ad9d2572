"""Rooms and who is in them, through the official SDK: coming, replacing, hiding, ending."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from livekit import api, rtc

from interop.server import KEY, SECRET, Server, server_here
from switchroom.rooms.turnstile import BURST

pytestmark = pytest.mark.interop

ROOM = "life"
Reason = rtc.DisconnectReason


@dataclass
class Guest:
    """A client, and what it was told: names of events with the identity or reason they carry."""

    room: rtc.Room = field(default_factory=rtc.Room)
    news: list[tuple[str, Any]] = field(default_factory=list)
    told: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        for name in ("participant_connected", "participant_disconnected"):
            self.room.on(name, lambda who, name=name: self.note(name, who.identity))
        self.room.on("disconnected", lambda reason: self.note("disconnected", reason))

    def note(self, name: str, fact: Any) -> None:
        self.news.append((name, fact))
        self.told.set()

    async def until(self, name: str, fact: Any) -> None:
        """Wait for something to have been told."""
        while (name, fact) not in self.news:
            self.told.clear()
            await self.told.wait()


def token(identity: str, kind: str = "standard", **grants: Any) -> str:
    video = api.VideoGrants(room_join=True, room=ROOM, **grants)
    made = api.AccessToken(KEY, SECRET).with_identity(identity).with_grants(video)
    return made.with_kind(kind).to_jwt()  # type: ignore[arg-type]  # one of the kinds, as text


@asynccontextmanager
async def guest(
    server: Server, identity: str, kind: str = "standard", **grants: Any
) -> AsyncIterator[Guest]:
    """Somebody in the room, who leaves at the end."""
    joined = Guest()
    await joined.room.connect(server.ws_url, token(identity, kind, **grants))
    try:
        yield joined
    finally:
        await joined.room.disconnect()


async def the_room(server: Server) -> api.Room:
    async with server.api() as livekit:
        (room,) = (await livekit.room.list_rooms(api.ListRoomsRequest(names=[ROOM]))).rooms
        return room


async def present(server: Server) -> set[str]:
    async with server.api() as livekit:
        request = api.ListParticipantsRequest(room=ROOM)
        return {p.identity for p in (await livekit.room.list_participants(request)).participants}


async def test_a_second_client_of_the_same_identity_takes_the_place_of_the_first(
    server: Server,
) -> None:
    async with asyncio.timeout(180), guest(server, "bob") as other, guest(server, "ann") as first:
        await other.until("participant_connected", "ann")
        async with guest(server, "ann") as second:
            await first.until("disconnected", Reason.DUPLICATE_IDENTITY)
            ann = other.room.remote_participants["ann"]
            while ann.sid != second.room.local_participant.sid:
                other.told.clear()
                await other.told.wait()
                ann = other.room.remote_participants["ann"]
            assert await present(server) == {"ann", "bob"}
            assert (await the_room(server)).num_participants == 2


async def test_who_is_hidden_sees_and_is_not_seen_and_who_records_is_not_counted(
    server: Server,
) -> None:
    async with asyncio.timeout(180), guest(server, "ann") as ann:
        async with (
            guest(server, "spy", hidden=True) as spy,
            guest(server, "tape", hidden=True, recorder=True),
            guest(server, "bot", "agent"),
            guest(server, "bob"),
        ):
            await spy.until("participant_connected", "bob")
            await ann.until("participant_connected", "bob")
            assert set(ann.room.remote_participants) == {"bot", "bob"}
            assert set(spy.room.remote_participants) == {"ann", "bot", "bob"}
            room = await the_room(server)
            assert room.num_participants == 3, "ann, bob and the spy"
            assert room.active_recording
            assert await present(server) == {"ann", "spy", "tape", "bot", "bob"}
        await ann.until("participant_disconnected", "bob")
        assert {fact for _, fact in ann.news} == {"bot", "bob"}


async def test_a_full_room_lets_nobody_in_but_agents(server: Server) -> None:
    async with asyncio.timeout(180), server.api() as livekit:
        await livekit.room.create_room(api.CreateRoomRequest(name=ROOM, max_participants=1))
        async with guest(server, "ann"), guest(server, "bot", "agent"):
            with pytest.raises(rtc.ConnectError):
                await rtc.Room().connect(server.ws_url, token("bob"))
            assert await present(server) == {"ann", "bot"}


async def test_a_room_with_only_agents_left_closes_and_they_are_told(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(180),
        server_here(tmp_path, room__departure_timeout=1) as server,
        guest(server, "bot", "agent") as agent,
    ):
        async with guest(server, "ann"):
            await agent.until("participant_connected", "ann")
        await agent.until("disconnected", Reason.ROOM_CLOSED)
        async with server.api() as livekit:
            assert not (await livekit.room.list_rooms(api.ListRoomsRequest())).rooms


async def test_who_is_removed_and_whose_room_is_deleted_hear_why(server: Server) -> None:
    async with (
        asyncio.timeout(180),
        server.api() as livekit,
        guest(server, "ann") as ann,
        guest(server, "bob") as bob,
    ):
        identity = api.RoomParticipantIdentity(room=ROOM, identity="ann")
        await livekit.room.remove_participant(identity)
        await ann.until("disconnected", Reason.PARTICIPANT_REMOVED)
        await bob.until("participant_disconnected", "ann")
        await livekit.room.delete_room(api.DeleteRoomRequest(room=ROOM))
        await bob.until("disconnected", Reason.ROOM_DELETED)


async def test_a_room_is_made_as_the_token_and_its_preset_say(tmp_path: Path) -> None:
    presets = {"small": {"max_participants": 2, "empty_timeout": 77, "metadata": "preset"}}
    settings: dict[str, Any] = {"room__room_configurations": presets}
    async with asyncio.timeout(180), server_here(tmp_path, **settings) as server:
        made = api.AccessToken(KEY, SECRET).with_identity("ann").with_room_preset("small")
        made = made.with_grants(api.VideoGrants(room_join=True, room=ROOM))
        made = made.with_room_config(api.RoomConfiguration(departure_timeout=5, metadata="token"))
        visitor = Guest()
        await visitor.room.connect(server.ws_url, made.to_jwt())
        room = await the_room(server)
        assert (room.max_participants, room.empty_timeout, room.departure_timeout) == (2, 77, 5)
        assert room.metadata == visitor.room.metadata == "token"
        assert room.creation_time_ms // 1000 == room.creation_time
        await visitor.room.disconnect()


async def test_a_client_in_a_loop_is_held_up_and_nobody_else_notices(server: Server) -> None:
    async with asyncio.timeout(180), guest(server, "bob") as bob, guest(server, "carl") as carl:
        heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        carl.room.on("data_received", lambda packet: heard.set_result(packet.data))
        statuses = [await knock(server, "ann") for _ in range(100)]
        assert statuses[:BURST] == [101] * BURST
        assert statuses.count(429) > 50
        assert await present(server) <= {"ann", "bob", "carl"}
        await bob.room.local_participant.publish_data(b"still here")
        assert await heard == b"still here"
        assert not any(name == "disconnected" for name, _ in bob.news + carl.news)


async def knock(server: Server, identity: str) -> int:
    """Join as a client does that then goes away without a word; the status of the handshake."""
    bearer = {"Authorization": f"Bearer {token(identity)}"}
    async with aiohttp.ClientSession(headers=bearer) as session:
        try:
            async with session.ws_connect(f"{server.url}/rtc"):
                return 101
        except aiohttp.WSServerHandshakeError as refusal:
            return refusal.status
