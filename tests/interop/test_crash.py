"""The server is killed in the middle of a call and started again."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
from livekit import api

from interop.server import Server, call_to, database_url, in_database, server_process
from switchroom.phonenet.client import PhoneNetwork
from switchroom.phonenet.events import Answered, Called, Ended, Ringing
from switchroom.storage.calls import SqlCallStore
from switchroom.storage.connection import Database
from switchroom.telephony.calls.call_record import CallRecord
from switchroom.telephony.calls.termination import Cause

pytestmark = pytest.mark.interop

PORT = 17880
SETTINGS = {"rtc__udp_port": 17882, "sip__port": 15060}
ROOM = "crash"
LISTENER, NOBODY_HOME = "+12025550103", "+12025550110"


async def recorded(data: Path, call_id: str) -> CallRecord:
    """What the database holds of a call once no server has it open."""
    database = Database(database_url(data))
    await database.open()
    try:
        record = await SqlCallStore(database).get(call_id)
        assert record is not None
        return record
    finally:
        await database.close()


async def answer_is_on_disk(data: Path) -> None:
    """Until the answer of the only call is: news of calls are written a moment later, together."""
    query = "SELECT answered_at FROM calls WHERE answered_at > 0"
    while not in_database(data, query):  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.02)


async def kill(server: Server) -> None:
    assert server.process is not None
    server.process.send_signal(signal.SIGKILL)
    await server.process.wait()


async def test_after_a_crash_the_phone_gets_its_bye_and_nobody_is_dialled_again(
    tmp_path: Path,
) -> None:
    async with asyncio.timeout(180), PhoneNetwork() as network:
        async with server_process(tmp_path, PORT, **SETTINGS) as server, server.api() as livekit:
            placed = await livekit.sip.create_sip_participant(
                call_to(LISTENER, network.address, ROOM)
            )
            answered = await network.expect(Answered)
            await answer_is_on_disk(tmp_path)
            await kill(server)
        async with server_process(tmp_path, PORT, **SETTINGS) as server, server.api() as livekit:
            ended = await network.expect(Ended, call=answered.call)
            assert (ended.by, ended.number) == ("caller", LISTENER)
            rooms = await livekit.room.list_rooms(api.ListRoomsRequest())
            assert not rooms.rooms
        assert sum(isinstance(event, Called) for event in network.events) == 1
    record = await recorded(tmp_path, placed.sip_call_id)
    assert record.answered_at > 0
    assert record.termination is not None
    assert record.termination.cause is Cause.SERVER_RESTART


async def test_a_dial_that_a_crash_cut_off_is_not_taken_up_again(tmp_path: Path) -> None:
    async with asyncio.timeout(180), PhoneNetwork() as network:
        async with server_process(tmp_path, PORT, **SETTINGS) as server, server.api() as livekit:
            await livekit.sip.create_sip_participant(
                call_to(NOBODY_HOME, network.address, ROOM, wait=False)
            )
            await network.expect(Ringing)
            await kill(server)
        async with server_process(tmp_path, PORT, **SETTINGS) as server, server.api() as livekit:
            # A call placed now is the next thing that the network hears.
            await livekit.sip.create_sip_participant(call_to(LISTENER, network.address, ROOM))
            await network.expect(Answered)
        called = [event.number for event in network.events if isinstance(event, Called)]
        assert called == [NOBODY_HOME, LISTENER]
