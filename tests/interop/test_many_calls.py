"""Hundreds of calls, ended in every way: afterwards nothing of them is left."""

from __future__ import annotations

import asyncio
import gc
import os
from pathlib import Path

import pytest
from livekit import api

from interop.four_phones import BUSY, HASTY, PATIENT, PHONES, RINGING
from interop.server import Server
from interop.turns import takes_turns
from switchroom.phonenet.client import PhoneNetwork
from switchroom.phonenet.events import Called, Ended

pytestmark = [pytest.mark.interop, takes_turns]

AT_ONCE = 20


class Caller:
    """Places calls with the official SDK and ends them."""

    def __init__(self, livekit: api.LiveKitAPI, carrier: str) -> None:
        self._livekit = livekit
        self._carrier = carrier

    async def call(self, number: int) -> None:
        """The n-th call, in a room of its own."""
        ways = (self.delete_room, self.remove, self.let_hang_up, self.run_out, self.refused)
        await ways[number % len(ways)](f"room-{number}")

    async def delete_room(self, room: str) -> None:
        await self._place(PATIENT, room)
        await self._livekit.room.delete_room(api.DeleteRoomRequest(room=room))

    async def remove(self, room: str) -> None:
        await self._place(RINGING, room, wait_until_answered=False)
        who = api.RoomParticipantIdentity(room=room, identity="phone")
        await self._livekit.room.remove_participant(who)
        await self._livekit.room.delete_room(api.DeleteRoomRequest(room=room))

    async def let_hang_up(self, room: str) -> None:
        await self._place(HASTY, room)

    async def run_out(self, room: str) -> None:
        limit = api.CreateSIPParticipantRequest()
        limit.max_call_duration.FromSeconds(1)
        await self._place(PATIENT, room, max_call_duration=limit.max_call_duration)

    async def refused(self, room: str) -> None:
        with pytest.raises(api.SipCallError) as refusal:
            await self._place(BUSY, room)
        assert refusal.value.metadata["sip_status_code"] == "486"

    async def _place(self, number: str, room: str, **more: object) -> None:
        request = api.CreateSIPParticipantRequest(
            trunk=api.SIPOutboundConfig(hostname=self._carrier),
            sip_number="+15550000000",
            sip_call_to=number,
            room_name=room,
            participant_identity="phone",
            **{"wait_until_answered": True, **more},  # type: ignore[arg-type]
        )
        await self._livekit.sip.create_sip_participant(request)


async def place_and_look_for_what_is_left(server: Server, tmp_path: Path, calls: int) -> None:
    numbers = tmp_path / "phones.py"
    numbers.write_text(PHONES)
    assert server.app is not None
    seen: set[str] = set()
    async with PhoneNetwork(numbers=numbers) as network, server.api() as livekit:
        caller = Caller(livekit, network.address)
        # The first calls make what is kept on purpose: connections, caches, worker threads.
        await asyncio.gather(*(caller.call(n) for n in range(AT_ONCE)))
        await server.app.telephony.running.until_idle(90)
        await all_ended(network, seen)
        tasks, descriptors = asyncio.all_tasks(), open_descriptors()
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(n: int) -> None:
            async with gate:
                await caller.call(n)

        await asyncio.gather(*(one(n) for n in range(AT_ONCE, calls)))
        await server.app.telephony.running.until_idle(90)
        await all_ended(network, seen)
        if new := asyncio.all_tasks() - tasks:
            _, left = await asyncio.wait(new, timeout=90)
            assert not left
        # Connections of the SDK that nobody uses are closed after a while.
        while open_descriptors() > descriptors:  # noqa: ASYNC110  a closed socket tells nobody
            await asyncio.sleep(0.5)
        stats = await server.app.engine.stats()
        assert (stats.legs, stats.peers) == ((), ())
        assert (stats.players, stats.sources, stats.sinks) == (0, 0, 0)


async def all_ended(network: PhoneNetwork, seen: set[str]) -> None:
    """Every phone that was called has had its call's end."""
    called = {event.call for event in network.events if isinstance(event, Called)} - seen
    for call in called:
        await network.expect(Ended, call=call)
    seen |= called


def open_descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


async def test_after_three_hundred_calls_nothing_is_left(server: Server, tmp_path: Path) -> None:
    async with asyncio.timeout(180):
        await place_and_look_for_what_is_left(server, tmp_path, 300)
