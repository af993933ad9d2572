"""The worker socket: who is let in, how it introduces itself, and what ends the connection."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest
import websockets.exceptions
from livekit import api
from livekit.protocol import agent, models

from switchroom.agents import pool, worker as worker_module

from .house import KEY, SECRET, House, Worker


async def test_a_worker_that_registers_is_told_its_id_and_whom_it_speaks_to(house: House) -> None:
    async with house.socket() as worker:
        await worker.say(register=agent.RegisterWorkerRequest(agent_name="clerk"))
        reply = await worker.expect("register")
        assert reply.worker_id.startswith("AW_")
        assert reply.server_info.version
        assert reply.server_info.agent_protocol == 1


@pytest.mark.parametrize("grants", [{"room_list": True}, {"agent": False}])
async def test_only_a_token_with_the_agent_grant_opens_the_door(
    house: House, grants: dict[str, bool]
) -> None:
    with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
        async with house.socket(grants=grants):
            pass
    assert refused.value.response.status_code == 401
    assert refused.value.response.body == b"permissions denied"


async def test_the_token_may_come_in_the_query(house: House) -> None:
    token = api.AccessToken(KEY, SECRET).with_grants(api.VideoGrants(agent=True)).to_jwt()
    address = f"ws{house.url.removeprefix('http')}/agent?access_token={token}&protocol=1"
    async with websockets.connect(address, proxy=None) as socket:
        await Worker(socket).register("clerk")


async def test_a_worker_that_says_nothing_is_sent_away_after_ten_seconds(house: House) -> None:
    async with house.socket() as worker:
        await house.time.pass_(worker_module.REGISTER_LIMIT)
        assert await worker.closed() == "no register message in time"


async def test_anything_before_register_ends_the_connection(house: House) -> None:
    async with house.socket() as worker:
        await worker.say(ping=agent.WorkerPing(timestamp=1))
        assert await worker.closed() == "the first message must be register"


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"deployment": "blue_green"}, "a deployment holds no underscore and no space"),
        ({"deployment": "blue green"}, "a deployment holds no underscore and no space"),
        ({"agent_name": "x" * 300}, "a name is too long"),
    ],
)
async def test_a_worker_that_can_not_be_served_is_told_why(
    house: House, fields: dict[str, Any], why: str
) -> None:
    async with house.socket() as worker:
        await worker.say(register=agent.RegisterWorkerRequest(**fields))
        assert await worker.closed() == why


async def test_a_job_type_of_the_future_is_refused_by_name(house: House) -> None:
    async with house.socket() as worker:
        await worker.socket.send(b"\x0a\x02\x08\x63")  # register { type: 99 }
        assert await worker.closed() == "unknown job type"


async def test_there_is_a_limit_to_workers(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MAX_WORKERS", 1)
    async with house.worker(), house.socket() as second:
        await second.say(register=agent.RegisterWorkerRequest(agent_name="clerk"))
        assert await second.closed() == "too many workers"
    async with house.worker():
        pass


async def test_a_ping_is_answered_with_both_times(house: House) -> None:
    async with house.worker() as worker:
        await worker.say(ping=agent.WorkerPing(timestamp=123))
        pong = await worker.expect("pong")
        assert pong.last_timestamp == 123
        assert pong.timestamp == house.time.unix_ns() // 1_000_000


async def test_a_worker_that_speaks_json_is_answered_in_json(house: House) -> None:
    async with house.socket() as worker:
        await worker.socket.send(json.dumps({"register": {"agentName": "clerk"}}))
        reply = json.loads(await worker.socket.recv())
        assert reply["register"]["workerId"].startswith("AW_")
        dispatch_id = await house.dispatch()
        offered = json.loads(await worker.socket.recv())["availability"]["job"]
        assert offered["dispatchId"] == dispatch_id
        answer = {"job_id": offered["id"], "available": True}
        await worker.socket.send(json.dumps({"availability": answer}))
        assert json.loads(await worker.socket.recv())["assignment"]["token"]


async def test_messages_of_a_newer_protocol_are_passed_over(house: House) -> None:
    async with house.worker() as worker:
        await worker.socket.send(b"\xfa\x01\x02hi")  # field 31
        await worker.socket.send(json.dumps({"dance": {}}))
        await worker.say(register=agent.RegisterWorkerRequest(agent_name="another"))
        await worker.nothing()


@pytest.mark.parametrize("frame", [b"\xff\xff", "{", "[]", '{"register": 5}', "[" * 5000])
async def test_garbage_ends_the_connection_of_who_sent_it(house: House, frame: bytes | str) -> None:
    async with house.worker() as other:
        async with house.worker() as worker:
            await worker.socket.send(frame)
            assert await worker.closed() == "not a WorkerMessage"
        await other.nothing()


async def test_a_worker_that_never_stops_talking_is_sent_away(house: House) -> None:
    async with house.worker() as worker:
        ping = agent.WorkerMessage(ping=agent.WorkerPing(timestamp=1)).SerializeToString()
        reading = asyncio.ensure_future(worker.closed())
        with suppress(websockets.exceptions.ConnectionClosed):
            for _ in range(2 * int(worker_module.MESSAGES.burst)):
                await worker.socket.send(ping)
        assert await reading == "too many messages"


async def test_a_worker_that_does_not_read_is_cut_off_and_its_job_goes_to_another(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "_OUTBOX_BYTES", 1000)
    async with house.worker() as deaf:
        await house.dispatch(metadata="x" * 2000)
        with pytest.raises(websockets.exceptions.ConnectionClosedError):
            await deaf.closed()
        monkeypatch.undo()
        async with house.worker() as worker:
            assert (await worker.offer()).metadata == "x" * 2000


async def test_absent_permissions_let_an_agent_do_what_agents_do(house: House) -> None:
    async with house.worker() as worker:
        await house.dispatch()
        grants = _video((await worker.take()).token)
        assert grants.can_publish
        assert grants.can_subscribe
        assert grants.can_publish_data
        assert grants.can_update_own_metadata
        assert not grants.hidden


async def test_the_permissions_of_a_worker_are_those_of_its_agents(house: House) -> None:
    permissions = models.ParticipantPermission(can_subscribe=True, hidden=True, agent=True)
    async with house.worker(allowed_permissions=permissions) as worker:
        await house.dispatch()
        grants = _video((await worker.take()).token)
        assert (grants.can_publish, grants.can_subscribe, grants.hidden) == (False, True, True)
        assert grants.can_update_own_metadata is False


def _video(token: str) -> api.VideoGrants:
    found = api.TokenVerifier(KEY, SECRET).verify(token).video
    assert found is not None
    assert found.agent
    assert found.room_join
    return found
