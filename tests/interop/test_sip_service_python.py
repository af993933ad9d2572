"""livekit.SIP through the official Python SDK: trunks and rules made, changed, refused and kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from livekit import api
from livekit.protocol import models

from interop.server import KEY, SECRET, Server, server_here

pytestmark = pytest.mark.interop

_SECURITY = (
    "for security, one of the fields must be set: "
    "AuthUsername+AuthPassword, AllowedAddresses or Numbers"
)


@pytest.fixture
async def lk(server: Server) -> AsyncIterator[api.LiveKitAPI]:
    client = server.api()
    yield client
    await client.aclose()


def _inbound(**fields: Any) -> api.CreateSIPInboundTrunkRequest:
    return api.CreateSIPInboundTrunkRequest(trunk=api.SIPInboundTrunkInfo(**fields))


def _outbound(**fields: Any) -> api.CreateSIPOutboundTrunkRequest:
    return api.CreateSIPOutboundTrunkRequest(trunk=api.SIPOutboundTrunkInfo(**fields))


def _rule(**fields: Any) -> api.CreateSIPDispatchRuleRequest:
    individual = api.SIPDispatchRule(
        dispatch_rule_individual=api.SIPDispatchRuleIndividual(room_prefix="call-")
    )
    info = api.SIPDispatchRuleInfo(**{"rule": individual, **fields})
    return api.CreateSIPDispatchRuleRequest(dispatch_rule=info)


async def _refusal(asking: Awaitable[object]) -> tuple[str, str]:
    with pytest.raises(api.TwirpError) as refused:
        await asking
    return refused.value.code, refused.value.message


async def test_an_inbound_trunk_lives_its_life(lk: api.LiveKitAPI) -> None:
    trunk = await lk.sip.create_inbound_trunk(_inbound(name="in", numbers=["+15105550100"]))
    assert trunk.sip_trunk_id.startswith("ST_")
    changed = await lk.sip.update_inbound_trunk_fields(
        trunk.sip_trunk_id,
        numbers=api.ListUpdate(add=["+15105550101"]),
        allowed_addresses=["192.0.2.0/24"],
        auth_username="u",
        auth_password="p",
        name="new",
        metadata="m",
    )
    assert list(changed.numbers) == ["+15105550100", "+15105550101"]
    assert list(changed.allowed_addresses) == ["192.0.2.0/24"]
    assert (changed.name, changed.auth_username, changed.metadata) == ("new", "u", "m")
    replaced = await lk.sip.update_inbound_trunk(
        trunk.sip_trunk_id, api.SIPInboundTrunkInfo(numbers=["+1*"])
    )
    assert (list(replaced.numbers), replaced.name) == (["+1*"], "")
    listed = await lk.sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest(numbers=["+15105"]))
    assert list(listed.items) == [replaced]
    gone = await lk.sip.delete_trunk(api.DeleteSIPTrunkRequest(sip_trunk_id=trunk.sip_trunk_id))
    assert gone == api.SIPTrunkInfo(sip_trunk_id=trunk.sip_trunk_id)
    assert not (await lk.sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest())).items


async def test_an_outbound_trunk_lives_its_life(lk: api.LiveKitAPI) -> None:
    trunk = await lk.sip.create_outbound_trunk(
        _outbound(name="out", address="sip:sip.example.com", numbers=["+1"])
    )
    assert trunk.address == "sip.example.com"
    changed = await lk.sip.update_outbound_trunk_fields(
        trunk.sip_trunk_id, address="b.example.com", numbers=["+2"], auth_username="u"
    )
    assert (changed.address, list(changed.numbers)) == ("b.example.com", ["+2"])
    replaced = await lk.sip.update_outbound_trunk(
        trunk.sip_trunk_id, api.SIPOutboundTrunkInfo(address="c.example.com", numbers=["+3"])
    )
    assert (replaced.address, replaced.auth_username) == ("c.example.com", "")
    listed = await lk.sip.list_outbound_trunk(api.ListSIPOutboundTrunkRequest())
    assert list(listed.items) == [replaced]


async def test_an_outbound_trunk_by_the_older_name_of_the_method(lk: api.LiveKitAPI) -> None:
    """As courses have it: the SDK warns, and the address has a scheme."""
    wanted = _outbound(
        name="My", address="sip:trunk.provider.com", numbers=["+15551234567"], auth_username="u"
    )
    with pytest.deprecated_call():
        trunk = await lk.sip.create_sip_outbound_trunk(wanted)
    assert trunk.sip_trunk_id.startswith("ST_")
    assert trunk.address == "trunk.provider.com"


async def test_a_dispatch_rule_lives_its_life(lk: api.LiveKitAPI) -> None:
    config = api.RoomConfiguration(
        agents=[api.RoomAgentDispatch(agent_name="inbound", metadata="m")]
    )
    rule = await lk.sip.create_dispatch_rule(
        _rule(name="r", trunk_ids=["ST_1"], attributes={"a": "1"}, room_config=config)
    )
    assert rule.sip_dispatch_rule_id.startswith("SDR_")
    assert rule.room_config == config
    direct = api.SIPDispatchRule(dispatch_rule_direct=api.SIPDispatchRuleDirect(room_name="lobby"))
    changed = await lk.sip.update_dispatch_rule_fields(
        rule.sip_dispatch_rule_id, rule=direct, name="new", attributes={"a": "", "b": "2"}
    )
    assert (changed.rule, changed.name, dict(changed.attributes)) == (direct, "new", {"b": "2"})
    assert changed.room_config == config
    replaced = await lk.sip.update_dispatch_rule(
        rule.sip_dispatch_rule_id, api.SIPDispatchRuleInfo(rule=direct, numbers=["+1*"])
    )
    assert (list(replaced.trunk_ids), list(replaced.numbers)) == ([], ["+1*"])
    listed = await lk.sip.list_dispatch_rule(api.ListSIPDispatchRuleRequest(trunk_ids=["ST_9"]))
    assert list(listed.items) == [replaced]
    gone = await lk.sip.delete_dispatch_rule(
        api.DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=rule.sip_dispatch_rule_id)
    )
    assert gone == replaced


async def test_the_flat_form_of_older_scripts_makes_a_rule(lk: api.LiveKitAPI) -> None:
    rule = await lk.sip.create_dispatch_rule(
        api.CreateSIPDispatchRuleRequest(
            rule=api.SIPDispatchRule(
                dispatch_rule_direct=api.SIPDispatchRuleDirect(room_name="lobby", pin="1234")
            ),
            trunk_ids=["ST_1"],
            name="old",
            hide_phone_number=True,
        )
    )
    assert (rule.name, list(rule.trunk_ids), rule.hide_phone_number) == ("old", ["ST_1"], True)
    assert rule.rule.dispatch_rule_direct.pin == "1234"


_BAD_INBOUND: list[tuple[dict[str, Any], str]] = [
    ({}, _SECURITY),
    ({"allowed_numbers": ["+1"]}, _SECURITY),
    ({"sip_trunk_id": "ST_x", "numbers": ["+1"]}, "trunk id must not be set"),
    (
        {"numbers": ["+1"], "headers": {"Via": "x", "": "y"}},
        "invalid header name: name must not be empty",
    ),
    (
        {"numbers": ["+1"], "headers": {"X-A": "a\r\nX-B: b"}},
        "invalid header value for X-A: unprintable character",
    ),
    (
        {"numbers": ["+1"], "media": api.SIPMediaConfig(codecs=[api.SIPCodec(name="a b")])},
        "invalid codec name",
    ),
]


async def test_an_inbound_trunk_in_disorder_is_refused(lk: api.LiveKitAPI) -> None:
    for fields, text in _BAD_INBOUND:
        refusal = await _refusal(lk.sip.create_inbound_trunk(_inbound(**fields)))
        assert refusal == ("invalid_argument", text)
    assert not (await lk.sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest())).items


_BAD_OUTBOUND: list[tuple[dict[str, Any], str]] = [
    ({"numbers": ["+1"]}, "no outbound address specified"),
    ({"address": "a"}, "no trunk numbers specified"),
    (
        {"address": "a;transport=tcp", "numbers": ["+1"]},
        "trunk address should not contain transport parameter",
    ),
    (
        {"address": "u@a", "numbers": ["+1"]},
        "trunk address should be a hostname or IP, not SIP URI",
    ),
    (
        {"address": "a", "numbers": ["+1"], "from_host": "u@b"},
        "from_host should be a hostname or IP, not SIP URI",
    ),
]


async def test_an_outbound_trunk_in_disorder_is_refused(lk: api.LiveKitAPI) -> None:
    for fields, text in _BAD_OUTBOUND:
        refusal = await _refusal(lk.sip.create_outbound_trunk(_outbound(**fields)))
        assert refusal == ("invalid_argument", text)


_BAD_CALLS: list[tuple[dict[str, Any], str, str]] = [
    ({"sip_trunk_id": ""}, "invalid_argument", "missing sip trunk id and sip number"),
    ({"sip_call_to": ""}, "invalid_argument", "missing sip callee number"),
    (
        {"sip_call_to": "+1@example.com"},
        "invalid_argument",
        "SipCallTo should be a phone number or SIP user, not a full SIP URI",
    ),
    ({"room_name": ""}, "invalid_argument", "missing room name"),
    (
        {"display_name": "x" * 129},
        "invalid_argument",
        "DisplayName too long (max 128 characters)",
    ),
    (
        {"display_name": 'say "hi"'},
        "invalid_argument",
        "DisplayName must be a valid quoted string",
    ),
    ({}, "not_found", "requested sip trunk does not exist"),
]


async def test_a_call_in_disorder_is_refused(lk: api.LiveKitAPI) -> None:
    for fields, code, text in _BAD_CALLS:
        whole = {"sip_trunk_id": "ST_none", "sip_call_to": "+1", "room_name": "r", **fields}
        request = api.CreateSIPParticipantRequest(**whole)
        assert await _refusal(lk.sip.create_sip_participant(request)) == (code, text)


async def test_a_transfer_in_disorder_is_refused(lk: api.LiveKitAPI) -> None:
    async def refusal(**fields: Any) -> tuple[str, str]:
        whole = {"room_name": "r", "participant_identity": "p", "transfer_to": "tel:+1", **fields}
        request = api.TransferSIPParticipantRequest(**whole)
        return await _refusal(lk.sip.transfer_sip_participant(request))

    assert await refusal(room_name="") == ("invalid_argument", "Missing room name")
    missing = await refusal(participant_identity="")
    assert missing == ("invalid_argument", "Missing participant identity")
    assert await refusal(transfer_to="") == ("invalid_argument", "missing transfer to")
    assert await refusal(transfer_to="+1") == (
        "invalid_argument",
        "transfer_to must be a valid SIP(s) or TEL URI (sip:, sips: or tel:)",
    )
    assert (await refusal())[0] == "not_found"


async def test_conflicts_are_found_at_creation(lk: api.LiveKitAPI) -> None:
    trunk = await lk.sip.create_inbound_trunk(_inbound(numbers=["+15105550100"]))
    code, text = await _refusal(lk.sip.create_inbound_trunk(_inbound(numbers=["1 510 555 0100"])))
    assert code == "invalid_argument"
    assert text.startswith(f'Conflicting inbound SIP Trunks: "<new>" and "{trunk.sip_trunk_id}"')
    rule = await lk.sip.create_dispatch_rule(_rule(name="first"))
    code, text = await _refusal(lk.sip.create_dispatch_rule(_rule()))
    assert code == "invalid_argument"
    assert text.endswith(f'already exists in dispatch rule "{rule.sip_dispatch_rule_id}" "first"')


async def test_an_update_with_a_bad_result_is_the_callers_fault(lk: api.LiveKitAPI) -> None:
    trunk = await lk.sip.create_inbound_trunk(_inbound(numbers=["+1"]))
    changing = lk.sip.update_inbound_trunk_fields(
        trunk.sip_trunk_id, numbers=api.ListUpdate(remove=["+1"])
    )
    assert await _refusal(changing) == ("invalid_argument", _SECURITY)
    changing = lk.sip.update_inbound_trunk_fields(trunk.sip_trunk_id, numbers=[])
    assert await _refusal(changing) == (
        "invalid_argument",
        "unsupported list update operation",
    )
    unknown = lk.sip.update_inbound_trunk_fields("ST_none", name="n")
    assert await _refusal(unknown) == ("not_found", "requested sip trunk does not exist")
    unknown_rule = lk.sip.update_dispatch_rule_fields("SDR_none", name="n")
    assert await _refusal(unknown_rule) == (
        "not_found",
        "requested sip dispatch rule does not exist",
    )


async def test_pages_are_as_long_as_they_are_asked_to_be(lk: api.LiveKitAPI) -> None:
    for number in range(5):
        await lk.sip.create_inbound_trunk(_inbound(numbers=[f"+{number}"]))
    seen: list[str] = []
    while True:
        page = models.Pagination(after_id=seen[-1] if seen else "", limit=2)
        found = await lk.sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest(page=page))
        if not found.items:
            break
        assert len(found.items) <= 2
        seen += [trunk.sip_trunk_id for trunk in found.items]
    assert len(seen) == 5
    assert seen == sorted(set(seen))


async def test_without_the_grant_the_answer_is_that_of_livekit_server(server: Server) -> None:
    token = api.AccessToken(KEY, SECRET).with_sip_grants(api.SIPGrants(call=True)).to_jwt()
    path = f"{server.url}/twirp/livekit.SIP/ListSIPInboundTrunk"
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(path, json={}) as answer,
    ):
        error = await answer.json()
        assert (answer.status, error["code"]) == (401, "unauthenticated")
        assert error["msg"] == "permissions denied"


async def test_trunks_and_rules_are_there_after_a_restart(tmp_path: Path) -> None:
    async with server_here(tmp_path) as server:
        lk = server.api()
        trunk = await lk.sip.create_inbound_trunk(_inbound(numbers=["+1*"], krisp_enabled=True))
        rule = await lk.sip.create_dispatch_rule(
            _rule(
                trunk_ids=[trunk.sip_trunk_id],
                room_config=api.RoomConfiguration(metadata="m", max_participants=3),
            )
        )
        await lk.aclose()
    async with server_here(tmp_path) as server:
        lk = server.api()
        trunks = await lk.sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest())
        rules = await lk.sip.list_dispatch_rule(api.ListSIPDispatchRuleRequest())
        await lk.aclose()
    assert list(trunks.items) == [trunk]
    assert list(rules.items) == [rule]
