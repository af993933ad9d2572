"""Webhooks as LiveKit's own receivers take them, through crashes of either side."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from livekit import api, rtc

from interop.hearing import Voice
from interop.server import Server, call_to, in_database, server_here, server_process
from interop.webhook_receiver import Hook, node_receiver, python_receiver
from switchroom.phonenet.client import PhoneNetwork
from switchroom.phonenet.events import Answered

pytestmark = pytest.mark.interop

_NODE_PACKAGE = Path(__file__).parents[2] / ".peers/node/node_modules/livekit-server-sdk"
needs_node = pytest.mark.skipif(
    not _NODE_PACKAGE.exists(), reason="livekit-server-sdk is missing: tools/set-up peers"
)
PORT, HOOK_PORT = 17880, 17890
LISTENER = "+12025550103"
VISIT = [
    "room_started",
    "participant_joined",
    "track_published",
    "track_unpublished",
    "participant_left",
    "room_finished",
]
CALL = ["sip_call_started", "sip_call_answered", "sip_call_ended"]


async def visit(server: Server, room_name: str, hook: Hook) -> None:
    """Somebody comes, speaks and leaves, and the room is deleted."""
    room, voice = rtc.Room(), Voice(440, -20)
    await room.connect(server.ws_url, server.token("ann", room_name))
    await room.local_participant.publish_track(voice.track)
    await hook.until("track_published")
    await room.disconnect()
    async with server.api() as livekit:
        await livekit.room.delete_room(api.DeleteRoomRequest(room=room_name))


@asynccontextmanager
async def server_telling(data: Path, *hooks: Hook) -> AsyncIterator[Server]:
    async with server_here(data, webhook__urls=[hook.url for hook in hooks]) as server:
        yield server


@needs_node
async def test_both_official_receivers_take_every_event_of_a_visit_in_order(
    tmp_path: Path,
) -> None:
    async with (
        asyncio.timeout(180),
        python_receiver() as in_python,
        node_receiver() as in_node,
        server_telling(tmp_path, in_python, in_node) as server,
    ):
        await visit(server, "bühne", in_python)
        for hook in (in_python, in_node):
            await hook.until("room_finished")
            assert hook.names("bühne") == VISIT
            joined, left = hook.events[1], hook.events[4]
            assert joined["participant"]["identity"] == "ann"
            assert joined["participant"]["state"] == "ACTIVE"
            assert joined["room"]["numParticipants"] == 1
            assert left["participant"]["disconnectReason"] == "CLIENT_INITIATED"
        assert [e["id"] for e in in_python.events] == [e["id"] for e in in_node.events]
        assert in_python.events[-1]["roomEndReason"] == "ROOM_END_API_DELETE"


async def test_one_that_never_gets_its_media_up_is_told_as_aborted(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(180),
        python_receiver() as hook,
        server_telling(tmp_path, hook) as server,
    ):
        bearer = {"Authorization": f"Bearer {server.token('ann', 'r')}"}
        async with (
            aiohttp.ClientSession(headers=bearer) as session,
            session.ws_connect(f"{server.url}/rtc") as socket,
        ):
            await socket.receive_bytes()
        await hook.until("participant_connection_aborted")
        assert hook.names("r") == ["room_started", "participant_connection_aborted"]
        assert hook.events[1]["participant"]["disconnectReason"] == "SIGNAL_CLOSE"


@needs_node
async def test_a_job_that_no_worker_took_is_told_to_both_official_receivers(
    tmp_path: Path,
) -> None:
    async with (
        asyncio.timeout(180),
        python_receiver() as in_python,
        node_receiver() as in_node,
        server_here(
            tmp_path, webhook__urls=[in_python.url, in_node.url], agents__dispatch_wait="100ms"
        ) as server,
        server.api() as livekit,
    ):
        wanted = api.RoomAgentDispatch(agent_name="nobody")
        await livekit.room.create_room(api.CreateRoomRequest(name="r", agents=[wanted]))
        for hook in (in_python, in_node):
            await hook.until("agent_job_ended")
            job = hook.events[-1]["job"]
            assert (job["agentName"], job["room"]["name"]) == ("nobody", "r")
            assert job["state"]["error"]


async def test_a_phone_call_is_told_from_the_first_ring_to_the_hang_up(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(180),
        PhoneNetwork() as network,
        python_receiver() as hook,
        server_telling(tmp_path, hook) as server,
        server.api() as livekit,
    ):
        await livekit.sip.create_sip_participant(call_to(LISTENER, network.address, "call"))
        await network.expect(Answered)
        await livekit.room.delete_room(api.DeleteRoomRequest(room="call"))
        await hook.until("room_finished")
        await hook.until("sip_call_ended")
        told = hook.names("call")
        assert [name for name in told if not name.startswith("sip_call")] == VISIT
        assert [name for name in told if name.startswith("sip_call")] == CALL
        joined, left = (
            next(event["participant"] for event in hook.events if event["event"] == name)
            for name in ("participant_joined", "participant_left")
        )
        assert (joined["kind"], joined["attributes"]["sip.callStatus"]) == ("SIP", "dialing")
        assert (left["kind"], left["attributes"]["sip.callStatus"]) == ("SIP", "hangup")
        assert left["disconnectReason"] == "ROOM_DELETED"
        assert left["attributes"]["sip.callID"] == joined["attributes"]["sip.callID"]


def kept(data: Path) -> list[str]:
    """The ids of what is not delivered yet."""
    return in_database(data, "SELECT event_id FROM webhook_deliveries ORDER BY sequence")


def announced(data: Path) -> int:
    """How many rooms and participants there are whose end is to be told."""
    return len(in_database(data, "SELECT room_sid FROM webhook_announcements"))


async def test_what_a_killed_server_had_not_delivered_arrives_after_its_restart(
    tmp_path: Path,
) -> None:
    settings = {
        "rtc__udp_port": 17892,
        "sip__port": 15080,
        "webhook__urls": [f"http://127.0.0.1:{HOOK_PORT}/livekit"],
    }
    names = [f"room-{n}" for n in range(20)]
    async with asyncio.timeout(180):
        async with server_process(tmp_path, PORT, **settings) as server, server.api() as livekit:
            for name in names:
                await livekit.room.create_room(api.CreateRoomRequest(name=name))
                await livekit.room.delete_room(api.DeleteRoomRequest(room=name))
            while len(before := kept(tmp_path)) < 2 * len(names):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.02)
            assert server.process is not None
            server.process.send_signal(signal.SIGKILL)
            await server.process.wait()
        async with (
            python_receiver(HOOK_PORT) as hook,
            server_process(tmp_path, PORT, **settings),
        ):
            await hook.until("room_finished", len(names))
            while kept(tmp_path):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.02)
    for name in names:
        assert hook.names(name) == ["room_started", "room_finished"]
    assert {event["id"] for event in hook.events} == set(before)


async def test_who_was_in_a_room_of_a_killed_server_is_told_as_gone_after_its_restart(
    tmp_path: Path,
) -> None:
    room = rtc.Room()
    async with asyncio.timeout(180), python_receiver() as hook:
        settings = {"rtc__udp_port": 17892, "sip__port": 15080, "webhook__urls": [hook.url]}
        async with server_process(tmp_path, PORT, **settings) as server:
            await room.connect(server.ws_url, server.token("ann", "r"))
            await hook.until("participant_joined")
            while announced(tmp_path) < 2:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.02)
            assert server.process is not None
            server.process.send_signal(signal.SIGKILL)
            await server.process.wait()
            await room.disconnect()
        async with server_process(tmp_path, PORT, **settings):
            await hook.until("room_finished")
    assert hook.names("r") == [
        "room_started",
        "participant_joined",
        "participant_left",
        "room_finished",
    ]
    # What was delivered in the moment of the kill may have come twice.
    left = next(event for event in hook.events if event["event"] == "participant_left")
    assert left["participant"]["disconnectReason"] == "SERVER_SHUTDOWN"
