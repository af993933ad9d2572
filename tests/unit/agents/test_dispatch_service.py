"""AgentDispatchService, called by the official SDK."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from typing import Any

import pytest
from livekit import api
from livekit.protocol import agent

from switchroom.agents.dispatcher import LEAVE_LIMIT
from switchroom.rooms import dispatches
from switchroom.rooms.info import RoomSpec
from switchroom.rooms.reasons import DisconnectReason
from unit.rooms.house import settle

from .house import KEY, ROOM, SECRET, House


async def test_a_dispatch_is_made_with_its_room_listed_and_deleted(house: House) -> None:
    async with house.api() as livekit:
        request = api.CreateAgentDispatchRequest(
            agent_name="clerk", room=ROOM, metadata="m", deployment="blue", attributes={"k": "v"}
        )
        made = await livekit.agent_dispatch.create_dispatch(request)
        assert made.id.startswith("AD_")
        assert (made.agent_name, made.room, made.metadata) == ("clerk", ROOM, "m")
        assert (made.deployment, dict(made.attributes)) == ("blue", {"k": "v"})
        assert made.state.created_at > 0
        (room,) = (await livekit.room.list_rooms(api.ListRoomsRequest())).rooms
        assert room.name == ROOM
        listed = await livekit.agent_dispatch.list_dispatch(ROOM)
        assert [one.agent_name for one in listed] == ["", "clerk"]
        assert await livekit.agent_dispatch.get_dispatch(made.id, ROOM) == listed[1]
        deleted = await livekit.agent_dispatch.delete_dispatch(made.id, ROOM)
        assert deleted.state.deleted_at >= deleted.state.created_at
        assert deleted.state.jobs[0].state.reason == agent.JSR_DISPATCH_DELETED
        assert await livekit.agent_dispatch.get_dispatch(made.id, ROOM) is None
        assert house.kept.dispatches.dispatches == {}


async def test_the_room_of_a_dispatch_is_there_after_a_restart(house: House) -> None:
    await house.dispatch()
    assert [*house.kept.rooms.rooms] == [ROOM]
    assert len(house.kept.dispatches.dispatches) == 1


async def test_json_in_both_spellings_is_taken_and_answered_in_snake_case(house: House) -> None:
    grants = api.VideoGrants(room_admin=True, room=ROOM)
    token = api.AccessToken(KEY, SECRET).with_grants(grants).to_jwt()

    def post(method: str, body: dict[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{house.url}/twirp/livekit.AgentDispatchService/{method}",
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as response:
            answer: dict[str, Any] = json.loads(response.read())
            return answer

    made = await asyncio.to_thread(post, "CreateDispatch", {"agentName": "a", "room": ROOM})
    assert made["agent_name"] == "a"
    assert isinstance(made["state"]["created_at"], str)
    listed = await asyncio.to_thread(
        post, "ListDispatch", {"room": ROOM, "dispatch_id": made["id"]}
    )
    assert [one["id"] for one in listed["agent_dispatches"]] == [made["id"]]


@pytest.mark.parametrize(
    ("call", "code", "message"),
    [
        ("list", "not_found", "requested room does not exist"),
        ("delete", "not_found", "requested room does not exist"),
        ("delete in a room", "not_found", "dispatch ID not found"),
        ("create nowhere", "invalid_argument", "room name is required"),
        ("metadata", "invalid_argument", "metadata exceeds 524288 bytes"),
        ("attributes", "invalid_argument", "attributes exceeds 65536 bytes"),
        ("agent name", "invalid_argument", "agent name exceeds 256 bytes"),
    ],
)
async def test_what_can_not_be_done_is_refused_in_livekits_words(
    house: House, call: str, code: str, message: str
) -> None:
    if call == "delete in a room":
        house.open()
    with pytest.raises(api.TwirpError) as refused:
        await _call_wrongly(house, call)
    assert (refused.value.code, refused.value.message) == (code, message)
    assert [*house.kept.rooms.rooms] == []


async def _call_wrongly(house: House, call: str) -> None:
    wrong: dict[str, dict[str, Any]] = {
        "create nowhere": {"room": ""},
        "metadata": {"metadata": "x" * (512 * 1024 + 1)},
        "attributes": {"attributes": {"k": "x" * 64 * 1024}},
        "agent name": {"agent_name": "x" * 257},
    }
    async with house.api() as livekit:
        dispatch = livekit.agent_dispatch
        if call == "list":
            await dispatch.list_dispatch(ROOM)
        elif call.startswith("delete"):
            await dispatch.delete_dispatch("AD_unknown", ROOM)
        else:
            fields = {"agent_name": "clerk", "room": ROOM, **wrong[call]}
            await dispatch.create_dispatch(api.CreateAgentDispatchRequest(**fields))


async def test_metadata_of_64_kib_arrives_whole(house: House) -> None:
    metadata = "ä" * (32 * 1024)
    async with house.worker() as worker:
        await house.dispatch(metadata=metadata)
        assert (await worker.take()).job.metadata == metadata


async def test_only_an_admin_of_the_room_may_ask(house: House) -> None:
    token = api.AccessToken(KEY, SECRET).with_grants(api.VideoGrants(room_admin=True, room="b"))

    def post() -> int:
        request = urllib.request.Request(
            f"{house.url}/twirp/livekit.AgentDispatchService/CreateDispatch",
            json.dumps({"room": ROOM}).encode(),
            {"Authorization": f"Bearer {token.to_jwt()}", "Content-Type": "application/json"},
        )
        try:
            urllib.request.urlopen(request)
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code
        return 200

    assert await asyncio.to_thread(post) == 401
    assert not house.rooms.exists(ROOM)


async def test_a_room_holds_a_bounded_number_of_dispatches(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatches, "MAX_DISPATCHES", 3)
    await house.dispatch()
    await house.dispatch()
    with pytest.raises(api.TwirpError) as refused:
        await house.dispatch()
    assert refused.value.code == "resource_exhausted"


async def test_deleting_a_dispatch_sends_its_agent_home(house: House) -> None:
    async with house.worker() as worker:
        dispatch_id = await house.dispatch()
        job = (await worker.take()).job
        anna, _ = house.agent(job.state.participant_identity)
        async with house.api() as livekit:
            deleting = asyncio.ensure_future(
                livekit.agent_dispatch.delete_dispatch(dispatch_id, ROOM)
            )
            assert (await worker.expect("termination")).job_id == job.id
            house.leave(anna)
            deleted = await deleting
        assert deleted.state.jobs[0].state.status == agent.JS_CANCELLED


async def test_an_agent_that_does_not_go_home_is_removed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("switchroom.agents.dispatcher.LEAVE_LIMIT", 0.01)
    assert LEAVE_LIMIT == 3.0
    async with house.worker() as worker:
        dispatch_id = await house.dispatch()
        anna, member = house.agent((await worker.take()).job.state.participant_identity)
        async with house.api() as livekit:
            await livekit.agent_dispatch.delete_dispatch(dispatch_id, ROOM)
        assert anna.gone
        assert member.closed == [DisconnectReason.PARTICIPANT_REMOVED]


async def test_a_dispatch_that_is_deleted_while_a_worker_is_asked_is_not_assigned(
    house: House,
) -> None:
    async with house.worker() as worker:
        dispatch_id = await house.dispatch()
        job = await worker.offer()
        async with house.api() as livekit:
            await livekit.agent_dispatch.delete_dispatch(dispatch_id, ROOM)
        await worker.answer(job)
        await worker.nothing()


async def test_without_auto_create_there_is_no_dispatch_into_a_missing_room(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    object.__setattr__(house.rooms.config.room, "auto_create", False)
    with pytest.raises(api.TwirpError) as refused:
        await house.dispatch()
    assert refused.value.code == "not_found"
    await house.rooms.create(RoomSpec(ROOM))
    await house.dispatch()


async def test_a_finished_room_leaves_nothing_behind(house: House) -> None:
    async with house.worker() as worker:
        await house.dispatch()
        await worker.take()
        await house.rooms.delete(ROOM)
        await settle()
    assert house.kept.dispatches.dispatches == {}
    assert house.kept.dispatches.jobs == {}
    assert house.agents._watches == {}
