"""livekit.SIP through the official Node SDK, which speaks JSON in camelCase."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from interop.json_program import JsonProgram, Refused, Told, json_program
from interop.server import KEY, SECRET, Server
from interop.sipp_phone import (
    ANSWER,
    RINGING,
    needs_sipp,
    receive,
    refusal,
    send,
    sipp_phone,
)

_PROGRAM = Path(__file__).with_name("javascript") / "sip_client.mjs"
_SDK = Path(__file__).parents[2] / ".peers/node/node_modules/livekit-server-sdk"

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(
        not _SDK.exists(), reason="livekit-server-sdk is missing: tools/set-up node"
    ),
]


@pytest.fixture
async def node(server: Server) -> AsyncIterator[JsonProgram]:
    command = ("node", _PROGRAM, server.url, KEY, SECRET)
    program = await json_program(command, Told())
    yield program
    await program.close()


async def _do(node: JsonProgram, method: str, *args: Any) -> Any:
    return await node.do(method, {"args": args})


async def _refusal(node: JsonProgram, method: str, *args: Any) -> dict[str, Any]:
    with pytest.raises(Refused) as refused:
        await _do(node, method, *args)
    facts: dict[str, Any] = json.loads(str(refused.value))
    return facts


async def test_trunks_and_rules_live_their_lives(node: JsonProgram) -> None:
    inbound = await _do(
        node,
        "createSipInboundTrunk",
        "in",
        ["+15105550100"],
        {
            "metadata": "m",
            "allowedAddresses": ["192.0.2.0/24"],
            "allowedNumbers": ["+1*"],
            "authUsername": "u",
            "authPassword": "p",
            "krispEnabled": True,
        },
    )
    trunk_id = inbound["sipTrunkId"]
    assert inbound["allowedAddresses"] == ["192.0.2.0/24"]
    fields: dict[str, Any] = {"numbers": {"add": ["+15105550101"]}, "name": "new"}
    changed = await _do(node, "updateSipInboundTrunkFields", trunk_id, fields)
    assert changed["numbers"] == ["+15105550100", "+15105550101"]
    assert (changed["name"], changed["authUsername"]) == ("new", "u")
    assert await _do(node, "listSipInboundTrunk") == [changed]
    rule = await _do(
        node,
        "createSipDispatchRule",
        {"type": "individual", "roomPrefix": "call", "pin": "12"},
        {"name": "r", "trunkIds": [trunk_id], "hidePhoneNumber": True, "attributes": {"a": "b"}},
    )
    assert rule["rule"]["dispatchRuleIndividual"] == {"roomPrefix": "call", "pin": "12"}
    assert (rule["trunkIds"], rule["hidePhoneNumber"]) == ([trunk_id], True)
    rule_id = rule["sipDispatchRuleId"]
    direct = {"case": "dispatchRuleDirect", "value": {"roomName": "lobby"}}
    fields = {"name": "s", "rule": {"rule": direct}}
    changed = await _do(node, "updateSipDispatchRuleFields", rule_id, fields)
    assert (changed["name"], changed["rule"]) == (
        "s",
        {"dispatchRuleDirect": {"roomName": "lobby"}},
    )
    assert await _do(node, "listSipDispatchRule", {"trunkIds": [trunk_id]}) == [changed]
    assert (await _do(node, "listSipTrunk"))[0]["sipTrunkId"] == trunk_id
    assert await _do(node, "deleteSipDispatchRule", rule_id) == changed
    assert await _do(node, "deleteSipTrunk", trunk_id) == {"sipTrunkId": trunk_id}
    assert await _do(node, "listSipInboundTrunk") == []


async def test_what_is_in_disorder_is_refused_as_the_sdk_can_read_it(node: JsonProgram) -> None:
    outbound = await _do(node, "createSipOutboundTrunk", "o", "sip.example.com", ["+1"])
    trunk_id = outbound["sipTrunkId"]
    for method, args, code, message in (
        ("createSipInboundTrunk", ("n", []), "invalid_argument", "for security, one of"),
        ("createSipOutboundTrunk", ("n", "", ["+1"]), "invalid_argument", "no outbound address"),
        ("createSipOutboundTrunk", ("n", "a", []), "invalid_argument", "no trunk numbers"),
        ("deleteSipTrunk", ("",), "invalid_argument", "trunk ID is required"),
        ("deleteSipDispatchRule", ("SDR_x",), "not_found", "requested sip dispatch rule does"),
        ("createSipParticipant", (trunk_id, "", "r"), "invalid_argument", "missing sip callee"),
        ("createSipParticipant", ("ST_x", "+1", "r"), "not_found", "requested sip trunk does"),
        ("transferSipParticipant", ("", "p", "tel:+1"), "invalid_argument", "Missing room name"),
        ("transferSipParticipant", ("r", "p", "+1"), "invalid_argument", "transfer_to must be"),
    ):
        refused = await _refusal(node, method, *args)
        assert (refused["code"], refused["message"][: len(message)]) == (code, message), method


@needs_sipp
async def test_a_call_is_placed_and_an_answer_waited_for(node: JsonProgram, tmp_path: Path) -> None:
    steps = [receive("INVITE"), RINGING, ANSWER, receive("ACK"), receive("BYE"), send("200 OK")]
    async with sipp_phone(tmp_path, steps) as phone:
        trunk = await _do(node, "createSipOutboundTrunk", "o", phone.address, ["+15105550100"])
        options = {"participantIdentity": "phone", "waitUntilAnswered": True, "playDialtone": True}
        dial = (trunk["sipTrunkId"], "+15105550123", "room", options)
        info = await _do(node, "createSipParticipant", *dial)
        assert info["participantIdentity"] == "phone"
        assert info["sipCallId"].startswith("SCL_")


@needs_sipp
async def test_a_refused_call_is_the_documented_error(node: JsonProgram, tmp_path: Path) -> None:
    async with sipp_phone(tmp_path, refusal("486 Busy Here")) as phone:
        trunk = await _do(node, "createSipOutboundTrunk", "o", phone.address, ["+15105550100"])
        dial = (trunk["sipTrunkId"], "+15105550123", "room", {"waitUntilAnswered": True})
        refused = await _refusal(node, "createSipParticipant", *dial)
    assert (refused["kind"], refused["code"]) == ("SipCallError", "resource_exhausted")
    assert (refused["sipStatusCode"], refused["sipStatus"]) == (486, "Busy Here")
