"""The server is stopped as planned and started again: who was there comes back by itself."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
from livekit import api, rtc

from interop.browser import chromium, needs_browser, page_server, tab
from interop.server import KEY, SECRET, Server, server_process
from interop.turns import takes_turns

pytestmark = pytest.mark.interop

PORT = 17880
SETTINGS = {"rtc__udp_port": 17882, "sip__port": 15060}
ROOM = "kept"


def token(identity: str, kind: api.AccessToken.ParticipantKind = "standard") -> str:
    grants = api.VideoGrants(room_join=True, room=ROOM)
    made = api.AccessToken(KEY, SECRET).with_identity(identity).with_grants(grants)
    return made.with_kind(kind).to_jwt()


async def terminate(server: Server, how: signal.Signals = signal.SIGTERM) -> None:
    assert server.process is not None
    server.process.send_signal(how)
    await server.process.wait()


async def test_people_come_back_to_the_room_they_were_in_and_agents_are_sent_home(
    tmp_path: Path,
) -> None:
    person, agent = rtc.Room(), rtc.Room()
    back = asyncio.Event()
    sent_home: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    person.on("reconnected", back.set)
    agent.on("disconnected", sent_home.set_result)
    async with asyncio.timeout(180):
        async with server_process(tmp_path, PORT, **SETTINGS) as server, server.api() as livekit:
            made = await livekit.room.create_room(
                api.CreateRoomRequest(name=ROOM, metadata="of old", max_participants=3)
            )
            await person.connect(server.ws_url, token("ann"))
            await agent.connect(server.ws_url, token("bot", "agent"))
            await terminate(server)
            assert await sent_home == rtc.DisconnectReason.SERVER_SHUTDOWN
        async with server_process(tmp_path, PORT, **SETTINGS) as server, server.api() as livekit:
            await back.wait()
            (room,) = (await livekit.room.list_rooms(api.ListRoomsRequest())).rooms
            assert (room.sid, room.creation_time_ms) == (made.sid, made.creation_time_ms)
            assert (room.metadata, room.max_participants) == ("of old", 3)
            assert room.num_participants == 1
            present = await livekit.room.list_participants(api.ListParticipantsRequest(room=ROOM))
            assert [info.identity for info in present.participants] == ["ann"]
            await person.disconnect()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_a_room_that_waits_for_its_agent_waits_on_after_the_restart(
    tmp_path: Path, how: signal.Signals
) -> None:
    settings = {**SETTINGS, "agents__dispatch_wait": 600}
    wanted = api.RoomAgentDispatch(agent_name="caller", metadata="+15550100")
    async with asyncio.timeout(180):
        async with server_process(tmp_path, PORT, **settings) as server, server.api() as livekit:
            await livekit.room.create_room(api.CreateRoomRequest(name=ROOM, agents=[wanted]))
            (before,) = await livekit.agent_dispatch.list_dispatch(ROOM)
            await terminate(server, how)
        async with server_process(tmp_path, PORT, **settings) as server, server.api() as livekit:
            (after,) = await livekit.agent_dispatch.list_dispatch(ROOM)
            assert (after.id, after.agent_name, after.metadata) == (
                before.id,
                "caller",
                "+15550100",
            )


@needs_browser
@takes_turns
async def test_a_browser_comes_back_too(tmp_path: Path) -> None:
    with page_server() as address:
        async with asyncio.timeout(180), chromium() as browser, tab(browser, address) as page:
            async with server_process(tmp_path, PORT, **SETTINGS) as server:
                await page.join(server.ws_url, token("ann"))
                await terminate(server)
            async with server_process(tmp_path, PORT, **SETTINGS) as server:
                await page.next("reconnected")
                async with server.api() as livekit:
                    request = api.ListParticipantsRequest(room=ROOM)
                    (back,) = (await livekit.room.list_participants(request)).participants
                assert back.identity == "ann"
                await page.js("room.disconnect()")
