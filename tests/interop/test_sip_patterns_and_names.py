"""A caller through trunks and rules that the SDK made: patterns, names, agents, statuses."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from livekit import api
from livekit.protocol import models, sip as wire

from interop.peer_process import free_port
from interop.server import server_here
from interop.sipp_caller import CALLER, RINGING, TRYING, expect, invite, request, sipp_calls
from interop.sipp_phone import needs_sipp

pytestmark = [pytest.mark.interop, needs_sipp]

#: A refusal is acknowledged within the INVITE's transaction.
_ACK = request("ACK").replace("[branch]", "[branch-2]")
_HASH = hashlib.sha256(CALLER.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class _House:
    lk: api.LiveKitAPI
    address: str

    async def trunk(self, **fields: Any) -> str:
        info = api.SIPInboundTrunkInfo(**fields)
        asked = api.CreateSIPInboundTrunkRequest(trunk=info)
        return (await self.lk.sip.create_inbound_trunk(asked)).sip_trunk_id

    async def rule(self, rule: api.SIPDispatchRule, **fields: Any) -> str:
        info = api.SIPDispatchRuleInfo(rule=rule, **fields)
        asked = api.CreateSIPDispatchRuleRequest(dispatch_rule=info)
        return (await self.lk.sip.create_dispatch_rule(asked)).sip_dispatch_rule_id

    async def caller(self) -> tuple[str, models.ParticipantInfo]:
        """The room and the phone in it, as soon as there is one."""
        while True:
            for room in (await self.lk.room.list_rooms(api.ListRoomsRequest())).rooms:
                listing = api.ListParticipantsRequest(room=room.name)
                found = (await self.lk.room.list_participants(listing)).participants
                for one in found:
                    if one.kind == models.ParticipantInfo.Kind.SIP:
                        return room.name, one


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[_House]:
    port = free_port()
    async with server_here(tmp_path, sip__port=port) as server, server.api() as lk:
        yield _House(lk, f"127.0.0.1:{port}")


@asynccontextmanager
async def _calling(
    house: _House, folder: Path, number: str, status: int
) -> AsyncIterator[asyncio.Task[str]]:
    """A call that rings until the server ends it with that status."""
    steps = [invite(), TRYING, RINGING, *[expect(180, optional=True)] * 3, expect(status), _ACK]
    calling = asyncio.ensure_future(sipp_calls(folder, number, house.address, steps))
    try:
        async with asyncio.timeout(180):
            yield calling
    finally:
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)


async def test_a_hidden_caller_rings_in_a_room_of_its_own_with_the_rules_agents(
    house: _House, tmp_path: Path
) -> None:
    wide = await house.trunk(numbers=["+1*"])
    trunk = await house.trunk(
        numbers=["1 (510) 555-????"],
        allowed_addresses=["127.0.0.0/8"],
        ringing_timeout=Duration(seconds=5),
        ringing_timeout_status=wire.SIPStatusCode.SIP_STATUS_TEMPORARILY_UNAVAILABLE,
    )
    individual = api.SIPDispatchRuleIndividual(room_prefix="call")
    rule = await house.rule(
        api.SIPDispatchRule(dispatch_rule_individual=individual),
        trunk_ids=[trunk],
        hide_phone_number=True,
        inbound_numbers=["+1510555*"],
        metadata="m",
        attributes={"tier": "gold"},
        room_config=api.RoomConfiguration(
            metadata="of the room",
            agents=[api.RoomAgentDispatch(agent_name="inbound", metadata="job")],
        ),
    )
    async with _calling(house, tmp_path, "+15105550100", 480) as calling:
        room, phone = await house.caller()
        dispatches = await house.lk.agent_dispatch.list_dispatch(room_name=room)
        (about,) = (await house.lk.room.list_rooms(api.ListRoomsRequest(names=[room]))).rooms
        assert not await calling
    assert room.startswith("call_0123_")
    assert len(room) == len("call_0123_") + 12
    assert about.metadata == "of the room"
    assert [(one.agent_name, one.metadata) for one in dispatches] == [("inbound", "job")]
    assert (phone.identity, phone.name, phone.metadata) == (f"sip_{_HASH}", "Phone 0123", "m")
    attributes = dict(phone.attributes)
    assert attributes["tier"] == "gold"
    assert (attributes["sip.trunkID"], attributes["sip.ruleID"]) == (trunk, rule)
    assert attributes["sip.callStatus"] == "ringing"
    assert wide not in attributes.values()
    assert not {"sip.phoneNumber", "sip.trunkPhoneNumber", "sip.hostname"} & set(attributes)


async def test_a_callee_rule_of_a_wide_trunk_names_the_room_by_what_was_called(
    house: _House, tmp_path: Path
) -> None:
    trunk = await house.trunk(numbers=["+1*"], ringing_timeout=Duration(seconds=4))
    callee = api.SIPDispatchRuleCallee(room_prefix="line")
    await house.rule(api.SIPDispatchRule(dispatch_rule_callee=callee))
    async with _calling(house, tmp_path, "+15105550177", 486) as calling:
        room, phone = await house.caller()
        assert not await calling
    assert (room, phone.identity) == ("line_+15105550177", f"sip_{CALLER}")
    attributes = dict(phone.attributes)
    assert attributes["sip.phoneNumber"] == CALLER
    assert attributes["sip.trunkPhoneNumber"] == "+15105550177"
    assert (attributes["sip.hostname"], attributes["sip.trunkID"]) == ("127.0.0.1", trunk)
