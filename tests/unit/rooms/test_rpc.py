"""The server calls a participant's method: answered, refused, too late, or gone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from livekit.protocol import models

from switchroom.base.errors import ErrorCode, ServiceError
from switchroom.media import DataReceived
from switchroom.rooms.rpc import ACK_LIMIT, MAX_PAYLOAD, RpcFailed

from .clients import Client, Door
from .house import House, settle


async def begin(house: House, identity: str = "ann", payload: str = "in") -> asyncio.Task[str]:
    call = asyncio.ensure_future(house.rooms.call_method("r", identity, "greet", payload, 10.0))
    await settle()
    return call


def asked(client: Client) -> models.DataPacket:
    label, payload = client.peer.sent[-1]
    assert label == "_reliable"
    return models.DataPacket.FromString(payload)


def answer(client: Client, **content: Any) -> None:
    """As clients do: acknowledge, and respond, to whoever asked."""
    packet = models.DataPacket(destination_identities=["ann"], **content)
    client.peer.event(DataReceived("_reliable", packet.SerializeToString()))


def acknowledge(client: Client) -> str:
    request_id = asked(client).rpc_request.id
    answer(client, rpc_ack=models.RpcAck(request_id=request_id))
    return request_id


async def failure(call: asyncio.Task[str]) -> tuple[ErrorCode, str]:
    await settle()
    assert call.done()
    with pytest.raises(RpcFailed) as failed:
        await call
    return failed.value.code, failed.value.meta["rpc_code"]


async def test_a_client_is_asked_and_its_answer_returned(door: Door, house: House) -> None:
    ann, bob = await door.join("ann"), await door.join("bob")
    call = await begin(house)
    packet = asked(ann)
    assert (packet.rpc_request.method, packet.rpc_request.payload) == ("greet", "in")
    assert (packet.rpc_request.version, packet.rpc_request.response_timeout_ms) == (1, 8000)
    assert packet.participant_identity == "ann", "clients answer to whom they are asked by"
    request_id = acknowledge(ann)
    await house.time.pass_(9.9)
    deadlines = house.time.pending
    answer(ann, rpc_response=models.RpcResponse(request_id=request_id, payload="out"))
    assert await call == "out"
    assert bob.peer.sent == []
    assert ann.peer.sent[1:] == []
    assert house.time.pending == deadlines - 1


async def test_a_client_that_does_not_acknowledge_is_given_up_soon(
    door: Door, house: House
) -> None:
    await door.join("ann")
    call = await begin(house)
    await house.time.pass_(ACK_LIMIT)
    assert await failure(call) == (ErrorCode.DEADLINE_EXCEEDED, "1501")


async def test_a_method_that_takes_too_long_is_given_up(door: Door, house: House) -> None:
    ann = await door.join("ann")
    call = await begin(house)
    acknowledge(ann)
    await house.time.pass_(10)
    assert await failure(call) == (ErrorCode.DEADLINE_EXCEEDED, "1502")


async def test_acknowledging_again_gives_a_method_no_more_time(door: Door, house: House) -> None:
    ann = await door.join("ann")
    call = await begin(house)
    acknowledge(ann)
    await house.time.pass_(9.0)
    acknowledge(ann)
    await house.time.pass_(1.1)
    assert await failure(call) == (ErrorCode.DEADLINE_EXCEEDED, "1502")


async def test_a_method_may_fail_with_a_code_and_data_of_its_own(door: Door, house: House) -> None:
    ann = await door.join("ann")
    call = await begin(house)
    error = models.RpcError(code=77, message="no time", data="{}")
    request_id = acknowledge(ann)
    answer(ann, rpc_response=models.RpcResponse(request_id=request_id, error=error))
    await settle()
    with pytest.raises(RpcFailed, match="no time") as failed:
        await call
    assert dict(failed.value.meta) == {"rpc_code": "77", "rpc_data": "{}"}
    assert failed.value.code is ErrorCode.UNKNOWN


async def test_who_leaves_before_the_answer_is_named(door: Door, house: House) -> None:
    ann = await door.join("ann")
    call = await begin(house)
    acknowledge(ann)
    await house.rooms.remove_participant("r", "ann")
    assert await failure(call) == (ErrorCode.UNAVAILABLE, "1503")


async def test_a_phone_has_no_methods_and_says_so_at_once(door: Door, house: House) -> None:
    ann = await door.join("ann")
    await house.phone("tel")
    assert await failure(await begin(house, "tel")) == (ErrorCode.UNIMPLEMENTED, "1400")
    request = models.RpcRequest(id="1", method="m", payload="", version=1)
    packet = models.DataPacket(destination_identities=["tel"], rpc_request=request)
    ann.peer.event(DataReceived("_reliable", packet.SerializeToString()))
    ack, response = [models.DataPacket.FromString(sent) for _, sent in ann.peer.sent]
    assert ack.rpc_ack.request_id == response.rpc_response.request_id == "1"
    assert response.rpc_response.error.code == 1400
    assert response.participant_identity == "tel"


async def test_others_cannot_answer_for_somebody(door: Door, house: House) -> None:
    ann, bob = await door.join("ann"), await door.join("bob")
    call = await begin(house)
    request_id = asked(ann).rpc_request.id
    answer(bob, rpc_response=models.RpcResponse(request_id=request_id, payload="forged"))
    await settle()
    assert not call.done()
    await house.time.pass_(ACK_LIMIT)
    assert await failure(call) == (ErrorCode.DEADLINE_EXCEEDED, "1501")


async def test_what_is_too_big_or_for_nobody_is_refused(door: Door, house: House) -> None:
    await door.join("ann")
    big = await begin(house, payload="x" * (MAX_PAYLOAD + 1))
    assert await failure(big) == (ErrorCode.INVALID_ARGUMENT, "1402")
    with pytest.raises(ServiceError, match="participant does not exist"):
        await begin_and_wait(house)


async def begin_and_wait(house: House) -> None:
    await (await begin(house, "nobody"))


async def test_a_caller_that_goes_away_leaves_nothing_behind(door: Door, house: House) -> None:
    ann = await door.join("ann")
    call = await begin(house)
    call.cancel()
    await settle()
    assert len(house.room()._calls) == 0
    request_id = acknowledge(ann)
    answer(ann, rpc_response=models.RpcResponse(request_id=request_id, payload="late"))
